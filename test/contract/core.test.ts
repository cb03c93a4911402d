import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportLifecycle } from "../../provider/resources/export";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CLIENT, Client, POOL, id, refused } from "../support/client";

/** Hosts, and volumes in use: the resources over the file driver and tgt, through SSH, without the Pulumi engine. */

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
