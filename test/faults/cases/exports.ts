import assert from "node:assert/strict";
import { type Client, MiB, id } from "../../support/client";
import type { ExportState } from "../../../provider/resources/export";
import { access, type Who } from "../access";
import type { World } from "../world";
import { type Case, type States, need } from "./types";

/** Exports: create, change, heal, grow, rename, delete. */

const SIZE = 4 * MiB;
const LONG = 72 * MiB;
const SECRET = "Open-Sesame-123";
const BACK = "Who-Are-You-456";

/** Each case has a user of its own. */
function who(user: string, more: Partial<Who> = {}): Who {
    return { user, secret: SECRET, ...more };
}

async function exported(client: Client, name: string, ...more: readonly Who[]): Promise<States> {
    const volume = await client.volume(name);
    const whom = access(client.protocol, who(name), ...more);
    return { volume, export: await client.export(name, name, whom) };
}

/** Portals that its connection names. */
function portalsOf({ connection: { data } }: ExportState): string[] {
    const nvme = data["portals"] as readonly [string, string][] | undefined;
    return nvme?.map(([address, port]) => `${address}:${port}`) ?? (data["target_portals"] as string[]);
}

/** Lets in who may come, by the right secret only. */
async function admits(world: World, { export: one }: States, whom: Who): Promise<void> {
    assert.equal(await world.login(need(one), whom), "");
    assert.notEqual(await world.login(need(one), { ...whom, secret: undefined, mutual: undefined }), "");
    assert.notEqual(await world.login(need(one), { ...whom, initiator: "nobody" }), "");
}

export const exports: readonly Case[] = [
    {
        title: "create an export",
        exported: true,
        touchesPool: false,
        prepare: async (client, name) => ({ volume: await client.volume(name) }),
        act: async (client, name) => ({
            export: await client.export(name, name, access(client.protocol, who(name))),
        }),
        verify: (world, name, after) => admits(world, after, who(name)),
    },
    {
        title: "create an export: both prove themselves, two portals, two initiators, read-only where that can be",
        exported: true,
        touchesPool: false,
        prepare: async (client, name) => ({ volume: await client.volume(name) }),
        act: async (client, name) => {
            const both = who(name, { mutual: BACK });
            const whom = access(client.protocol, both, { ...both, initiator: "other" });
            const readOnly = client.protocol === "iscsi";
            return { export: await client.export(name, name, { ...whom, readOnly }) };
        },
        verify: async (world, name, after) => {
            const state = need(after.export);
            const both = who(name, { mutual: BACK });
            for (const initiator of ["client", "other"] as const) {
                assert.equal(await world.login(state, { ...both, initiator }), "");
            }
            assert.notEqual(await world.login(state, { ...both, mutual: "Somebody-Else-78" }), "");
            if (state.readOnly === true) assert.equal(state.connection.data["access_mode"], "ro");
            const portals = world.portals(state);
            assert.equal(portals.length, 2);
            assert.equal(await world.login(state, both, portals[1]), "");
        },
    },
    {
        title: "export a snapshot",
        exported: true,
        readOnly: true,
        touchesPool: false,
        prepare: async (client, name) => {
            const origin = await client.volume(`${name}-o`);
            return { origin, snapshot: await client.snapshot(`${name}-s`, `${name}-o`) };
        },
        act: async (client, name) => ({
            export: await client.export(name, `${name}-s`, access(client.protocol, who(name))),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.equal(need(after.export).connection.data["access_mode"], "ro");
        },
    },
    {
        title: "change an export: another password",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(
                need(before.export),
                access(client.protocol, who(name, { secret: "Another-Word-1" })),
            ),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(name, { secret: "Another-Word-1" }));
            assert.notEqual(await world.login(need(after.export), who(name)), "");
        },
    },
    {
        title: "change an export: another user",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(
                need(before.export),
                access(client.protocol, who(`${name}-2`, { secret: "Another-Word-1" })),
            ),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(`${name}-2`, { secret: "Another-Word-1" }));
            assert.notEqual(await world.login(need(after.export), who(name)), "");
        },
    },
    {
        title: "change an export: one initiator more",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            export: await client.changeExport(
                need(before.export),
                access(client.protocol, who(name), who(name, { initiator: "other" })),
            ),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.equal(await world.login(need(after.export), who(name, { initiator: "other" })), "");
        },
    },
    {
        title: "change an export: one initiator less, read-only where that can be",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name, who(name, { initiator: "other" })),
        act: async (client, name, before) => ({
            export: await client.changeExport(need(before.export), {
                ...access(client.protocol, who(name)),
                readOnly: client.protocol === "iscsi",
            }),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.notEqual(await world.login(need(after.export), who(name, { initiator: "other" })), "");
        },
    },
    {
        title: "change an export: one portal less, no discard where that can be",
        exported: true,
        touchesPool: false,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => {
            const state = need(before.export);
            return {
                export: await client.changeExport(state, {
                    ...access(client.protocol, who(name)),
                    portals: portalsOf(state).slice(0, 1),
                    discard: client.protocol === "nvme-tcp",
                }),
            };
        },
        verify: async (world, name, after, before) => {
            const state = need(after.export);
            await admits(world, after, who(name));
            assert.equal(world.portals(state).length, 1);
            assert.equal(state.connection.data["discard"], state.protocol === "nvme-tcp");
            const [, given = ""] = world.portals(need(before.export));
            if (world.closesPortals) assert.notEqual(await world.login(state, who(name), given), "");
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
        verify: (world, name, after) => admits(world, after, who(name)),
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
            await admits(world, after, who(name));
            assert.match(await world.exportOwner(name), new RegExp(`${name}-renamed`));
        },
    },
    {
        title: "extend an exported volume",
        exported: true,
        prepare: (client, name) => exported(client, name),
        act: async (client, name, before) => ({
            volume: await client.change(need(before.volume), { size: 2 * SIZE }),
            export: await client.changeExport(need(before.export), access(client.protocol, who(name))),
        }),
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.equal(await world.capacity(need(after.export), who(name)), 2 * SIZE);
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
            const whom = access(client.protocol, who(name));
            return { volume, snapshot, export: await client.export(name, name, whom) };
        },
        act: async (client, name, before) => {
            const revertTo = { snapshot: id(`${name}-s`), token: "one" };
            return {
                volume: await client.change(need(before.volume), { revertTo }),
                export: await client.changeExport(need(before.export), access(client.protocol, who(name))),
            };
        },
        always: async (world, name) => {
            assert.ok([1, 2].includes(await world.firstByte(name)), "old content or new");
        },
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.equal((await world.readThrough(need(after.export), who(name), 512))[0], 1);
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

/** Exports as they were, with what their volumes may hold in full: before a revert and after it. */
const whole = new Map<string, { state: ExportState; digests: readonly string[] }>();

/** Of volumes that are large and copied: it takes more than one run. */
export const longExports: readonly Case[] = [
    {
        title: "revert an exported volume, as long work",
        exported: true,
        slow: true,
        prepare: async (client, name, world) => {
            const volume = await client.volume(name, { size: LONG });
            await world.fill(name, 1, LONG);
            const back = await world.digest(name);
            const snapshot = await client.snapshot(`${name}-s`, name);
            await world.fill(name, 2, LONG);
            const whom = access(client.protocol, who(name));
            const state = await client.export(name, name, whom);
            whole.set(name, { state, digests: [back, await world.digest(name)] });
            return { volume, snapshot, export: state };
        },
        // As a program has it: where tgtd was killed, say, the volume leaves it to its export to come back.
        act: async (client, name, before) => ({
            volume: await client.change(need(before.volume), {
                revertTo: { snapshot: id(`${name}-s`), token: "one" },
            }),
            export: await client.changeExport(need(before.export), access(client.protocol, who(name))),
        }),
        always: async (world, name) => {
            const { state, digests } = need(whole.get(name));
            if ((await world.login(state, who(name))) !== "") return;
            assert.ok(digests.includes(await world.digest(name)), "what is served is old content or new");
        },
        verify: async (world, name, after) => {
            await admits(world, after, who(name));
            assert.equal((await world.readThrough(need(after.export), who(name), 512))[0], 1);
            assert.equal(await world.digest(name), whole.get(name)?.digests[0]);
        },
    },
];
