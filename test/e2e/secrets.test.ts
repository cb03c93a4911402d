import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as pulumi from "@pulumi/pulumi";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { freePort } from "../contract/support/sshd";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

describe.each(FACES)("$face face:", ({ blockhost }) => {
    const oneWay = "Kestrel-flies-at-nine";
    const mutual = "Merlin-comes-at-noon1";
    const rotated = "Osprey-dives-at-dusk1";
    /** Not secret at all: shows that the watch on command lines sees even what lives for a moment. */
    const control = "seen-on-a-command-line";

    let host: EmbeddedHost;
    let stack: TestStack;
    beforeAll(async () => {
        host = await startEmbeddedHost({ name: "san1" });
        stack = await TestStack.create({ hosts: [host] });
    });
    afterAll(async () => {
        await host.stop();
        stack.remove();
    });

    /** The passwords as plain text: it is the provider that has to make them secret. */
    const program = (password: string) => async () => {
        const data = new blockhost.Volume("data", { host: "san1", pool: "fast", size: "16MiB" });
        const lun = new blockhost.Export("lun", {
            source: data,
            protocol: "iscsi",
            initiators: [
                {
                    iqn: "iqn.2024-01.com.example:db1",
                    chap: { username: "db1", password },
                    mutualChap: { username: "san1", password: mutual },
                },
            ],
        });
        return {
            connection: lun.connection,
            wrapped: pulumi.interpolate`${lun.connection.data["auth_password"]}`,
        };
    };

    test("no secret is in the state, in what is printed, or on any command line", async () => {
        const watch = new CommandLineWatch([oneWay, mutual, rotated, control]);
        await watch.started;
        const up = await stack.up(program(oneWay));
        const rotation = await stack.up(program(rotated));
        const refresh = await stack.refresh();
        const state = stack.stored();
        const preview = await stack.preview(program(rotated));
        const destroy = await stack.destroy();
        await once(spawn("sh", ["-c", `sleep 0.05; : ${control}`]), "exit");
        const seen = await watch.stop();

        expect(up).toMatchObject({ failed: false, changes: { data: "create", lun: "create" } });
        expect(rotation).toMatchObject({ failed: false, changes: { lun: "update" } });
        expect(preview).toMatchObject({ failed: false, changes: {} });
        for (const outcome of [up, rotation, refresh, preview, destroy]) {
            expect(outcome.failed).toBe(false);
            for (const secret of [oneWay, mutual, rotated]) expect(outcome.output).not.toContain(secret);
        }
        for (const secret of [oneWay, mutual, rotated]) expect(state).not.toContain(secret);
        // The state does hold them, encrypted: else a refresh could not tell what is declared.
        expect(state).toContain("ciphertext");
        expect(seen).toEqual([control]);
    });

    test("nor is one in what is recorded of an export that failed half-way", async () => {
        const taken = createServer();
        const port = await freePort();
        const targets = {
            iscsi: {
                helper: "tgt",
                controlPort: host.tgt?.controlPort,
                portals: [`127.0.0.1:${String(port)}`],
            },
        };
        const half = await TestStack.create({
            hosts: [],
            project: "half",
            moreHosts: { san1: host.configuration({ targets }) },
        });
        try {
            // The portal is taken by somebody else after the preview has found it free.
            const failed = await half.up(() => {
                const data = new blockhost.Volume("half", { host: "san1", pool: "fast", size: "16MiB" });
                data.id.apply(() => {
                    taken.listen(port, "127.0.0.1");
                    const chap = { username: "half", password: oneWay };
                    const initiators = [{ iqn: "iqn.2024-01.com.example:half", chap }];
                    new blockhost.Export("half-lun", { source: data, protocol: "iscsi", initiators });
                });
                return Promise.resolve();
            });
            expect(failed.failed).toBe(true);
            expect(failed.output).toContain("the port is taken");
            const recorded = (await half.resources())["half-lun"];
            expect(recorded?.id).toBe("san1/iscsi/half-lun");
            expect(recorded?.outputs["drift"]).not.toEqual([]);
            expect(failed.output).not.toContain(oneWay);
            expect(half.stored()).not.toContain(oneWay);
            expect((await half.destroy()).failed).toBe(false);
            expect(readdirSync(join(host.stateDirectory, "exports/iscsi"))).toEqual([]);
        } finally {
            taken.close();
            half.remove();
        }
    });

    /** Reads every process's command line, over and over, on a thread of its own. */
    class CommandLineWatch {
        readonly started: Promise<unknown>;
        private readonly worker: Worker;
        private readonly ended = new Int32Array(new SharedArrayBuffer(4));

        constructor(needles: readonly string[]) {
            this.worker = new Worker(WATCH, { eval: true, workerData: { needles, ended: this.ended } });
            this.started = once(this.worker, "message");
        }

        async stop(): Promise<string[]> {
            const result = once(this.worker, "message");
            Atomics.store(this.ended, 0, 1);
            return ((await result) as [string[]])[0];
        }
    }

    const WATCH = `
const { readdirSync, readFileSync } = require("node:fs");
const { parentPort, workerData: { needles, ended } } = require("node:worker_threads");
const seen = new Set();
parentPort.postMessage("started");
while (Atomics.load(ended, 0) === 0) {
    for (const name of readdirSync("/proc")) {
        if (!/^[0-9]+$/.test(name)) continue;
        let line = "";
        try { line = readFileSync("/proc/" + name + "/cmdline", "latin1"); } catch { continue; }
        for (const needle of needles) if (line.includes(needle)) seen.add(needle);
    }
}
parentPort.postMessage([...seen]);
`;
});
