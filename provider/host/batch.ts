import { setTimeout as sleep } from "node:timers/promises";
import { BlockhostError, toBlockhostError } from "../errors";
import type { Driver, PoolRef, Session } from "../drivers/types";
import type { Transport } from "../transport/types";
import type { HostConfig } from "./config";
import type { HostFacts } from "./facts";
import { absorbReadback, type CallOptions, NOT_BEGUN, type Operation } from "./host";
import { observationSections } from "./observation";
import { lines } from "../sh";
import { keepEpoch } from "./epoch";
import { clearLeftovers, flush, willFlush } from "./leftovers";
import {
    type Claim,
    DEFAULT_PLAN_TIMEOUT,
    type Explanation,
    GUARD_FAILED,
    IN_USE,
    type Plan,
    type Step,
    joinPlans,
} from "./plan";
import { type Frame, type ParsedRun, type SettleSection, composeRun, parseRun, stepId } from "./script";
import type { Sink } from "./sink";

/**
 * Group commit: plans that wait while a run is in flight go together into the next one. Each is planned at the last
 * moment, against the newest facts and what its neighbours are about to take; each fails alone.
 */

/** Most plans in one run: keeps a script at a megabyte and a run below the patience of whoever waits. */
const MAX_PLANS = 128;

/**
 * Milliseconds. Callers come a few milliseconds apart (Pulumi's engine sends one request after the other), and a run's
 * beginning and end cost more than the steps of one of them: it waits until nobody has come for `quiet`, at most `most`.
 */
const GATHER = { quiet: 10, most: 100 };

interface Waiting {
    readonly operation: Operation<unknown>;
    readonly options: CallOptions;
    readonly resolve: (outcome: { plan: Plan | undefined }) => void;
    readonly reject: (error: BlockhostError) => void;
}

interface Due extends Waiting {
    readonly plan: Plan;
}

export interface BatchOutcome {
    readonly frames: ReadonlyMap<string, Frame>;
}

interface Surroundings {
    readonly config: HostConfig;
    readonly transport: Transport;
    readonly sink: Sink;
    facts(): HostFacts | undefined;
    absorb(update: (facts: HostFacts) => HostFacts): void;
}

export class Batch {
    private readonly around: Surroundings;
    private readonly queue: Waiting[] = [];
    private running = false;

    constructor(around: Surroundings) {
        this.around = around;
    }

    /**
     * Resolves with the plan whose steps have been carried out; an empty plan: there was nothing to do; none: the host
     * has to be observed again first.
     */
    submit(operation: Operation<unknown>, options: CallOptions): Promise<{ plan: Plan | undefined }> {
        return new Promise((resolve, reject) => {
            this.queue.push({ operation, options, resolve, reject });
            void this.pump();
        });
    }

    private async pump(): Promise<void> {
        if (this.running) return;
        this.running = true;
        try {
            while (this.queue.length > 0) {
                await this.gather();
                await this.round();
            }
        } finally {
            this.running = false;
        }
    }

    private async gather(): Promise<void> {
        let seen = 0;
        for (let waited = 0; waited < GATHER.most; waited += GATHER.quiet) {
            if (this.queue.length === seen || this.queue.length >= MAX_PLANS) return;
            seen = this.queue.length;
            await sleep(GATHER.quiet);
        }
    }

    private async round(): Promise<void> {
        const due = this.select();
        if (due.length === 0) return;
        try {
            const parsed = await this.run(due);
            due.forEach((item, index) => {
                this.conclude(item, index, parsed);
            });
        } catch (error) {
            for (const item of due) item.reject(this.located(error, item.operation, true));
        }
    }

    /** Plans what is waiting; what touches an object that an earlier plan of this run touches waits for the next. */
    private select(): Due[] {
        const facts = this.around.facts();
        const waiting = this.queue.splice(0);
        const due: Due[] = [];
        const claims: Claim[] = [];
        const reserved = new Set<string>();
        const touched = new Set<string>();
        for (const item of waiting) {
            if (due.length >= MAX_PLANS) {
                this.queue.push(item);
                continue;
            }
            try {
                if (item.options.signal?.aborted === true) throw new BlockhostError("cancelled", NOT_BEGUN);
                if (facts === undefined) {
                    item.resolve({ plan: undefined });
                    continue;
                }
                const plan = item.operation.plan({
                    ...facts,
                    claims: [...facts.claims, ...claims],
                    reserved,
                });
                if (plan.steps.length === 0) {
                    // What is as declared may be so because of a run that was cut short before it was flushed.
                    if (facts.leftovers !== true || this.around.config.readOnly) item.resolve({ plan });
                    else if (due.length > 0) this.queue.push(item);
                    else due.push({ ...item, plan: clearLeftovers(this.around.config.stateDirectory) });
                    continue;
                }
                const keys = touchedKeys(plan);
                if (keys.some((key) => touched.has(key))) {
                    this.queue.push(item);
                    continue;
                }
                this.enforce(item.operation);
                keys.forEach((key) => touched.add(key));
                claims.push(...(plan.claims ?? []));
                plan.reserved?.forEach((name) => reserved.add(name));
                due.push({ ...item, plan });
            } catch (error) {
                item.reject(this.located(error, item.operation));
            }
        }
        return due;
    }

    private async run(due: readonly Due[]): Promise<ParsedRun> {
        const { config, transport, sink } = this.around;
        const wanted = due.map(({ plan }) => plan);
        const { touched, watched = {} } = joinPlans(
            ...wanted.map((plan) => ({ ...plan, steps: [] })).map(withoutWait),
        );
        const plans = wanted.map((plan) => ({ steps: plan.steps, deadline: deadline(plan) }));
        const flushing = flushSection(config, wanted);
        const epoch = this.around.facts()?.epoch;
        const script = composeRun({
            before: lines(
                epoch === undefined ? undefined : keepEpoch(config.stateDirectory, epoch),
                flushing.length === 0 ? undefined : willFlush(config.stateDirectory),
            ),
            stateDirectory: config.stateDirectory,
            lockTimeout: config.lockTimeout,
            plans,
            sessions: sessionsOf(config, touched.pools ?? {}, watched),
            settle: [...settleSections(config, Object.keys(touched.pools ?? {}), wanted), ...flushing],
            readback: observationSections(config, touched),
        });
        const seconds = config.lockTimeout + plans.reduce((sum, plan) => sum + plan.deadline, 0) + 30;
        const doing = due.length === 1 ? due[0]?.operation.doing : `${String(due.length)} operations`;
        const cancel = whenAllAborted(due.map(({ options }) => options.signal));
        try {
            const run = await transport.run(script.text, {
                timeout: seconds * 1000,
                doing,
                signal: cancel.signal,
            });
            const parsed = parseRun(script.nonce, run.stdout, run.stderr);
            sink.ran(config.name, due.length, run.duration);
            this.around.absorb((facts) => absorbReadback(config, facts, touched, parsed.frames));
            if (parsed.refused !== undefined) throw refusal(config, parsed.refused);
            if (parsed.frames.size === 0) {
                throw new BlockhostError("command-failed", "the script did not run", {
                    exitStatus: run.exitStatus,
                    stderr: run.stderr,
                    hint: "the host's `sh` must be a POSIX shell: look at what `sh` is there",
                });
            }
            return parsed;
        } finally {
            cancel.dispose();
        }
    }

    /** Tells one plan of a run how it went. */
    private conclude(item: Due, index: number, parsed: ParsedRun): void {
        const { sink, config } = this.around;
        const { operation, plan } = item;
        for (const [k, step] of plan.steps.entries()) {
            const frame = parsed.frames.get(stepId(index, k));
            if (frame !== undefined)
                sink.step(config.name, operation.doing, step.label, step.script.display, frame);
            if (frame?.exitStatus === 0) continue;
            const error = parsed.timedOut.has(index)
                ? timedOut(step, plan)
                : stepError(step, frame, (said) => explain(config, plan, said));
            item.reject(this.located(error, operation, true));
            return;
        }
        const { later = [], flush, touched } = plan;
        for (const pool of Object.keys(touched.pools ?? {})) {
            const frame = parsed.frames.get(settleSection(pool));
            const left = later.filter((one) => one.pool === pool).map(({ work }) => work);
            if (frame === undefined || !isUndone(frame, left)) continue;
            this.fail(item, `finish the work on pool "${pool}"`, frame);
            return;
        }
        const flushed = parsed.frames.get(FLUSH);
        if (flush !== undefined && isUndone(flushed, flush)) {
            this.fail(item, `flush ${flush.join(", ")}`, flushed);
            return;
        }
        item.resolve({ plan });
    }

    /** What was to be done once for all plans of the run was not. */
    private fail({ operation, plan, reject }: Due, label: string, frame: Frame | undefined): void {
        const step: Step = { label, script: { text: "", display: "the end of the run" } };
        const error = stepError(step, frame, (said) => explain(this.around.config, plan, said));
        reject(this.located(error, operation, true));
    }

    /** `readOnly` and `protect` hold here, where scripts are composed: no plan with steps gets past. */
    private enforce(operation: Operation<unknown>): void {
        const { readOnly, protect } = this.around.config;
        const option = readOnly
            ? "readOnly"
            : protect && operation.effect === "delete"
              ? "protect"
              : undefined;
        if (option === undefined) return;
        throw new BlockhostError("unsupported", `the host is configured as ${option}`, {
            hint: `nothing that ${readOnly ? "changes anything" : "deletes"} is sent to it; take \`${option}\` off the host's configuration to go on`,
        });
    }

    private located(error: unknown, operation: Operation<unknown>, begun = false): BlockhostError {
        const details = { host: this.around.config.name, doing: operation.doing };
        return toBlockhostError(error, begun ? { ...details, begun } : details);
    }
}

function withoutWait(plan: Plan): Plan {
    const { waitFor: _, ...rest } = plan;
    return rest;
}

function touchedKeys({ touched }: Plan): string[] {
    const keys = (kind: string, lists: Readonly<Record<string, readonly string[]>> | undefined) =>
        Object.entries(lists ?? {}).flatMap(([container, names]) =>
            names.map((name) => `${kind}/${container}/${name}`),
        );
    const containers = Object.keys(touched.containers ?? {}).map((pool) => `container/${pool}`);
    const attachments = (touched.attachments ?? []).map((name) => `attachment/${name}`);
    return [
        ...keys("pool", touched.pools),
        ...keys("target", touched.targets),
        ...containers,
        ...attachments,
    ];
}

/** Seconds. */
function deadline(plan: Plan): number {
    return Math.ceil((plan.timeout ?? DEFAULT_PLAN_TIMEOUT) / 1000);
}

/** One session a driver whose pools are touched, where it has one. */
function sessionsOf(
    config: HostConfig,
    touched: Readonly<Record<string, readonly string[]>>,
    watched: Readonly<Record<string, readonly string[]>>,
): Session[] {
    const parts = new Map<Driver, { pool: PoolRef; only: readonly string[] }[]>();
    for (const [name, only] of Object.entries(touched)) {
        const pool = config.pools.get(name);
        if (pool?.driver.session === undefined) continue;
        const list = parts.get(pool.driver) ?? [];
        list.push({ pool: pool.ref, only: [...only, ...(watched[name] ?? [])] });
        parts.set(pool.driver, list);
    }
    return [...parts].flatMap(([driver, list]) => driver.session?.(list) ?? []);
}

function settleSections(
    config: HostConfig,
    pools: readonly string[],
    plans: readonly Plan[],
): SettleSection[] {
    return pools.flatMap((name) => {
        const pool = config.pools.get(name);
        const script = pool?.driver.settle?.(pool.ref);
        const later = plans.flatMap((plan, index) =>
            (plan.later ?? []).filter((one) => one.pool === name).map(({ work }) => ({ plan: index, work })),
        );
        return script === undefined ? [] : [{ id: settleSection(name), script, later }];
    });
}

const FLUSH = "flush";

/** What all plans of the run have left to be flushed. */
function flushSection({ stateDirectory }: HostConfig, plans: readonly Plan[]): SettleSection[] {
    const later = plans.flatMap(({ flush = [] }, plan) => flush.map((work) => ({ plan, work })));
    return later.length === 0 ? [] : [{ id: FLUSH, script: flush(stateDirectory), later, here: true }];
}

/** Whether what was done for all plans of a run was not done for one, which has left this work to it. */
function isUndone(frame: Frame | undefined, left: readonly string[]): boolean {
    if (frame?.exitStatus === 0) return false;
    const undone = new Set(frame?.stdout.split("\n").filter((line) => line.startsWith("undone ")));
    return undone.size === 0 || left.some((work) => undone.has(`undone ${work}`));
}

function settleSection(pool: string): string {
    return `settle:${pool}`;
}

/** What the plan, or the drivers of the pools concerned, know about a failure. */
function explain(config: HostConfig, plan: Plan, said: string): Explanation | undefined {
    const own = plan.explain?.(said);
    if (own !== undefined) return own;
    for (const name of Object.keys(plan.touched.pools ?? {})) {
        const known = config.pools.get(name)?.driver.explain?.(said);
        if (known !== undefined) return known;
    }
    return undefined;
}

function timedOut(step: Step, plan: Plan): BlockhostError {
    return new BlockhostError(
        "timeout",
        `it took longer than ${String(deadline(plan))} s and was ended on the host`,
        {
            step: step.label,
            command: step.script.display,
            hint: "look at the host's load and disks, then run the same again: what was begun will be finished",
        },
    );
}

/** What a step's exit status and words mean. */
function stepError(
    step: Step,
    frame: Frame | undefined,
    explained: (said: string) => Explanation | undefined,
): BlockhostError {
    const details = {
        step: step.label,
        command: step.script.display,
        exitStatus: frame?.exitStatus,
        stderr: frame?.stderr,
    };
    if (frame?.exitStatus === undefined) {
        return new BlockhostError("conflict", "the run ended before this step did", details);
    }
    const said = frame.stderr;
    if (frame.exitStatus === GUARD_FAILED)
        return new BlockhostError("conflict", "the host has changed meanwhile", details);
    if (frame.exitStatus === IN_USE) {
        const hint = "stop what uses it (detach it from its clients), then run the same again";
        return new BlockhostError("in-use", "it is in use on the host", { ...details, hint });
    }
    const known = explained(said);
    if (known !== undefined)
        return new BlockhostError(known.code, known.summary, { ...details, hint: known.hint });
    if (/No space left on device|Disk quota exceeded/.test(said)) {
        const hint =
            "free space there (in the pool, or in the state directory) or give it more, then run the same again: what was begun will be finished";
        return new BlockhostError("no-space", "a file system of the host is full", { ...details, hint });
    }
    if (/Permission denied|Operation not permitted|Read-only file system/.test(said)) {
        const hint =
            "the SSH user lacks the rights: use root, `sudo: true`, or a pool and state directory of that user's own";
        return new BlockhostError("command-failed", "a step failed", { ...details, hint });
    }
    const hint = "mend what the host complains of, then run the same again: what was begun will be finished";
    return new BlockhostError("command-failed", "a step failed", { ...details, hint });
}

function refusal(config: HostConfig, refused: NonNullable<ParsedRun["refused"]>): BlockhostError {
    if (refused.why === "locked") {
        return new BlockhostError(
            "busy",
            `the host's lock was not free within ${String(config.lockTimeout)} s`,
            {
                hint: `another run is at work there; wait for it, or set \`lockTimeout\` higher (lock: ${config.stateDirectory}/lock)`,
            },
        );
    }
    return new BlockhostError(
        "command-failed",
        `the state directory ${config.stateDirectory} cannot be used`,
        {
            stderr: refused.stderr,
            hint: "use root, `sudo: true`, or set `stateDirectory` to a directory that the SSH user can write",
        },
    );
}

/** A run is cancelled when nobody waits for it any more. */
function whenAllAborted(signals: readonly (AbortSignal | undefined)[]): {
    signal: AbortSignal;
    dispose: () => void;
} {
    const controller = new AbortController();
    const given = signals.filter((signal) => signal !== undefined);
    const check = () => {
        if (given.length === signals.length && given.every((signal) => signal.aborted)) controller.abort();
    };
    for (const signal of given) signal.addEventListener("abort", check);
    return {
        signal: controller.signal,
        dispose: () => {
            for (const signal of given) signal.removeEventListener("abort", check);
        },
    };
}
