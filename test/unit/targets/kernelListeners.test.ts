import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lioTarget } from "../../../provider/targets/lio";
import { lioOptions } from "../../../provider/targets/lio/options";
import type { KernelExtra } from "../../../provider/targets/configfs/model";

test("who listens on a portal is found, of either family", async () => {
    const state = mkdtempSync(join(tmpdir(), "bh-listeners-"));
    const servers = [createServer(), createServer()];
    try {
        const ports = await Promise.all(
            servers.map(
                (server, i) =>
                    new Promise<number>((resolve) =>
                        server.listen(0, i === 0 ? "127.0.0.1" : "::1", () => {
                            resolve((server.address() as { port: number }).port);
                        }),
                    ),
            ),
        );
        const portals = [`127.0.0.1:${String(ports[0])}`, `[::1]:${String(ports[1])}`];
        const options = lioOptions.parse({});
        const target = { protocol: "iscsi", helper: "lio", portals, options, stateDirectory: state } as const;
        const facts = lioTarget.parse(target, await shell(lioTarget.observe(target).text));
        const { listeners, owners } = facts.extra as KernelExtra;
        expect(listeners.map(({ portal }) => portal).sort()).toEqual([...portals].sort());
        const me = new RegExp(`\\(process ${String(process.pid)}\\)$`);
        for (const { inode } of listeners) expect(owners.get(inode)).toMatch(me);
    } finally {
        for (const server of servers) server.close();
        rmSync(state, { recursive: true });
    }
});

/** While this process goes on listening. */
function shell(script: string): Promise<string> {
    return new Promise((resolve) => {
        const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
        let output = "";
        child.stdout.on("data", (data: Buffer) => (output += data.toString()));
        child.on("close", () => {
            resolve(output);
        });
    });
}
