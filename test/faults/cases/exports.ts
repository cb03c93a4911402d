import assert from "node:assert/strict";
import type { ExportArgs } from "../../../provider/resources/export";
import { CLIENT, type Client, MiB, id } from "../../support/client";
import type { World } from "../world";
import { type Case, type States, need } from "./types";

/** Exports: create, change, heal, grow, rename, delete. */

const SIZE = 4 * MiB;
const OTHER = "iqn.2024-01.com.example:db2";
const SECRET = "Open-Sesame-123";

/** With tgt a user name has one password in all exports, so each case has its own. */
function access(name: string, password = SECRET, initiators = [CLIENT]): Pick<ExportArgs, "initiators"> {
    return { initiators: initiators.map((iqn) => ({ iqn, chap: { username: name, password } })) };
}

async function exported(client: Client, name: string, more: Partial<ExportArgs> = {}): Promise<States> {
    const volume = await client.volume(name);
    return { volume, export: await client.export(name, name, { ...access(name), ...more }) };
}

/** Lets in who may come, by the right password only. */
async function admits(world: World, { export: one }: States): Promise<void> {
    const right = await world.login(need(one));
    assert.equal(right, "");
    if (need(one).initiators[0]?.chap !== undefined) {
        assert.notEqual(await world.login(need(one), { chap: undefined }), "");
    }
    assert.notEqual(await world.login(need(one), { initiator: "iqn.2024-01.com.example:nobody" }), "");
}

export const exports: readonly Case[] = [
    {
        title: "create an export",
        exported: true,
        touchesPool: false,
        prepare: async (client, name) => ({ volume: await client.volume(name) }),
        act: async (client, name) => ({ export: await client.export(name, name, access(name)) }),
        verify: (world, _name, after) => admits(world, after),
    },
    {
        title: "create an export: mutual CHAP, two portals, two initiators, read-only",
        exported: true,
        touchesPool: false,
        prepare: async (client, name) => ({ volume: await client.volume(name) }),
        act: async (client, name) => ({
            export: await client.export(name, name, {
                initiators: [CLIENT, OTHER].map((iqn) => ({
                    iqn,
                    chap: { username: name, password: SECRET },
                    mutualChap: { username: `${name}-out`, password: "Who-Are-You-456" },
                })),
                readOnly: true,
            }),
        }),
        verify: async (world, name, after) => {
            const state = need(after.export);
            const mutual = { username: `${name}-out`, password: "Who-Are-You-456" };
            for (const initiator of [CLIENT, OTHER]) {
                assert.equal(await world.login(state, { initiator, mutual }), "");
            }
            const wrong = { ...mutual, password: "Somebody-Else-78" };
            assert.notEqual(await world.login(state, { mutual: wrong }), "");
            assert.equal(state.connection.data["access_mode"], "ro");
            const portals = state.connection.data["target_portals"] as string[];
            assert.equal(portals.length, 2);
            assert.equal(await world.login(state, { mutual, portal: portals[1] }), "");
        },
    },
    {
        title: "export a snapshot",
        exported: true,
        touchesPool: false,
        prepare: async (client, name) => {
            const origin = await client.volume(`${name}-o`);
            return { origin, snapshot: await client.snapshot(`${name}-s`, `${name}-o`) };
        },
        act: async (client, name) => ({
            export: await client.export(name, `${name}-s`, access(name)),
        }),
        verify: async (world, _name, after) => {
            await admits(world, after);
            assert.equal(need(after.export).connection.data["access_mode"], "ro");
        },
    },
    {
        title: "change an export: another password",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), access(name, "Another-Word-1")),
        }),
        verify: async (world, name, after) => {
            await admits(world, after);
            const old = { username: name, password: SECRET };
            assert.notEqual(await world.login(need(after.export), { chap: old }), "");
        },
    },
    {
        title: "change an export: another user",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), access(`${name}-2`, "Another-Word-1")),
        }),
        verify: async (world, name, after) => {
            await admits(world, after);
            const old = { username: name, password: SECRET };
            assert.notEqual(await world.login(need(after.export), { chap: old }), "");
        },
    },
    {
        title: "change an export: one initiator more",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), access(name, SECRET, [CLIENT, OTHER])),
        }),
        verify: async (world, _name, after) => {
            await admits(world, after);
            assert.equal(await world.login(need(after.export), { initiator: OTHER }), "");
        },
    },
    {
        title: "change an export: one initiator less, read-only",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name, access(name, SECRET, [CLIENT, OTHER])),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), { ...access(name), readOnly: true }),
        }),
        verify: async (world, _name, after) => {
            await admits(world, after);
            assert.notEqual(await world.login(need(after.export), { initiator: OTHER }), "");
        },
    },
    {
        title: "heal an export whose target is gone",
        exported: true,
        touchesPool: false,
        prepare: async (client, name, world) => {
            const states = await exported(client, name);
            await world.dropTarget(need(states.export).targetName);
            return states;
        },
        act: async (client, _name, before) => ({
            export: await client.changeExport(need(before.export), {}),
        }),
        verify: (world, _name, after) => admits(world, after),
    },
    {
        title: "rename an export's resource",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), {
                owner: client.owner(`${name}-renamed`),
            }),
        }),
        verify: async (world, name, after) => {
            await admits(world, after);
            assert.match(await world.exportOwner(name), new RegExp(`${name}-renamed`));
        },
    },
    {
        title: "extend an exported volume",
        exported: true,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            volume: await client.change(need(before.volume), { size: 2 * SIZE }),
            export: await client.changeExport(need(before.export), access(name)),
        }),
        verify: async (world, _name, after) => {
            await admits(world, after);
            assert.equal(await world.capacity(need(after.export)), 2 * SIZE);
        },
    },
    {
        title: "revert an exported volume",
        exported: true,
        prepare: async (client, name, world) => {
            const volume = await client.volume(name);
            await world.fill(name, 1);
            const snapshot = await client.snapshot(`${name}-s`, name);
            await world.fill(name, 2);
            return { volume, snapshot, export: await client.export(name, name, access(name)) };
        },
        act: async (client, name, before) => {
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            return {
                volume: await client.change(need(before.volume), { revertTo }),
                export: await client.changeExport(need(before.export), access(name)),
            };
        },
        always: async (world, name) => {
            assert.ok([1, 2].includes(await world.firstByte(name)), "old content or new");
        },
        verify: async (world, _name, after) => {
            await admits(world, after);
            assert.equal((await world.readThrough(need(after.export), 512))[0], 1);
        },
    },
    {
        title: "delete an export",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, _name, before) => {
            await client.delete(need(before.export));
            return { volume: need(before.volume) };
        },
        verify: async (world, name) => {
            assert.deepEqual(
                (await world.targets()).filter((target) => target.includes(`:${name}:`)),
                [],
            );
        },
    },
];
