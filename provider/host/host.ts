import { setTimeout as sleep } from "node:timers/promises";
import { parseClient } from "../clients/parse";
import { BlockhostError, ERROR_TABLE, hasCode, toBlockhostError } from "../errors";
import type { Protocol } from "../targets/types";
import type { Sh } from "../sh";
import type { Transport } from "../transport/types";
import { Batch, type BatchOutcome } from "./batch";
import type { HostConfig } from "./config";
import { parseEpoch } from "./epoch";
import type { HostFacts, UnitFacts } from "./facts";
import {
    mergeContainers,
    mergePool,
    mergeTarget,
    observationSections,
    parseObservation,
    poolsWithin,
} from "./observation";
import { type Claim, type Plan, type Touched, isEmpty } from "./plan";
import { composeObservation, parseRun } from "./script";
import { splitState } from "./state";
import { parseUnits, observeUnits, stopUnit } from "./units";
import type { Sink } from "./sink";

/** What a caller may hand in with every call. */
export interface CallOptions {
    /** Ends the call. Where its reason is a BlockhostError (a time-out), the call fails with that; else as `cancelled`. */
    readonly signal?: AbortSignal | undefined;
    /** Told what long work is doing. */
    readonly progress?: ((message: string) => void) | undefined;
}

/** Something to be brought about on a host. */
export interface Operation<T> {
    /** As a user would say it: `create volume "pg-data"`. */
    readonly doing: string;
    /** What a `readOnly` or `protect` host refuses. */
    readonly effect: "change" | "delete";
    /** What it has to know beside what every observation reads: containers of pools, with their disks. */
    readonly containers?: Touched["containers"];
    /**
     * Pure: facts in, plan out. Asked again after its steps ran; an empty plan is what verifies them.
     *
     * @throws BlockhostError when it must not or cannot be done.
     */
    plan(facts: HostFacts): Plan;
    /** The state to be recorded, from facts under which the plan is empty. */
    result(facts: HostFacts): T;
}

/** How far an operation has come, over all its tries. */
interface Progress {
    /** Steps were sent to the host. */
    begun: boolean;
}

/** Said of what was cancelled before it had sent anything that changes anything; reading the host may have begun. */
export const NOT_BEGUN = "cancelled before anything was changed on the host";
/** Rounds of steps within one try: initialise, start long work, put in place … */
const MAX_ROUNDS = 8;
/** Milliseconds without progress after which long work counts as stalled. */
const STALL_TIMEOUT = 120_000;
/** Milliseconds for which a host that could not be reached is not tried again. */
const UNREACHABLE_FOR = 5_000;
/** Milliseconds for a look at all of a host: a thousand exports of a slow one are read for minutes. */
const OBSERVE_TIMEOUT = 180_000;
/** Milliseconds for reading back what was touched, and for a question. */
const READ_TIMEOUT = 60_000;
/** Milliseconds for which it is taken as read that something is not there. */
const GONE_FOR_SURE = 5_000;

/**
 * One storage host: observe → plan → apply → verify. One observation serves the whole process; operations that wait
 * while a run is in flight go together into the next one.
 */
export class Host {
    readonly config: HostConfig;
    private readonly transport: Transport;
    private readonly sink: Sink;
    private readonly batch: Batch;
    private current: HostFacts | undefined;
    /** When all of it was read last, as of `performance.now()`. */
    private observedAt = 0;
    private observing: Promise<HostFacts> | undefined;
    private lastFailure: { at: number; error: BlockhostError } | undefined;
    /**
     * What an operation announced in preview is going to bring about, of which nothing can be said before: pools that
     * are made (`fast`), and volumes that were imported without a mark and are taken over (`fast/data`).
     */
    readonly coming = new Set<string>();
    /** Claims of creations announced in preview, by pool and object. */
    private readonly announced = new Map<string, Claim>();
    /** What the plans of a preview take of names that are the whole host's, by operation. */
    private readonly reservations = new Map<string, readonly string[]>();
    /** Who has which name in this run's program. */
    private readonly names = new Map<string, string>();
    /** Values that resources of the program have to give alike, each with who gives it. */
    private readonly values = new Map<string, Map<string, string>>();

    /** In previews: this run is going to remove an export before it makes others. */
    epochEnds = false;

    constructor(config: HostConfig, transport: Transport, sink: Sink) {
        this.config = config;
        this.transport = transport;
        this.sink = sink;
        this.batch = new Batch({
            config,
            transport,
            sink,
            facts: () => this.current,
            absorb: (update) => {
                this.current = this.current === undefined ? undefined : update(this.current);
            },
        });
    }

    get counters() {
        return this.transport.counters;
    }

    /**
     * What is known of the host; observed once, kept up to date by every run's read-back.
     *
     * @param containers of pools, with their disks, which are read on demand.
     */
    async facts(options: CallOptions = {}, containers: Touched["containers"] = {}): Promise<HostFacts> {
        this.refuseDecommissioned();
        let facts = this.current;
        if (facts === undefined) {
            // One observation serves all who wait for it, so none of them can cancel it.
            this.observing ??= this.observe().finally(() => (this.observing = undefined));
            facts = await abandonable(this.observing, options.signal);
        }
        const missing = Object.entries(containers).filter(([pool, disks]) => {
            const known = facts.containers?.get(pool);
            return known === undefined || disks.some((disk) => !known.disks.has(disk));
        });
        if (missing.length === 0) return facts;
        await this.reread({ containers: Object.fromEntries(missing) }, options);
        return this.current ?? this.facts(options, containers);
    }

    /** What is known of it already; nothing is observed for it. */
    get known(): HostFacts | undefined {
        return this.current;
    }

    /** Drops what is known, so that the next call observes again. */
    forget(): void {
        this.current = undefined;
    }

    /** Observes it as it is from now on: what an observation has read that had begun before does not count. */
    async look(options: CallOptions = {}): Promise<HostFacts> {
        this.refuseDecommissioned();
        await this.observing?.catch(() => undefined);
        this.forget();
        return this.facts(options);
    }

    private async observe(): Promise<HostFacts> {
        if (this.lastFailure !== undefined && Date.now() - this.lastFailure.at < UNREACHABLE_FOR) {
            throw this.lastFailure.error;
        }
        const doing = "observe";
        try {
            const script = composeObservation(observationSections(this.config));
            const run = await this.transport.run(script.text, { timeout: OBSERVE_TIMEOUT, doing });
            const parsed = parseRun(script.nonce, run.stdout, run.stderr);
            this.sink.observed(this.config.name, run.duration);
            const facts = parseObservation(this.config, parsed.frames);
            this.current = facts;
            this.observedAt = performance.now();
            this.lastFailure = undefined;
            return facts;
        } catch (error) {
            const failure = toBlockhostError(error, { host: this.config.name, doing });
            if (hasCode(failure, "unreachable", "timeout", "auth", "host-key")) {
                this.lastFailure = { at: Date.now(), error: failure };
            }
            throw failure;
        }
    }

    /**
     * What {@link perform} would do, without doing it: throws what it would throw, and remembers the space that the
     * operation is going to take, so that the sum of a whole preview is what has to fit.
     */
    async preview(operation: Operation<unknown>, options: CallOptions = {}): Promise<Plan> {
        const facts = await this.facts(options, operation.containers);
        return this.located(operation, () => {
            const plan = operation.plan(this.withAnnounced(facts, operation.doing));
            for (const claim of plan.claims ?? []) this.announced.set(`${claim.pool}/${claim.name}`, claim);
            this.reservations.set(operation.doing, plan.reserved ?? []);
            return plan;
        });
    }

    /**
     * Takes a name for a resource of this run's program.
     *
     * @returns who has it already, if that is another one.
     */
    takeName(name: string, resource: string): string | undefined {
        const holder = this.names.get(name) ?? resource;
        this.names.set(name, holder);
        return holder === resource ? undefined : holder;
    }

    /**
     * Takes note of a value that all resources of this run's program have to give alike.
     *
     * @returns who gives another.
     */
    agree(what: string, value: string, resource: string): string | undefined {
        const given = this.values.get(what) ?? new Map<string, string>();
        this.values.set(what, given.set(resource, value));
        return [...given].find(([, other]) => other !== value)?.[0];
    }

    /**
     * Brings something about, and returns its verified state.
     *
     * @param begun another operation of the same call has gone before, so that what ends this one is in the middle
     */
    async perform<T>(operation: Operation<T>, options: CallOptions = {}, begun = false): Promise<T> {
        this.refuseDecommissioned();
        const progress: Progress = { begun };
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.attempt(operation, options, progress);
            } catch (error) {
                const located = toBlockhostError(error, { host: this.config.name, doing: operation.doing });
                progress.begun ||= located.details.begun === true;
                const failure = progress.begun ? located.with({ begun: true }) : located;
                // After a lost answer, a timeout or a conflict only the host itself knows how things stand.
                if (hasCode(failure, "conflict", "unreachable", "timeout", "cancelled")) {
                    this.forget();
                }
                if (options.signal?.aborted === true) throw endedBy(options.signal, honest(failure));
                const again = ERROR_TABLE[failure.code].retry && failure.code !== "timeout";
                if (!again || attempt >= this.config.tries || (failure.code === "unreachable" && attempt > 1))
                    throw failure;
                // A cancel ends the pause, and the next try ends at once: it knows what has been begun.
                const { signal } = options;
                await sleep(50 * 2 ** attempt, undefined, signal === undefined ? {} : { signal }).catch(
                    () => undefined,
                );
            }
        }
    }

    private async attempt<T>(operation: Operation<T>, options: CallOptions, progress: Progress): Promise<T> {
        const waited = new Set<string>();
        let left: readonly string[] = [];
        for (let round = 0; round < MAX_ROUNDS; round++) {
            // Another operation's failure may have dropped them.
            await this.facts(options, operation.containers);
            // A failed unit of an earlier run is not this operation's failure: its planner shall start it again.
            const planner = (facts: HostFacts) => operation.plan(hideFailedUnits(facts, waited));
            const { plan } = await this.batch.submit({ ...operation, plan: planner }, options);
            if (plan === undefined) continue;
            left = plan.steps.map(({ label }) => label);
            for (const claim of plan.claims ?? []) this.announced.delete(`${claim.pool}/${claim.name}`);
            progress.begun ||= !isEmpty(plan);
            if (plan.waitFor !== undefined) {
                waited.add(plan.waitFor);
                await this.wait(plan.waitFor, operation.doing, options);
                await this.reread(plan.touched, options);
                continue;
            }
            const facts = this.current;
            // What a process has not seen may have come since: to tell of a thing that it is gone, it looks again.
            const old = performance.now() - this.observedAt > GONE_FOR_SURE;
            if (isEmpty(plan) && operation.effect === "delete" && !progress.begun && old) {
                this.forget();
                continue;
            }
            if (isEmpty(plan) && facts !== undefined) {
                return this.located(operation, () => operation.result(facts));
            }
        }
        throw new BlockhostError(
            "command-failed",
            `the host is still not as declared after all steps succeeded: left to be done is to ${left.join(", to ")}`,
            {
                host: this.config.name,
                doing: operation.doing,
                hint: "something else on the host is changing the same object; stop it, then run the same again",
            },
        );
    }

    private withAnnounced(facts: HostFacts, doing: string): HostFacts {
        const others = [...this.reservations].filter(([operation]) => operation !== doing);
        return {
            ...facts,
            claims: [...facts.claims, ...this.announced.values()],
            reserved: new Set([...facts.reserved, ...others.flatMap(([, names]) => names)]),
        };
    }

    /** Waits for long work, telling its progress; ends it when the operation is cancelled. */
    private async wait(unit: string, doing: string, options: CallOptions): Promise<void> {
        let last: UnitFacts | undefined;
        let movedAt = Date.now();
        for (let pause = 100; ; pause = Math.min(2_000, pause * 1.5)) {
            if (options.signal?.aborted === true) {
                await this.transport.run(stopUnit(this.config.stateDirectory, unit).text, {
                    doing: `stop ${unit}`,
                });
                throw new BlockhostError(
                    "cancelled",
                    "cancelled while long work was under way; it was ended on the host",
                    {
                        host: this.config.name,
                        doing,
                        hint: "the next `pulumi up` starts it again",
                    },
                );
            }
            const run = await this.transport.run(observeUnits(this.config.stateDirectory, unit).text, {
                doing,
            });
            const units = parseUnits(run.stdout);
            const now = units.get(unit);
            this.current = this.current === undefined ? undefined : withUnit(this.current, unit, now);
            if (now?.state !== "running") return;
            if (now.doneBytes !== last?.doneBytes) {
                movedAt = Date.now();
                options.progress?.(`${doing}: ${percent(now)}`);
            } else if (Date.now() - movedAt > STALL_TIMEOUT) {
                throw new BlockhostError(
                    "timeout",
                    `no progress of ${unit} for ${String(STALL_TIMEOUT / 1000)} s`,
                    {
                        host: this.config.name,
                        doing,
                        hint: "it is left running on the host; look at the disk, then run the same again to go on waiting",
                    },
                );
            }
            last = now;
            await sleep(pause, undefined, { ref: true });
        }
    }

    /** Reads again what a plan touched. */
    private async reread(touched: Touched, options: CallOptions): Promise<void> {
        const script = composeObservation(observationSections(this.config, touched));
        const run = await this.transport.run(script.text, {
            signal: options.signal,
            timeout: READ_TIMEOUT,
        });
        const { frames } = parseRun(script.nonce, run.stdout, run.stderr);
        this.current =
            this.current === undefined
                ? undefined
                : absorbReadback(this.config, this.current, touched, frames);
    }

    /** Runs a script that only reads, and gives what it printed. */
    async ask(script: Sh, doing: string): Promise<string> {
        const run = await this.transport.run(script.text, { doing, timeout: READ_TIMEOUT });
        if (run.exitStatus === 0) return run.stdout;
        throw new BlockhostError("command-failed", "the host could not be asked", {
            host: this.config.name,
            doing,
            exitStatus: run.exitStatus,
            stderr: run.stderr,
        });
    }

    private refuseDecommissioned(): void {
        if (!this.config.decommissioned) return;
        throw new BlockhostError("unreachable", "the host is configured as decommissioned", {
            host: this.config.name,
            hint: "only deletes are possible, and they drop the state without touching the host; take `decommissioned` off if the host is alive",
        });
    }

    private located<T>(operation: Operation<unknown>, what: () => T): T {
        try {
            return what();
        } catch (error) {
            throw toBlockhostError(error, { host: this.config.name, doing: operation.doing });
        }
    }

    async close(): Promise<void> {
        await this.transport.close();
    }
}

/** Facts after a read-back of what a run touched. */
export function absorbReadback(
    config: HostConfig,
    facts: HostFacts,
    touched: Touched,
    frames: BatchOutcome["frames"],
): HostFacts {
    let { pools, targets } = facts;
    const whole = poolsWithin(config, touched.containers);
    for (const [name, only] of Object.entries(touched.pools ?? {}))
        if (!whole.has(name)) pools = mergePool(config, pools, name, only, frames);
    for (const name of whole) pools = mergePool(config, pools, name, undefined, frames);
    for (const [protocol, only] of Object.entries(touched.targets ?? {})) {
        targets = mergeTarget(config, targets, protocol as Protocol, only, frames);
    }
    const client = frames.get("client");
    const { units, leftovers, epoch } = splitState(frames.get("state")?.stdout ?? "");
    return {
        ...facts,
        pools,
        targets,
        ...(facts.containers === undefined && touched.containers === undefined
            ? {}
            : { containers: mergeContainers(config, facts.containers, touched, frames) }),
        ...(client === undefined ? {} : { client: parseClient(client.stdout) }),
        ...(units === undefined ? {} : { units: parseUnits(units) }),
        ...(leftovers === undefined ? {} : { leftovers: leftovers !== "" }),
        ...(epoch === undefined ? {} : { epoch: parseEpoch(epoch, facts.epoch) }),
    };
}

/**
 * A later round of an operation, or a later try, is cancelled before it sends anything, too; that does not make nothing
 * of what the rounds before it have done.
 */
function honest(failure: BlockhostError): BlockhostError {
    if (failure.code !== "cancelled" || failure.details.begun !== true || failure.summary !== NOT_BEGUN)
        return failure;
    return new BlockhostError("cancelled", "cancelled half-way, between two runs on the host", {
        ...failure.details,
        hint: "what was begun is on the host, and the next `pulumi up` finishes it",
    });
}

/** What was cancelled, with the reason that its signal gives where that is an error of ours: a time-out. */
function endedBy({ reason }: AbortSignal, failure: BlockhostError): BlockhostError {
    if (failure.code !== "cancelled" || !(reason instanceof BlockhostError)) return failure;
    const hint = [failure.details.hint, reason.details.hint].filter((one) => one !== undefined).join("; ");
    return new BlockhostError(reason.code, reason.summary, { ...failure.details, hint });
}

/** A promise that one of those who wait for it can give up on. */
async function abandonable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return promise;
    let give: () => void = () => undefined;
    const given = new Promise<never>((_, reject) => {
        give = () => reject(endedBy(signal, new BlockhostError("cancelled", NOT_BEGUN)));
    });
    if (signal.aborted) give();
    signal.addEventListener("abort", give);
    try {
        return await Promise.race([promise, given]);
    } finally {
        signal.removeEventListener("abort", give);
    }
}

function hideFailedUnits(facts: HostFacts, waited: ReadonlySet<string>): HostFacts {
    const units = [...facts.units].filter(
        ([name, { state }]) => waited.has(name) || state === "running" || state === "done",
    );
    return units.length === facts.units.size ? facts : { ...facts, units: new Map(units) };
}

function withUnit(facts: HostFacts, name: string, unit: UnitFacts | undefined): HostFacts {
    const units = new Map(facts.units);
    if (unit === undefined) units.delete(name);
    else units.set(name, unit);
    return { ...facts, units };
}

function percent(unit: UnitFacts): string {
    const { doneBytes = 0, totalBytes = 0 } = unit;
    if (totalBytes === 0) return "under way";
    return `${String(Math.min(100, Math.floor((doneBytes / totalBytes) * 100)))} %`;
}
