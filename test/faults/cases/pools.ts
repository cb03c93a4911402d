import assert from "node:assert/strict";
import { diskPath } from "../../lab/layout.mjs";
import type { Client } from "../../support/client";
import type { Pooling } from "../poolWorld";
import { type Case, type States, need } from "./types";

/** Pools: make, adopt, add and remove disks, guard rails, rename, release, delete. There is one at a time. */

const RAILS = { whenFull: "error", autoExtend: { threshold: 70, percent: 10 } } as const;

const disk = (number: number) => diskPath("a", `disk${String(number)}`);
const disks = (...numbers: readonly number[]) => ({ disks: numbers.map(disk) });

async function pooled(client: Client, ...numbers: readonly number[]): Promise<States> {
    return { pool: await client.pool({ ...disks(...numbers), size: "64MiB" }) };
}

async function changed(
    client: Client,
    { pool }: States,
    more: Parameters<Client["changePool"]>[1],
): Promise<States> {
    return { pool: await client.changePool(need(pool), more) };
}

const operations: readonly Case<Pooling>[] = [
    {
        title: "make a pool",
        act: async (client) => ({ pool: await client.pool({ ...disks(1, 2), ...RAILS }) }),
        verify: async (world) => {
            assert.deepEqual(await world.members(), [1, 2]);
            assert.equal(await world.rails(), "error,blockhost-extend-70-10,monitored");
        },
    },
    {
        title: "make a pool of a disk that carries something",
        prepare: async (_client, _name, world) => {
            await world.carry(1, "ext4");
            return {};
        },
        act: async (client) => ({
            pool: await client.pool({ ...disks(1), overwrite: { [disk(1)]: ["ext4"] } }),
        }),
        verify: async (world) => assert.deepEqual(await world.members(), [1]),
    },
    {
        title: "add a disk, with which the thin pool grows",
        prepare: async (client) => ({ pool: await client.pool(disks(1)) }),
        act: (client, _name, before) => changed(client, before, disks(1, 2)),
        verify: async (world, _name, after) => {
            assert.deepEqual(await world.members(), [1, 2]);
            assert.ok((need(after.pool).thinPool?.sizeBytes ?? 0) > 6 * 1024 ** 3);
        },
    },
    {
        title: "exchange a disk, its data moved",
        slow: true,
        prepare: async (client, name, world) => {
            const before = await pooled(client, 1);
            const volume = await client.volume(name);
            await world.fill(name, 0x42);
            return { ...before, volume };
        },
        act: (client, _name, before) => changed(client, before, disks(2)),
        verify: async (world, name) => {
            assert.deepEqual(await world.members(), [2]);
            assert.equal(await world.firstByte(name), 0x42);
        },
    },
    {
        title: "change the guard rails",
        prepare: (client) => pooled(client, 1),
        act: (client, _name, before) => changed(client, before, RAILS),
        verify: async (world) => assert.equal(await world.rails(), "error,blockhost-extend-70-10,monitored"),
    },
    {
        title: "heal guard rails that somebody has changed",
        prepare: async (client, _name, world) => {
            const pool = await client.pool({ ...disks(1), ...RAILS });
            await world.breakRails();
            return { pool };
        },
        act: (client, _name, before) => changed(client, before, {}),
        verify: async (world) => assert.equal(await world.rails(), "error,blockhost-extend-70-10,monitored"),
    },
    {
        title: "adopt a volume group",
        prepare: async (_client, _name, world) => {
            await world.theirs();
            return {};
        },
        act: async (client) => ({ pool: await client.pool({ adopt: true }) }),
        verify: async (world) => assert.deepEqual(await world.members(), [3]),
    },
    {
        title: "release a volume group",
        prepare: async (client, _name, world) => {
            await world.theirs();
            return { pool: await client.pool({ adopt: true, onDelete: "retain" }) };
        },
        act: async (client, _name, { pool }) => {
            await client.delete(need(pool));
            return {};
        },
        verify: async (world) => {
            assert.deepEqual(await world.members(), [3]);
            assert.equal(await world.owner(), "");
        },
        leaves: () => ["their group"],
    },
    {
        title: "rename a pool's resource",
        prepare: (client) => pooled(client, 1),
        act: (client, name, before) => changed(client, before, { owner: client.owner(`${name}-renamed`) }),
        verify: async (world, name) => assert.match(await world.owner(), new RegExp(`${name}-renamed`)),
    },
    {
        title: "delete a pool",
        prepare: (client) => pooled(client, 1, 2),
        act: async (client, _name, { pool }) => {
            await client.delete(need(pool));
            return {};
        },
        verify: async (world) => assert.deepEqual(await world.members(), []),
    },
];

/** Disks are looked at once it is known which are meant. */
export const pools: readonly Case<Pooling>[] = operations.map((one) => ({ ...one, reads: 2 }));
