/**
 * The script of a run, in each shell that a host may have: what ends a plan that hangs, and what is left when the run
 * itself is ended.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ScriptPlan, composeRun, parseRun, stepId } from "../../provider/host/script";
import { quote, raw } from "../../provider/sh";
import { createTransport, type Transport } from "../../provider/transport";
import { eventually, lives, pidsIn } from "./support/processes";

let directory: string;
beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "blockhost-script-"));
});
afterAll(async () => {
    await rm(directory, { recursive: true });
});

describe.each(["dash", "bash --posix", "busybox sh"])("a run in %s", (shell) => {
    let transport: Transport;
    beforeAll(() => {
        transport = createTransport({ name: "here", address: "local", shell });
    });
    afterAll(() => transport.close());

    const plan = (deadline: number, ...scripts: string[]): ScriptPlan => ({
        deadline,
        steps: scripts.map((text, k) => ({ label: String(k), script: raw(text) })),
    });

    const run = async (...plans: ScriptPlan[]) => {
        const script = composeRun({
            stateDirectory: directory,
            lockTimeout: 5,
            plans,
            settle: [],
            readback: [],
        });
        const { stdout, stderr } = await transport.run(script.text);
        return parseRun(script.nonce, stdout, stderr);
    };

    /** What a step starts: two processes that would go on for minutes, with their ids in a file. */
    const hanging = (file: string) => {
        const path = quote(join(directory, file));
        return `sleep 300 & echo $! >> ${path}; sh -c 'echo $$; exec sleep 301' >> ${path}`;
    };
    const pids = async (file: string) => {
        const path = join(directory, file);
        const read = () => (existsSync(path) ? pidsIn(readFileSync(path, "utf8")) : []);
        await eventually(() => read().length === 2);
        return read();
    };

    it("ends a plan that hangs, with all that it has started, and goes on with the next", async () => {
        const { frames, timedOut } = await run(
            plan(60, "echo first"),
            plan(1, "echo begun", hanging(`hangs ${shell}`), "echo never"),
            plan(60, "echo last"),
        );
        expect([...timedOut]).toEqual([1]);
        expect(frames.get(stepId(0, 0))).toMatchObject({ stdout: "first\n", exitStatus: 0 });
        expect(frames.get(stepId(1, 0))).toMatchObject({ stdout: "begun\n", exitStatus: 0 });
        expect(frames.get(stepId(1, 1))?.exitStatus).toBeUndefined();
        expect(frames.get(stepId(1, 2))).toBeUndefined();
        expect(frames.get(stepId(2, 0))).toMatchObject({ stdout: "last\n", exitStatus: 0 });
        expect((await pids(`hangs ${shell}`)).filter(lives)).toEqual([]);
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
        const began = run(plan(60, hanging(`killed ${shell}`)), plan(60, "echo never"));
        const [first = 0, second = 0] = await pids(`killed ${shell}`);
        // The step, its plan, and the run.
        const step = parentOf(first);
        const itself = parentOf(parentOf(step));
        process.kill(itself, "SIGKILL");
        const { frames } = await began;
        expect(frames.get(stepId(0, 0))?.exitStatus).toBeUndefined();
        expect(frames.get(stepId(1, 0))).toBeUndefined();
        await eventually(() => ![first, second, step].some(lives));
    });

    it("goes on with no plan that nobody watches over any more", async () => {
        const { frames, timedOut } = await run(plan(60, "kill -KILL $bh_guard_pid"), plan(60, "sleep 300"));
        expect(frames.get(stepId(0, 0))?.exitStatus).toBe(0);
        expect([...timedOut]).toEqual([]);
        expect(frames.get(stepId(1, 0))?.exitStatus).toBeUndefined();
    });
});

function parentOf(pid: number): number {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    return Number(/^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1]);
}
