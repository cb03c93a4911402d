import assert from "node:assert/strict";
import { MiB, id } from "../../support/client";
import { snapshot as snapshots } from "../../../provider/resources/snapshot";
import { type Case, need } from "./types";

/** What changes whose an object is: adopt, release, rename. */

const SIZE = 4 * MiB;

export const ownership: readonly Case[] = [
    {
        title: "adopt a volume, and grow it",
        prepare: async (_client, name, world) => ({
            reference: await world.somebodysData(`${name}-theirs`, 7, SIZE),
        }),
        act: async (client, name, { reference }) => ({
            volume: await client.volume(name, { adopt: need(reference), size: 2 * SIZE }),
        }),
        always: async (world, name) => {
            const at = (await world.exists(name)) ? name : `${name}-theirs`;
            assert.equal(await world.firstByte(at), 7);
        },
        verify: async (world, name) => {
            assert.equal(await world.exists(`${name}-theirs`), false);
            assert.deepEqual([await world.size(name), await world.firstByte(name)], [2 * SIZE, 7]);
        },
    },
    {
        title: "adopt a volume in its place",
        prepare: async (_client, name, world) => ({ reference: await world.somebodysData(name, 7, SIZE) }),
        act: async (client, name, { reference }) => ({
            volume: await client.volume(name, { adopt: need(reference) }),
        }),
        always: async (world, name) => {
            assert.equal(await world.firstByte(name), 7);
        },
        verify: async (world, name) => {
            assert.deepEqual([await world.size(name), await world.firstByte(name)], [SIZE, 7]);
        },
    },
    {
        title: "adopt a snapshot",
        prepare: async (client, name, world) => {
            const origin = await client.volume(`${name}-o`);
            return { origin, reference: await world.somebodysData(`${name}-theirs`, 7, SIZE, `${name}-o`) };
        },
        act: async (client, name, { reference }) => ({
            snapshot: await client.snapshot(name, `${name}-o`, { adopt: need(reference) }),
        }),
        always: async (world, name) => {
            const at = (await world.exists(name)) ? name : `${name}-theirs`;
            assert.equal(await world.firstByte(at), 7);
        },
        verify: async (world, name) => {
            assert.deepEqual([await world.size(name), await world.firstByte(name)], [SIZE, 7]);
        },
    },
    {
        title: "release a volume with its safety snapshot",
        prepare: async (client, name, world) => {
            const volume = await client.volume(name, { onDelete: "retain" });
            await world.fill(name, 1);
            const snapshot = await client.snapshot(`${name}-s`, name);
            await world.fill(name, 2);
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            return { volume: await client.change(volume, { revertTo }), snapshot };
        },
        act: async (client, _name, { volume }) => {
            await client.delete(need(volume));
            return {};
        },
        always: async (world, name) => {
            assert.deepEqual([await world.firstByte(name), await world.firstByte(`${name}.safety`)], [1, 2]);
        },
        verify: async (world, name) => {
            assert.deepEqual([await world.firstByte(name), await world.firstByte(`${name}.safety`)], [1, 2]);
        },
        // In this order: a thick volume takes its snapshots with it.
        leaves: (name) => [`${name}.safety`, name],
    },
    {
        title: "release a snapshot",
        prepare: async (client, name, world) => {
            const origin = await client.volume(`${name}-o`);
            await world.fill(`${name}-o`, 5);
            return {
                origin,
                snapshot: await client.snapshot(name, `${name}-o`, { onDelete: "retain" }),
            };
        },
        act: async (client, _name, { origin, snapshot }) => {
            await client.delete(need(snapshot));
            return { origin: need(origin) };
        },
        always: async (world, name) => {
            assert.equal(await world.firstByte(name), 5);
        },
        verify: async (world, name) => {
            assert.equal(await world.firstByte(name), 5);
        },
        leavesSnapshots: (name) => [name],
    },
    {
        title: "rename a volume's resource, with its safety snapshot",
        prepare: async (client, name, world) => {
            const volume = await client.volume(name);
            await world.fill(name, 1);
            const snapshot = await client.snapshot(`${name}-s`, name);
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            return { volume: await client.change(volume, { revertTo }), snapshot };
        },
        act: async (client, name, { volume }) => ({
            volume: await client.change(need(volume), { owner: client.owner(`${name}-renamed`) }),
        }),
        always: async (world, name) => {
            assert.equal(await world.firstByte(name), 1);
        },
        verify: async (world, name) => {
            assert.equal(await world.firstByte(name), 1);
            for (const of of [name, `${name}.safety`]) {
                assert.match(await world.ownerOf(of), new RegExp(`${name}-renamed`));
            }
        },
    },
    {
        title: "rename a snapshot's resource",
        prepare: async (client, name) => {
            const origin = await client.volume(`${name}-o`);
            return { origin, snapshot: await client.snapshot(name, `${name}-o`) };
        },
        act: async (client, name, { snapshot }) => {
            const olds = need(snapshot);
            const { pool: _1, sizeBytes: _2, path: _3, generation: _4, poolId: _5, ...inputs } = olds;
            const news = { ...inputs, owner: client.owner(`${name}-renamed`) };
            return { snapshot: await snapshots.update(client.context, olds, news) };
        },
        verify: async (world, name) => {
            assert.match(await world.ownerOf(name), new RegExp(`${name}-renamed`));
        },
    },
];
