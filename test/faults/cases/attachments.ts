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

export const attachments: readonly Case<Attaching>[] = [
    {
        title: "attach",
        prepare: (_client, _name, world) => Promise.resolve({ connection: world.connection() }),
        act: async (client, name, { connection }) => ({
            attachment: await client.attach(name, need(connection)),
        }),
        verify: (world, _name, after) => works(world, after),
    },
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
    {
        title: "detach",
        prepare: attached,
        act: async (client, _name, { attachment }) => {
            await client.delete(need(attachment));
            return {};
        },
        verify: async (world) => {
            assert.equal(await world.sessions(), "");
        },
    },
];

/** Bytes by which {@link Attaching.grow} makes it grow: a multiple of what the storage host's pool hands out. */
export const GROWTH = 4 * 1024 * 1024;
