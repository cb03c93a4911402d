import { statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { freePort } from "../../tools/embedded-host/ports.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

describe.each(FACES)("$face face:", ({ face, blockhost }) => {
    /** What a preview refuses: before anything is changed, by property, with what to do about it. */

    let host: EmbeddedHost;
    let stack: TestStack;
    /** Bytes that the pool may promise; nothing is over-subscribed. */
    let room: number;
    beforeAll(async () => {
        host = await startEmbeddedHost({ name: "san1", pools: ["fast"] });
        const directory = host.poolDirectories["fast"] ?? "";
        const configuration = host.configuration();
        const pools = { fast: { ...configuration.pools["fast"], maxOverSubscriptionRatio: 1 } };
        stack = await TestStack.create({
            hosts: [host],
            moreHosts: {
                san1: { ...configuration, pools },
                gone: { ...configuration, port: await freePort(), targets: undefined },
            },
        });
        const { blocks, bsize } = statfsSync(directory);
        room = blocks * bsize;
    });
    afterAll(async () => {
        await host.stop();
        stack.remove();
    });

    test("names every input that is not right, and the remedy", async () => {
        const preview = await stack.preview(async () => {
            const wrong = { hostt: "san1", wipe: { method: "zeroes" } } as object;
            new blockhost.Volume("bad", {
                host: "san2",
                pool: "fast",
                name: "../etc",
                size: "10 GB",
                ...wrong,
            });
        });
        expect(preview.failed).toBe(true);
        const said = saidOf(preview);
        expect(said).toMatch(/property host value .*there is no host "san2".*did you mean "san1"\?/);
        expect(said).toMatch(/property name value .*(letters|must|name)/);
        expect(said).toMatch(/property size value .*GiB/);
        expect(said).toMatch(/has a problem: wipe\.method: .*"none".*did you mean "zero"\?/);
        // Generated classes pass on only what they know; TypeScript has refused the rest.
        const passedOn = face === "dynamic";
        if (passedOn)
            expect(said).toMatch(/has a problem: hostt: there is no such property; did you mean "host"\?/);
        // Once each.
        expect(preview.diagnostics).toHaveLength(passedOn ? 5 : 4);
    });

    test("names a pool that there is none of, an initiator that is none, and a password too short without telling it", async () => {
        const pool = await stack.preview(async () => {
            new blockhost.Volume("bad", { host: "san1", pool: "fsat", size: "10MiB" });
        });
        expect(pool.failed).toBe(true);
        expect(saidOf(pool)).toMatch(
            /property pool value .*host "san1" has no pool "fsat"; did you mean "fast"\?/,
        );

        const preview = await stack.preview(async () => {
            new blockhost.Export("lun", {
                source: "san1/fast/something",
                protocol: "iscsi",
                initiators: [{ iqn: "db1", chap: { username: "db1", password: "tooshort" } }],
            });
        });
        expect(preview.failed).toBe(true);
        const said = saidOf(preview);
        expect(said).toMatch(/has a problem: initiators\[0\]\.iqn: /);
        expect(said).toMatch(/has a problem: initiators\[0\]\.chap\.password: .*12/);
        expect(preview.output).not.toContain("tooshort");
    });

    test("adds up the space that a whole preview asks for", async () => {
        const half = Math.floor((room * 0.55) / 512) * 512;
        const volume = (name: string) =>
            new blockhost.Volume(name, { host: "san1", pool: "fast", size: half });
        const one = await stack.preview(async () => void volume("one"));
        expect(one).toMatchObject({ failed: false, diagnostics: [], changes: { one: "create" } });
        const both = await stack.preview(async () => {
            volume("one");
            volume("two");
        });
        expect(both.failed).toBe(true);
        expect(saidOf(both)).toMatch(
            /property size value .*pool "fast" has no room for .*what to do: ask for less/s,
        );
    });

    test("does not touch what is somebody else's", async () => {
        writeFileSync(join(host.poolDirectories["fast"] ?? "", "theirs.img"), "precious");
        const preview = await stack.preview(async () => {
            new blockhost.Volume("theirs", { host: "san1", pool: "fast", size: "10MiB" });
        });
        expect(preview.failed).toBe(true);
        expect(saidOf(preview)).toMatch(/property (name|host) value .*(carries no owner mark|not empty)/);
        expect(preview.output).not.toContain("nil");
    });

    test("goes on where a host cannot be reached, with a warning", async () => {
        const preview = await stack.preview(async () => {
            new blockhost.Volume("far", { host: "gone", pool: "fast", size: "10MiB" });
        });
        expect(preview).toMatchObject({ failed: false, changes: { far: "create" } });
        expect(preview.output).toMatch(/warning: .*gone/);
    });

    function saidOf({ diagnostics }: { diagnostics: readonly { message: string }[] }): string {
        return diagnostics.map(({ message }) => message).join("\n");
    }
});
