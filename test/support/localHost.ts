import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Driver, PlanContext, PoolRef } from "../../provider/drivers/types";
import type { HostFacts, PoolFacts, UnitFacts } from "../../provider/host/facts";
import { type Plan, type Step, isEmpty } from "../../provider/host/plan";
import { observeUnits, parseUnits, stopUnit } from "../../provider/host/units";

/** What a step did. */
export interface Ran {
    readonly label: string;
    readonly status: number;
    readonly stderr: string;
}

/** Where an operation is to be stopped: before a step (counted over all rounds), or before a command within it. */
export interface Stop {
    readonly step: number;
    /** Commands of that step that still run; needs bash, which can count them. */
    readonly command?: number;
}

/** The operation was stopped as asked. */
export class Stopped extends Error {}

/** A step that failed, with its exit status. */
export class StepFailed extends Error {
    constructor(readonly ran: Ran) {
        super(`${ran.label}: exit status ${String(ran.status)}: ${ran.stderr}`);
    }
}

export type Planner<Options> = (context: PlanContext<Options>) => Plan;

interface Output {
    status: number;
    signal: NodeJS.Signals | null;
    stdout: string;
    stderr: string;
}

const NEXT = "---- harness: next ----";

/**
 * This machine as a storage host for one driver, without the engine: observes, runs the steps of a plan in a shell, and
 * stops where it is told to.
 */
export class LocalHost<Options> {
    readonly root: string;
    readonly stateDirectory: string;
    /** Shell and arguments before `-c`. */
    shell: readonly string[] = ["sh"];

    constructor(readonly driver: Driver<Options>) {
        this.root = mkdtempSync(join(tmpdir(), "blockhost-"));
        this.stateDirectory = join(this.root, "state");
        mkdirSync(this.stateDirectory);
    }

    pool(name: string, options: unknown, limits: Partial<PoolRef["limits"]> = {}): PoolRef<Options> {
        return {
            name,
            options: this.driver.options.parse(options),
            limits: { maxOverSubscriptionRatio: 20, reservedPercentage: 0, ...limits },
            stateDirectory: this.stateDirectory,
        };
    }

    /** Runs anything, for preparing a test. */
    async sh(script: string): Promise<string> {
        const run = await this.spawn(script);
        if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`);
        return run.stdout;
    }

    private spawn(script: string, shell = this.shell): Promise<Output> {
        const [command = "sh", ...args] = shell;
        return new Promise((resolve, reject) => {
            const child = spawn(command, [...args, "-c", script], {
                cwd: "/",
                stdio: ["ignore", "pipe", "pipe"],
            });
            const out: Buffer[] = [];
            const err: Buffer[] = [];
            child.stdout.on("data", (data: Buffer) => out.push(data));
            child.stderr.on("data", (data: Buffer) => err.push(data));
            child.on("error", reject);
            child.on("close", (status, signal) => {
                const [stdout, stderr] = [out, err].map((parts) => Buffer.concat(parts).toString());
                resolve({ status: status ?? 255, signal, stdout: stdout ?? "", stderr: stderr ?? "" });
            });
        });
    }

    async observe(pool: PoolRef<Options>, only?: readonly string[]): Promise<PoolFacts> {
        const run = await this.spawn(this.driver.observe(pool, only).text);
        if (run.status !== 0) throw new Error(`observe: exit status ${String(run.status)}: ${run.stderr}`);
        return this.driver.parse(pool, run.stdout);
    }

    async units(): Promise<ReadonlyMap<string, UnitFacts>> {
        return parseUnits((await this.spawn(observeUnits(this.stateDirectory).text)).stdout);
    }

    async context(
        pool: PoolRef<Options>,
        waited: ReadonlySet<string> = new Set(),
    ): Promise<PlanContext<Options>> {
        const script = `(\n${this.driver.observe(pool).text}\n)\necho '${NEXT}'\n${observeUnits(this.stateDirectory).text}`;
        const [observed = "", running = ""] = (await this.spawn(script)).stdout.split(`${NEXT}\n`);
        const facts = this.driver.parse(pool, observed);
        // As the engine does: a unit that failed before this operation is none of its business.
        const units = [...parseUnits(running)].filter(
            ([name, { state }]) => waited.has(name) || state === "running" || state === "done",
        );
        const host: HostFacts = {
            pools: new Map([[pool.name, facts]]),
            targets: new Map(),
            units: new Map(units),
            epoch: { boot: "boot-1", word: "word-1", made: new Set() },
            tools: new Set(Object.keys(this.driver.tools(pool.options))),
            claims: [],
            reserved: new Set(),
        };
        return { pool, facts, host };
    }

    /**
     * Runs steps one after the other, each in a subshell, up to the first that fails.
     *
     * @throws StepFailed
     */
    async runSteps(steps: readonly Step[]): Promise<void> {
        const script = steps
            .map(
                ({ script }, i) =>
                    `(\n${script.text}\n) </dev/null || { s=$?; echo '${NEXT}' ${String(i)} >&2; exit $s; }`,
            )
            .join("\n");
        const { status, stderr } = await this.spawn(script);
        if (status === 0) return;
        const [said = "", index] = stderr.split(`${NEXT} `);
        throw new StepFailed({ label: steps[Number(index)]?.label ?? "?", status, stderr: said });
    }

    /** Runs a step's first commands and then kills its shell, as a lost connection or power would. */
    private async runCommands(step: Step, commands: number): Promise<void> {
        const { status, signal, stderr } = await this.spawn(killAfter(commands) + step.script.text, [
            "bash",
            "--posix",
        ]);
        if (signal === "SIGKILL") throw new Stopped(step.label);
        if (status !== 0) throw new StepFailed({ label: step.label, status, stderr });
    }

    /**
     * Brings something about as the engine does: plan, steps, observe, plan again, until the plan is empty.
     *
     * @returns the number of rounds that had something to do.
     * @throws Stopped
     */
    async perform(pool: PoolRef<Options>, planner: Planner<Options>, stop?: Stop): Promise<number> {
        const waited = new Set<string>();
        let count = 0;
        for (let round = 0; round < 8; round++) {
            const plan = planner(await this.context(pool, waited));
            if (isEmpty(plan)) return round;
            await this.carryOut(plan, count, stop);
            count += plan.steps.length;
            if (plan.waitFor !== undefined) {
                waited.add(plan.waitFor);
                await this.unitEnds(plan.waitFor);
            } else if (stop === undefined) {
                await this.checkReadback(pool, plan);
            }
        }
        throw new Error("the plan never became empty");
    }

    private async carryOut({ steps }: Plan, count: number, stop: Stop | undefined): Promise<void> {
        const at = stop === undefined ? -1 : stop.step - count;
        const last = steps[at];
        if (stop === undefined || last === undefined) return this.runSteps(steps);
        await this.runSteps(steps.slice(0, at));
        if (stop.command === undefined) throw new Stopped(last.label);
        await this.runCommands(last, stop.command);
        await this.runSteps(steps.slice(at + 1));
    }

    /** The facts of what a plan touched must be the same, read alone or with everything else. */
    private async checkReadback(pool: PoolRef<Options>, plan: Plan): Promise<void> {
        const touched = plan.touched.pools?.[pool.name] ?? [];
        const all = await this.observe(pool);
        const some = await this.observe(pool, touched);
        for (const name of touched) {
            const [a, b] = [all.objects.get(name), some.objects.get(name)].map((object) =>
                JSON.stringify({ ...object, openBy: undefined }),
            );
            if (a !== b) throw new Error(`read-back of ${name} differs: ${String(a)} ${String(b)}`);
        }
    }

    async unitEnds(name: string): Promise<void> {
        for (let i = 0; i < 600; i++) {
            if ((await this.units()).get(name)?.state !== "running") return;
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error(`unit ${name} did not end`);
    }

    async dispose(): Promise<void> {
        for (const unit of (await this.units()).values()) {
            if (unit.state === "running") await this.spawn(stopUnit(this.stateDirectory, unit.name).text);
        }
        rmSync(this.root, { recursive: true, force: true });
    }
}

/** Shell text that lets a number of commands run and then kills the shell. */
function killAfter(commands: number): string {
    return `set -T; bh_left=${String(commands)}; trap '[ $((bh_left -= 1)) -ge 0 ] || kill -KILL $$' DEBUG
`;
}
