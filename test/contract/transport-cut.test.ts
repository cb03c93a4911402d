/** A script that is cut in transit does nothing: tried at every byte, with every shell and both ways to hand it over. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootstrapText } from "../../provider/transport/bootstrap";
import { newNonce, runText, type Handover } from "../../provider/transport/framing";
import { eventually } from "./support/processes";
import { sessionOf } from "./transport";

let dir: string;
beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "blockhost-cut-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Gives a ready shell the first bytes of a text and then ends its input; resolves when the shell is gone. */
async function feed(shell: string, text: Buffer): Promise<{ pid: number; begun: boolean }> {
    const child = spawn("setsid", ["-w", ...shell.split(" ")], { stdio: ["pipe", "pipe", "ignore"] });
    const closed = new Promise((resolve) => child.once("close", resolve));
    const nonce = newNonce();
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.write(bootstrapText(nonce));
    await eventually(() => out.includes(`${nonce} H`));
    child.stdin.end(text);
    await closed;
    return { pid: child.pid ?? 0, begun: / B\n/.test(out) };
}

const script = (file: string) => `touch ${file}
f() { touch ${file}; }; f 'it' # it's`;

describe.each<[string, Handover]>([
    ["dash", "word"],
    ["bash", "word"],
    ["bash", "bytes"],
    ["busybox sh", "word"],
])("%s, script as %s", (shell, handover) => {
    it("cut at every byte does nothing and leaves nothing", { timeout: 120_000 }, async () => {
        const file = join(dir, handover);
        const whole = Buffer.from(runText(script(file), newNonce(), 60, handover, 1));
        // The newline behind the nonce carries nothing: without it, the script has arrived whole.
        const cuts = handover === "word" ? whole.length - 1 : whole.length;
        const at = Array.from({ length: cuts }, (_, i) => i);
        const pids: number[] = [];
        await Promise.all(
            Array.from({ length: 8 }, async () => {
                for (let n = at.shift(); n !== undefined; n = at.shift()) {
                    const { pid, begun } = await feed(shell, whole.subarray(0, n));
                    pids.push(pid);
                    expect(begun, `cut after ${String(n)} bytes`).toBe(false);
                    expect(existsSync(file), `cut after ${String(n)} bytes`).toBe(false);
                }
            }),
        );
        expect(pids.length).toBe(cuts);
        await eventually(() => pids.every((pid) => sessionOf(pid).length === 0));
        // The same text, whole, does run.
        expect(await feed(shell, whole)).toMatchObject({ begun: true });
        rmSync(file, { force: true });
    });
});
