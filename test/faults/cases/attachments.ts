import assert from "node:assert/strict";
import type { Client } from "../../support/client";
import type { Attaching } from "../attachmentWorld";
import { type Case, type States, need } from "./types";

/** Attachments: attach, change, grow, heal, rename, detach. What is attached stays as it is on the storage host. */

async function attached(client: Client, name: string, world: Attaching): Promise<States> {
    const connection = world.connection();
    return { connection, attachment: await client.attach(name, connection) };
}

async function works(world: Attaching, { attachment }: States): Promise<void> {
    assert.equal(await world.readsBack(need(attachment).devicePath), "as written");
}

const attach: Case<Attaching> = {
    title: "attach",
    prepare: (_client, _name, world) => Promise.resolve({ connection: world.connection() }),
    act: async (client, name, { connection }) => ({
        attachment: await client.attach(name, need(connection)),
    }),
    verify: (world, _name, after) => works(world, after),
};

const detach: Case<Attaching> = {
    title: "detach",
    prepare: attached,
    act: async (client, _name, { attachment }) => {
        await client.delete(need(attachment));
        return {};
    },
    verify: async (world) => {
        assert.equal(await world.sessions(), "");
    },
};

/** An attachment that joins the paths over so many portals, which become more or less. */
function change(title: string, from: number, to: number): Case<Attaching> {
    return {
        title,
        prepare: async (client, name, world) => {
            await world.joinPaths();
            await world.offer(from);
            const before = await attached(client, name, world);
            return { ...before, connection: await world.offer(to) };
        },
        // Asked for: where that is only preferred, one that began with one path stays with one.
        act: async (client, _name, { attachment, connection }) => ({
            attachment: await client.changeAttachment(need(attachment), {
                connection: need(connection),
                multipath: "require",
            }),
        }),
        verify: async (world, _name, after) => {
            await works(world, after);
            assert.equal(await world.joined(), to);
        },
        leaves,
    };
}

/** Whatever there is for several paths goes by one name. */
const leaves = () => ["several paths"];

export const attachments: readonly Case<Attaching>[] = [
    attach,
    {
        title: "change an attachment: another password",
        prepare: async (client, name, world) => ({
            ...(await attached(client, name, world)),
            connection: await world.rotate(),
        }),
        act: async (client, _name, { attachment, connection }) => ({
            attachment: await client.changeAttachment(need(attachment), { connection: need(connection) }),
        }),
        verify: (world, _name, after) => works(world, after),
    },
    {
        title: "grow what is attached",
        prepare: async (client, name, world) => {
            const before = await attached(client, name, world);
            await world.grow();
            return before;
        },
        act: async (client, _name, { attachment }) => {
            const olds = need(attachment);
            return {
                attachment: await client.changeAttachment(olds, { sizeBytes: olds.deviceBytes + GROWTH }),
            };
        },
        verify: async (world, _name, after) => {
            await works(world, after);
            const { devicePath, sizeBytes } = need(after.attachment);
            assert.equal(await world.bytes(devicePath), sizeBytes);
        },
    },
    {
        title: "heal an attachment that was logged out",
        prepare: async (client, name, world) => {
            const before = await attached(client, name, world);
            await world.logOut();
            return before;
        },
        act: async (client, _name, { attachment }) => ({
            attachment: await client.changeAttachment(need(attachment), {}),
        }),
        verify: (world, _name, after) => works(world, after),
    },
    {
        title: "rename an attachment's resource",
        prepare: attached,
        act: async (client, name, { attachment }) => ({
            attachment: await client.changeAttachment(need(attachment), {
                owner: client.owner(`${name}-renamed`),
            }),
        }),
        verify: async (world, name, after) => {
            await works(world, after);
            assert.match(await world.attachmentOwner(name), new RegExp(`${name}-renamed`));
        },
    },
    detach,
    change("change an attachment: one portal more", 1, 2),
    change("change an attachment: one portal less", 2, 1),
];

/** Where the kernel does not join paths by itself (iSCSI): multipathd does. */
export const multipathd: readonly Case<Attaching>[] = [
    {
        ...attach,
        title: "attach over two paths",
        prepare: async (_client, _name, world) => {
            await world.joinPaths();
            return { connection: world.connection() };
        },
        verify: async (world, _name, after) => {
            await works(world, after);
            assert.equal(await world.joined(), 2);
        },
        leaves,
    },
    {
        ...detach,
        title: "detach from two paths",
        prepare: async (client, name, world) => {
            await world.joinPaths();
            return attached(client, name, world);
        },
        leaves,
    },
];

/** Bytes by which {@link Attaching.grow} makes it grow: a multiple of what the storage host's pool hands out. */
export const GROWTH = 4 * 1024 * 1024;
