import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { readStats } from "../../tools/stats.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

describe.each(FACES)("$face face:", ({ blockhost }) => {
    /** Two hosts that look the same, and the same program for each. */
    let hosts: EmbeddedHost[];
    let stacks: TestStack[];
    let directory: string;
    let statsFile: string;
    beforeAll(async () => {
        hosts = await Promise.all([1, 2].map(() => startEmbeddedHost({ name: "san1" })));
        stacks = [];
        directory = temporaryDirectory("stats");
        statsFile = join(directory, "stats.jsonl");
        const environment = { BLOCKHOST_STATS_FILE: statsFile };
        for (const host of hosts) stacks.push(await TestStack.create({ hosts: [host], environment }));
    });
    afterAll(async () => {
        for (const host of hosts) await host.stop();
        for (const stack of stacks) stack.remove();
        removeDirectory(directory);
    });

    const program = async () => {
        for (let i = 1; i <= 8; i++) {
            const n = String(i);
            const volume = new blockhost.Volume(`data-${n}`, { host: "san1", pool: "fast", size: "8MiB" });
            const snapshot = new blockhost.Snapshot(`before-${n}`, { volume });
            if (i % 2 === 0) {
                new blockhost.Volume(`copy-${n}`, {
                    host: "san1",
                    pool: "fast",
                    source: { snapshot },
                    size: "16MiB",
                });
            }
            if (i % 4 !== 0) continue;
            new blockhost.Export(`lun-${n}`, {
                source: volume,
                protocol: "iscsi",
                initiators: [{ iqn: `iqn.2024-01.com.example:db${n}` }],
            });
        }
    };

    test("one at a time and 64 at once end in the same state, and leave the same nothing", async () => {
        const found: unknown[] = [];
        for (const [i, parallel] of [1, 64].entries()) {
            const [host, stack] = [hosts[i], stacks[i]];
            if (host === undefined || stack === undefined) throw new Error("no host");
            const up = await stack.up(program, { parallel });
            expect(up).toMatchObject({ failed: false, diagnostics: [] });
            const state = JSON.stringify(await stack.resources(), timeless);
            found.push([anonymous(state, host), filesOf(host)]);
            writeFileSync(statsFile, "");
            expect(await stack.preview(program, { parallel })).toMatchObject({ failed: false, changes: {} });
            const { processes, remoteRuns } = readStats(statsFile);
            expect(processes).toBeGreaterThan(0);
            expect(remoteRuns).toBeLessThanOrEqual(2);
            expect(await stack.destroy({ parallel })).toMatchObject({ failed: false, diagnostics: [] });
            expect(filesOf(host)).toEqual([".blockhost"]);
        }
        expect(Object.keys(JSON.parse((found[0] as string[])[0] ?? "") as object)).toHaveLength(22);
        expect(found[1]).toEqual(found[0]);
    });

    function filesOf(host: EmbeddedHost): string[] {
        return readdirSync(host.poolDirectories["fast"] ?? "").sort();
    }

    /** Without what differs from run to run. */
    function timeless(key: string, value: unknown): unknown {
        if (["created", "modified", "sourcePosition", "stackTrace", "provider"].includes(key))
            return undefined;
        if (key === "connection" || key === "initiators") return "secret";
        // Resources come in any order.
        if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
        return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    }

    /** With generations, and what follows from them, and the host's own place taken out. */
    function anonymous(state: string, host: EmbeddedHost): string {
        return state
            .replaceAll(host.directory, "")
            .replaceAll(/"(generation|poolId|serial|targetName)":"[^"]*"/g, '"$1":"…"');
    }
});
