/**
 * The script of a run, in each shell that a host may have: what ends a plan that hangs, and what is left when the run
 * itself is ended.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ScriptPlan, composeRun, parseRun, stepId } from "../../provider/host/script";
import { raw } from "../../provider/sh";

let directory: string;
beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "blockhost-script-"));
});
afterAll(async () => {
    await rm(directory, { recursive: true });
});

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("a run in %s", (...words) => {
    const plan = (deadline: number, ...scripts: string[]): ScriptPlan => ({
        deadline,
        steps: scripts.map((text, k) => ({ label: String(k), script: raw(text) })),
    });

    const compose = (...plans: ScriptPlan[]) =>
        composeRun({ stateDirectory: directory, lockTimeout: 5, plans, settle: [], readback: [] });

    const start = (text: string): ChildProcess => {
        const [shell = "", ...options] = words;
        return spawn(shell, [...options, "-c", text], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    };

    const run = async (...plans: ScriptPlan[]) => {
        const script = compose(...plans);
        const child = start(script.text);
        const said = { stdout: "", stderr: "" };
        child.stdout?.on("data", (chunk: Buffer) => (said.stdout += String(chunk)));
        child.stderr?.on("data", (chunk: Buffer) => (said.stderr += String(chunk)));
        await new Promise((resolve) => child.on("close", resolve));
        expect(await processesOf(child)).toEqual([]);
        return parseRun(script.nonce, said.stdout, said.stderr);
    };

    it("ends a plan that hangs, with all that it has started, and goes on with the next", async () => {
        const { frames, timedOut } = await run(
            plan(60, "echo first"),
            plan(1, "echo begun", "sleep 300 & sleep 301", "echo never"),
            plan(60, "echo last"),
        );
        expect([...timedOut]).toEqual([1]);
        expect(frames.get(stepId(0, 0))).toMatchObject({ stdout: "first\n", exitStatus: 0 });
        expect(frames.get(stepId(1, 0))).toMatchObject({ stdout: "begun\n", exitStatus: 0 });
        expect(frames.get(stepId(1, 1))?.exitStatus).toBeUndefined();
        expect(frames.get(stepId(1, 2))).toBeUndefined();
        expect(frames.get(stepId(2, 0))).toMatchObject({ stdout: "last\n", exitStatus: 0 });
    });

    it("gives each plan its own time, counted from its own beginning", async () => {
        const { frames, timedOut } = await run(
            plan(2, "sleep 1.5"),
            plan(2, "sleep 1.5"),
            plan(1, "sleep 300"),
        );
        expect([...timedOut]).toEqual([2]);
        expect([0, 1].map((p) => frames.get(stepId(p, 0))?.exitStatus)).toEqual([0, 0]);
    });

    it("does not take a plan for timed out that was killed by somebody else", async () => {
        const { frames, timedOut } = await run(plan(60, "exec sh -c 'kill -KILL $PPID'"), plan(60, ":"));
        expect([...timedOut]).toEqual([]);
        expect(frames.get(stepId(0, 0))?.exitStatus).toBeUndefined();
        expect(frames.get(stepId(1, 0))?.exitStatus).toBe(0);
    });

    it("leaves nothing at work when the run itself is killed", async () => {
        const child = start(compose(plan(60, "sleep 300 & sleep 301"), plan(60, ":")).text);
        await expect
            .poll(async () => (await processesOf(child)).filter((name) => name === "sleep").length)
            .toBeGreaterThanOrEqual(2);
        child.kill("SIGKILL");
        await expect.poll(() => processesOf(child), { timeout: 5000 }).toEqual([]);
    });
});

/** Names of the processes that are left in a child's session. */
async function processesOf(child: ChildProcess): Promise<string[]> {
    await sleep(50);
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(
        pids.map(async (pid) => {
            const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
            const [, name = "", rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(stat) ?? [];
            const [state, , , session] = rest.split(" ");
            return state !== "Z" && session === String(child.pid) ? [name] : [];
        }),
    );
    return found.flat();
}
