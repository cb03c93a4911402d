import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { Client, type ClientOptions, HOST, POOL, refused } from "../support/client";
import { Saboteur } from "../support/saboteur";

/** What becomes of the host itself while operations are under way. */

let host: EmbeddedHost;
const opened: Client[] = [];

function another(options: ClientOptions = {}): Client {
    const one = new Client(host, options);
    opened.push(one);
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
    await another().volume("first");
});

afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await host.stop();
});

const fileOf = (name: string) => join(host.poolDirectories[POOL] ?? "", `${name}.img`);

describe("a host", () => {
    test.each(["refused", "silent"] as const)(
        "out of reach in the middle (%s) is an error, and the next run finishes",
        async (how) => {
            const name = `reach-${how}`;
            const marker = join(host.directory, `halt-${how}`);
            const saboteur = new Saboteur({ where: "between", at: 1, marker });
            const configuration = { connectTimeout: 5000 };
            const one = another({ transport: saboteur.transport, configuration });
            let ended = false;
            const work = refused(one.volume(name), "unreachable").finally(() => (ended = true));
            while (!existsSync(marker) && !ended) await sleep(5);
            await host.setReachable(how);
            host.cutConnections();
            const error = await work;
            expect(error.details.host).toBe(HOST);
            await refused(another({ configuration }).volume(name), "unreachable");
            await host.setReachable("yes");
            await another().volume(name);
            expect(existsSync(fileOf(name))).toBe(true);
        },
    );

    test("lost for a moment: the same operation finds out and finishes", async () => {
        const one = another();
        await one.volume("moment");
        host.cutConnections();
        await one.volume("moment2");
        expect(existsSync(fileOf("moment2"))).toBe(true);
        expect(one.host.counters.connections).toBe(2);
    });

    test("back with another key is not talked to", async () => {
        const one = another();
        await one.volume("key");
        const configuration = { hostKey: host.hostKey };
        host.changeHostKey();
        host.cutConnections();
        const error = await refused(one.volume("key2"), "host-key");
        expect(error.details.hint).toBeTruthy();
        await refused(another({ configuration }).volume("key2"), "host-key");
        expect(existsSync(fileOf("key2"))).toBe(false);
        await another().volume("key2");
    });
});
