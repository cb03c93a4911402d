import assert from "node:assert/strict";
import { type Client, MiB, id } from "../../support/client";
import type { World } from "../world";
import { type Case, need } from "./types";

/** Volumes: create, extend, copy, revert, rename, delete. */

const SIZE = 4 * MiB;
const LONG = 72 * MiB;

/** A volume `-o` with a byte in it, and a snapshot `-s` of that. */
async function withSnapshot(client: Client, name: string, world: World, size = SIZE) {
    const origin = await client.volume(`${name}-o`, { size });
    await world.fill(`${name}-o`, 3, size);
    const snapshot = await client.snapshot(`${name}-s`, `${name}-o`);
    await world.fill(`${name}-o`, 2);
    return { origin, snapshot };
}

async function keeps(world: World, name: string, byte: number): Promise<void> {
    assert.equal(await world.firstByte(name), byte, `the content of ${name}`);
}

async function holds(world: World, name: string, byte: number, size: number): Promise<void> {
    const whole = Math.ceil(size / world.grain) * world.grain;
    assert.equal(await world.size(name), whole, `the size of ${name}`);
    await keeps(world, name, byte);
}

export const creations: readonly Case[] = [
    {
        title: "create a volume",
        act: async (client, name) => ({ volume: await client.volume(name) }),
        verify: async (world, name) => {
            await holds(world, name, 0, SIZE);
        },
    },
    {
        title: "delete a volume",
        prepare: async (client, name, world) => {
            const volume = await client.volume(name);
            await world.fill(name, 6);
            return { volume };
        },
        act: async (client, _name, { volume }) => {
            await client.delete(need(volume));
            return {};
        },
        verify: async (world, name) => {
            assert.equal(await world.exists(name), false);
        },
    },
    {
        title: "extend a volume",
        prepare: async (client, name, world) => {
            const volume = await client.volume(name);
            await world.fill(name, 4);
            return { volume };
        },
        act: async (client, _name, { volume }) => ({
            volume: await client.change(need(volume), { size: 2 * SIZE }),
        }),
        always: (world, name) => keeps(world, name, 4),
        verify: async (world, name) => {
            await holds(world, name, 4, 2 * SIZE);
        },
    },
];

export const copies: readonly Case[] = [
    {
        title: "create a volume from a snapshot, larger",
        prepare: (client, name, world) => withSnapshot(client, name, world),
        act: async (client, name) => ({
            volume: await client.volume(name, { source: { snapshot: id(`${name}-s`) }, size: 6 * MiB }),
        }),
        always: async (world, name) => {
            await keeps(world, `${name}-s`, 3);
            await keeps(world, `${name}-o`, 2);
        },
        verify: async (world, name) => {
            await holds(world, name, 3, 6 * MiB);
        },
    },
    {
        title: "clone a volume",
        prepare: async (client, name, world) => {
            const origin = await client.volume(`${name}-o`);
            await world.fill(`${name}-o`, 5, SIZE);
            return { origin };
        },
        act: async (client, name) => ({
            volume: await client.volume(name, { source: { volume: id(`${name}-o`) } }),
        }),
        always: (world, name) => keeps(world, `${name}-o`, 5),
        verify: async (world, name) => {
            await holds(world, name, 5, SIZE);
            assert.equal(await world.digest(name), await world.digest(`${name}-o`));
        },
    },
    {
        title: "take a snapshot",
        prepare: async (client, name, world) => {
            const origin = await client.volume(`${name}-o`);
            await world.fill(`${name}-o`, 5, SIZE);
            return { origin };
        },
        act: async (client, name) => ({ snapshot: await client.snapshot(name, `${name}-o`) }),
        always: (world, name) => keeps(world, `${name}-o`, 5),
        verify: async (world, name) => {
            await holds(world, name, 5, SIZE);
            assert.equal(await world.digest(name), await world.digest(`${name}-o`));
        },
    },
    {
        title: "delete a snapshot",
        prepare: (client, name, world) => withSnapshot(client, name, world),
        act: async (client, _name, { origin, snapshot }) => {
            await client.delete(need(snapshot));
            return { origin: need(origin) };
        },
        always: (world, name) => keeps(world, `${name}-o`, 2),
        verify: async (world, name) => {
            assert.equal(await world.exists(`${name}-s`), false);
            await holds(world, `${name}-o`, 2, SIZE);
        },
    },
    {
        title: "revert a volume",
        prepare: (client, name, world) => withSnapshot(client, name, world),
        act: async (client, name, { origin }) => ({
            origin: await client.change(need(origin), {
                revertTo: { snapshot: id(`${name}-s`), token: "one" },
            }),
        }),
        always: async (world, name) => {
            await keeps(world, `${name}-s`, 3);
            assert.ok([2, 3].includes(await world.firstByte(`${name}-o`)), "old content or new");
        },
        verify: async (world, name, { origin }) => {
            assert.equal(need(origin).safetySnapshot, `${name}-o.safety`);
            await holds(world, `${name}-o`, 3, SIZE);
            await holds(world, `${name}-o.safety`, 2, SIZE);
            await holds(world, `${name}-s`, 3, SIZE);
        },
    },
    {
        title: "revert a volume that has grown, again",
        prepare: async (client, name, world) => {
            const { origin, snapshot } = await withSnapshot(client, name, world);
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            const reverted = await client.change(origin, { revertTo });
            const grown = await client.change(reverted, { size: 2 * SIZE });
            await world.fill(`${name}-o`, 9);
            return { origin: grown, snapshot };
        },
        act: async (client, name, { origin }) => ({
            origin: await client.change(need(origin), {
                revertTo: { snapshot: id(`${name}-s`), token: "two" },
            }),
        }),
        always: async (world, name) => {
            assert.ok([9, 3].includes(await world.firstByte(`${name}-o`)), "old content or new");
        },
        verify: async (world, name) => {
            await holds(world, `${name}-o`, 3, 2 * SIZE);
            await holds(world, `${name}-o.safety`, 9, 2 * SIZE);
        },
    },
    {
        title: "delete a volume with its safety snapshot, wiped",
        prepare: async (client, name, world) => {
            const volume = await client.volume(name, { wipe: { method: "zero" } });
            await world.fill(name, 1, SIZE);
            const snapshot = await client.snapshot(`${name}-s`, name);
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            const reverted = await client.change(volume, { revertTo });
            await client.delete(snapshot);
            return { volume: reverted };
        },
        act: async (client, _name, { volume }) => {
            await client.delete(need(volume));
            return {};
        },
        verify: async (world, name) => {
            assert.equal(await world.exists(name), false);
            assert.equal(await world.exists(`${name}.safety`), false);
        },
    },
];

export const longWork: readonly Case[] = [
    {
        title: "create a volume from a snapshot, as long work",
        slow: true,
        prepare: (client, name, world) => withSnapshot(client, name, world, LONG),
        act: async (client, name) => ({
            volume: await client.volume(name, { source: { snapshot: id(`${name}-s`) } }),
        }),
        always: (world, name) => keeps(world, `${name}-s`, 3),
        verify: async (world, name) => {
            await holds(world, name, 3, LONG);
            assert.equal(await world.digest(name), await world.digest(`${name}-s`));
        },
    },
    {
        title: "revert a volume, as long work",
        slow: true,
        prepare: (client, name, world) => withSnapshot(client, name, world, LONG),
        act: async (client, name, { origin }) => ({
            origin: await client.change(need(origin), {
                revertTo: { snapshot: id(`${name}-s`), token: "one" },
            }),
        }),
        always: async (world, name) => {
            assert.ok([2, 3].includes(await world.firstByte(`${name}-o`)), "old content or new");
        },
        verify: async (world, name) => {
            await holds(world, `${name}-o.safety`, 2, LONG);
            assert.equal(await world.digest(`${name}-o`), await world.digest(`${name}-s`));
        },
    },
    {
        title: "delete a volume, wiped as long work",
        slow: true,
        prepare: async (client, name, world) => {
            const volume = await client.volume(name, { size: LONG, wipe: { method: "zero" } });
            await world.fill(name, 6, LONG);
            return { volume };
        },
        act: async (client, _name, { volume }) => {
            await client.delete(need(volume));
            return {};
        },
        verify: async (world, name) => {
            assert.equal(await world.exists(name), false);
        },
    },
];
