import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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

/** A step that failed, with its exit status. */
export class StepFailed extends Error {
    constructor(readonly ran: Ran) {
        super(`${ran.label}: exit status ${String(ran.status)}: ${ran.stderr}`);
    }
}

export type Planner<Options> = (context: PlanContext<Options>) => Plan;

/**
 * This machine as a storage host for one driver, without the engine: observes, runs the steps of a plan one by one in
 * a shell each, and stops where it is told to.
 */
export class LocalHost<Options> {
    readonly root: string;
    readonly stateDirectory: string;
    /** Shell and arguments before `-c`. */
    shell: readonly string[] = ["sh"];
    /** Steps that ran since the harness was made. */
    readonly ran: Ran[] = [];

    constructor(readonly driver: Driver<Options>) {
        this.root = mkdtempSync(join(tmpdir(), "blockhost-"));
        this.stateDirectory = join(this.root, "state");
        this.sh(`mkdir -p '${this.stateDirectory}'`);
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
    sh(script: string): string {
        const run = this.spawn(script);
        if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`);
        return run.stdout;
    }

    private spawn(script: string): { status: number; stdout: string; stderr: string } {
        const [command = "sh", ...args] = this.shell;
        const run = spawnSync(command, [...args, "-c", script], {
            encoding: "utf8",
            stdio: ["ignore", "pipe", "pipe"],
            maxBuffer: 1 << 28,
            cwd: "/",
        });
        if (run.error !== undefined) throw run.error;
        return { status: run.status ?? 255, stdout: run.stdout, stderr: run.stderr };
    }

    observe(pool: PoolRef<Options>, only?: readonly string[]): PoolFacts {
        const run = this.spawn(this.driver.observe(pool, only).text);
        if (run.status !== 0) throw new Error(`observe: exit status ${String(run.status)}: ${run.stderr}`);
        return this.driver.parse(pool, run.stdout);
    }

    units(): ReadonlyMap<string, UnitFacts> {
        return parseUnits(this.spawn(observeUnits(this.stateDirectory).text).stdout);
    }

    context(pool: PoolRef<Options>, waited: ReadonlySet<string> = new Set()): PlanContext<Options> {
        const facts = this.observe(pool);
        // As the engine does: a unit that failed before this operation is none of its business.
        const units = [...this.units()].filter(
            ([name, { state }]) => waited.has(name) || state === "running" || state === "done",
        );
        const host: HostFacts = {
            pools: new Map([[pool.name, facts]]),
            targets: new Map(),
            units: new Map(units),
            tools: new Set(Object.keys(this.driver.tools)),
            claims: [],
            reserved: new Set(),
        };
        return { pool, facts, host };
    }

    /** @throws StepFailed */
    runStep(step: Step): void {
        const { status, stderr } = this.spawn(step.script.text);
        const ran = { label: step.label, status, stderr };
        this.ran.push(ran);
        if (status !== 0) throw new StepFailed(ran);
    }

    /**
     * Brings something about as the engine does: plan, steps, observe, plan again, until the plan is empty.
     *
     * @returns the number of rounds that had steps.
     */
    async perform(pool: PoolRef<Options>, planner: Planner<Options>): Promise<number> {
        const waited = new Set<string>();
        for (let round = 0; round < 8; round++) {
            const plan = planner(this.context(pool, waited));
            if (isEmpty(plan)) return round;
            for (const step of plan.steps) this.runStep(step);
            if (plan.waitFor === undefined) this.checkReadback(pool, plan);
            else {
                waited.add(plan.waitFor);
                await this.unitEnds(plan.waitFor);
            }
        }
        throw new Error("the plan never became empty");
    }

    /** The facts of what a plan touched must be the same, read alone or with everything else. */
    private checkReadback(pool: PoolRef<Options>, plan: Plan): void {
        const touched = plan.touched.pools?.[pool.name] ?? [];
        const all = this.observe(pool);
        const some = this.observe(pool, touched);
        for (const name of touched) {
            const [a, b] = [all.objects.get(name), some.objects.get(name)].map((object) =>
                JSON.stringify({ ...object, openBy: undefined }),
            );
            if (a !== b) throw new Error(`read-back of ${name} differs: ${String(a)} ${String(b)}`);
        }
    }

    /** Runs only the first `count` steps of the first plan (a stop in between), and says how many there were. */
    performUntil(pool: PoolRef<Options>, planner: Planner<Options>, count: number): number {
        const plan = planner(this.context(pool));
        for (const step of plan.steps.slice(0, count)) this.runStep(step);
        return plan.steps.length;
    }

    async unitEnds(name: string): Promise<void> {
        for (let i = 0; i < 600; i++) {
            if (this.units().get(name)?.state !== "running") return;
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error(`unit ${name} did not end`);
    }

    dispose(): void {
        for (const unit of this.units().values()) {
            if (unit.state === "running") this.spawn(stopUnit(this.stateDirectory, unit.name).text);
        }
        rmSync(this.root, { recursive: true, force: true });
    }
}
