import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportLifecycle } from "../../provider/resources/export";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CHAP, CLIENT, Client, HOST, MiB, POOL, id, refused } from "../support/client";

/** Exports and hosts: the resources over the file driver and tgt, through SSH, without the Pulumi engine. */

let host: EmbeddedHost;
let client: Client;
let pool: string;
const opened: Client[] = [];

/** As another process of the provider. */
function another(options: ConstructorParameters<typeof Client>[1] = {}): Client {
    const one = new Client(host, options);
    opened.push(one);
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
    pool = host.poolDirectories[POOL] ?? "";
    client = another();
});

afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await host.stop();
});

const fileOf = (name: string) => join(pool, `${name}.img`);
const fill = (name: string, byte: number, length = 4096) =>
    writeFileSync(fileOf(name), Buffer.alloc(length, byte), { flag: "r+" });
const firstByte = (name: string) => readFileSync(fileOf(name))[0];

describe("a volume", () => {
    test("does not go back to a snapshot while an initiator uses it", async () => {
        const state = await client.volume("r2");
        await client.snapshot("r2-a", "r2");
        const exported = await client.export("r2-x", "r2");
        const session = await iscsi.openSession(iscsi.lunOf(exported.connection, CLIENT));
        try {
            const revertTo = { snapshot: id("r2-a"), token: "one" };
            const error = await refused(another().change(state, { revertTo }), "in-use");
            expect(error.message).toContain(CLIENT);
            expect(error.message).toContain("offline");
            await refused(another().delete(exported), "in-use");
        } finally {
            await session.close();
        }
        await another().delete(exported);
    });
});

describe("an export", () => {
    test("lets in who proves who it is, and nobody else", async () => {
        await client.volume("e1");
        // With tgt a user has one password in all exports.
        const chap = { ...CHAP, username: "alone" };
        const initiators = [{ iqn: CLIENT, chap }];
        const { inputs, failures } = await exportLifecycle.check(client.context, undefined, {
            ...client.exportArgs("e1-x", "e1", { initiators }),
        });
        expect(failures).toEqual([]);
        expect(inputs).toMatchObject({ host: HOST });
        const exported = await client.export("e1-x", "e1", { initiators });
        const lun = iscsi.lunOf(exported.connection, CLIENT);
        expect(lun.chap).toEqual(chap);
        expect(await iscsi.login(lun)).toMatchObject({ ok: true });
        expect(await iscsi.login({ ...lun, chap: { ...chap, password: "Open-Sesame-124" } })).toMatchObject({
            ok: false,
        });
        const { chap: _, ...open } = lun;
        expect(await iscsi.login(open)).toMatchObject({ ok: false });
        expect(await iscsi.login({ ...lun, initiator: `${CLIENT}2` })).toMatchObject({ ok: false });
        await iscsi.write(lun, { offset: 0, length: 4096, pattern: 0x5a });
        expect(firstByte("e1")).toBe(0x5a);
        expect(await client.export("e1-x", "e1", { initiators })).toEqual(exported);
        await refused(another({ stack: "theirs" }).export("e1-x", "e1", { initiators }), "not-ours");
        const rotated = await client.changeExport(exported, {
            initiators: [{ iqn: CLIENT, chap: { ...chap, password: "Another-Word-1" } }],
        });
        expect(await iscsi.login(lun)).toMatchObject({ ok: false });
        expect(await iscsi.login(iscsi.lunOf(rotated.connection, CLIENT))).toMatchObject({ ok: true });
    });

    test("keeps its volume from being deleted", async () => {
        const state = await client.volume("e2");
        const exported = await client.export("e2-x", "e2");
        expect((await refused(client.delete(state), "in-use")).message).toContain("e2-x");
        await client.delete(exported);
        await client.delete(exported);
        expect(await iscsi.login(iscsi.lunOf(exported.connection, CLIENT))).toMatchObject({ ok: false });
        await client.delete(state);
        expect(await exportLifecycle.read(another().context, exported)).toBeUndefined();
    });

    test("lost with its daemon is drift, which an update heals", async () => {
        await client.volume("e3");
        const exported = await client.export("e3-x", "e3");
        const lun = iscsi.lunOf(exported.connection, CLIENT);
        await host.stopTgtd();
        await host.startTgtd();
        expect(await iscsi.login(lun)).toMatchObject({ ok: false });
        const fresh = another();
        const found = await exportLifecycle.read(fresh.context, exported);
        expect(found?.state.drift).not.toEqual([]);
        const state = found?.state ?? exported;
        const changes = await exportLifecycle.diff(fresh.context, state, client.exportArgs("e3-x", "e3"));
        expect(changes).toMatchObject([{ property: "drift", kind: "update", class: "none" }]);
        const healed = await fresh.changeExport(state, {});
        expect(healed.drift).toEqual([]);
        expect(healed.connection).toEqual(exported.connection);
        expect(await iscsi.login(lun)).toMatchObject({ ok: true });
    });

    test("shows initiators that its volume has grown", async () => {
        const state = await another().volume("e4");
        const fresh = another();
        const exported = await fresh.export("e4-x", "e4");
        const lun = iscsi.lunOf(exported.connection, CLIENT);
        expect(await iscsi.capacity(lun)).toBe(4 * MiB);
        await fresh.change(state, { size: "8MiB" });
        expect(await iscsi.capacity(lun)).toBe(8 * MiB);
        expect(await iscsi.login(lun)).toMatchObject({ ok: true });
    });

    test("of a snapshot is read-only", async () => {
        const fresh = another();
        await fresh.volume("e5");
        fill("e5", 4);
        await fresh.snapshot("e5-a", "e5");
        const exported = await fresh.export("e5-x", "e5-a");
        const lun = iscsi.lunOf(exported.connection, CLIENT);
        expect(await iscsi.read(lun, { offset: 0, length: 4096 })).toEqual(Buffer.alloc(4096, 4));
        await expect(iscsi.write(lun, { offset: 0, length: 512, pattern: 1 })).rejects.toThrow();
        expect(firstByte("e5-a")).toBe(4);
    });
});

describe("a host", () => {
    test("that is read-only is only read", async () => {
        const state = await client.volume("h1");
        const one = another({ configuration: { readOnly: true } });
        expect(await one.read(state)).toEqual(state);
        expect(await one.volume("h1")).toEqual(state);
        await refused(one.volume("h1-b"), "unsupported");
        await refused(one.change(state, { size: "8MiB" }), "unsupported");
        await refused(one.delete(state), "unsupported");
        expect(existsSync(fileOf("h1-b"))).toBe(false);
    });

    test("that is protected deletes nothing", async () => {
        const one = another({ configuration: { protect: true } });
        const state = await one.volume("h2");
        await refused(one.delete(state), "unsupported");
        await one.change(state, { size: "8MiB" });
        expect(existsSync(state.path)).toBe(true);
    });

    test("that is decommissioned is not touched by deletes", async () => {
        const state = await client.volume("h3");
        const one = another({ configuration: { decommissioned: true, port: 1 } });
        await one.delete(state);
        await refused(one.read(state), "unreachable");
        expect(existsSync(state.path)).toBe(true);
        expect(one.runs).toBe(0);
    });

    test("takes one run for each operation when it is warm, and one connection", async () => {
        const one = another();
        await one.host.facts();
        let before = one.runs;
        expect(before).toBe(1);
        const cost: Record<string, number> = {};
        const counted = async <T>(what: string, work: Promise<T>): Promise<T> => {
            const done = await work;
            cost[what] = one.runs - before;
            before = one.runs;
            return done;
        };
        const made = await counted("create", one.volume("c1"));
        const exported = await counted("export", one.export("c1-x", "c1"));
        await counted("read", exportLifecycle.read(one.context, exported));
        await counted("remove export", one.delete(exported));
        await counted("delete", one.delete(made));
        expect(cost).toEqual({ create: 1, export: 1, read: 0, "remove export": 1, delete: 1 });
        expect(one.host.counters.connections).toBe(1);
    });
});
