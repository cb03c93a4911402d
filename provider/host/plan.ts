import type { ErrorCode } from "../errors";
import type { Sh } from "../sh";

/** Exit status by which a guard says that what the plan took for granted no longer holds. */
export const GUARD_FAILED = 75;
/** Exit status by which a guard says that the object is open or has sessions; becomes the error `in-use`. */
export const IN_USE = 76;

/** One thing done on a host. Runs in a subshell under the host's lock, with standard input from /dev/null. */
export interface Step {
    /** What it does, for progress and errors: `create data file`. */
    readonly label: string;
    readonly script: Sh;
    /**
     * A guard changes nothing; its exit status {@link GUARD_FAILED} means: observe and plan again. (An ordinary step
     * may exit with it too, where the check and the change are one command.)
     */
    readonly guard?: true;
}

/** Bytes that a plan is going to take from a pool; summed over all plans that are not yet in the facts. */
export interface Claim {
    readonly pool: string;
    /** The object that will hold them; a later claim for the same object replaces the earlier. */
    readonly name: string;
    /** Virtual size in bytes (counts against over-subscription). */
    readonly provisionedBytes: number;
    /** Bytes taken at once (thick, or data copied). */
    readonly allocatedBytes: number;
}

/** What the facts of a plan's objects have to be read again for. */
export interface Touched {
    /** Objects by pool. */
    readonly pools?: Readonly<Record<string, readonly string[]>>;
    /** Export names by protocol. */
    readonly targets?: Readonly<Record<string, readonly string[]>>;
    /** Containers by pool, with the names of the disks to be looked at; the pools themselves are read again whole. */
    readonly containers?: Readonly<Record<string, readonly string[]>>;
    /** Names of attachments; what the host is as a client is read again whole. */
    readonly attachments?: readonly string[];
}

/** Work that a plan leaves to the end of its run; only the pool's driver (`settle`) knows what the text means. */
export interface Later {
    readonly pool: string;
    readonly work: string;
}

/** What the words of a failed command mean. */
export interface Explanation {
    readonly code: ErrorCode;
    readonly summary: string;
    readonly hint: string;
}

/** What turns facts into what is declared. Empty steps and no unit: it is so already. */
export interface Plan {
    readonly steps: readonly Step[];
    readonly touched: Touched;
    /** Objects by pool that its guards compare and that it does not change: a driver's session reads them too. */
    readonly watched?: Readonly<Record<string, readonly string[]>>;
    readonly claims?: readonly Claim[];
    /** Host-wide names taken by this plan (`tgt/tid/3`), so that plans of one run do not choose the same. */
    readonly reserved?: readonly string[];
    /** What its pools' drivers shall do once all plans of the run are through, for all of them together. */
    readonly later?: readonly Later[];
    /**
     * Files and directories of the state directory that shall be flushed before the plan counts as done. A file that its
     * steps have emptied is removed then: one process for all plans of a run.
     */
    readonly flush?: readonly string[];
    /** Long work (name of its unit) that has to end before the rest can be planned. */
    readonly waitFor?: string;
    /** What a failure of one of its steps means, by what it wrote on standard error. */
    readonly explain?: (said: string) => Explanation | undefined;
    /** Milliseconds for its steps, default {@link DEFAULT_PLAN_TIMEOUT}. */
    readonly timeout?: number;
}

export const DEFAULT_PLAN_TIMEOUT = 60_000;

export const NOTHING: Plan = { steps: [], touched: {} };

export function isEmpty(plan: Plan): boolean {
    return plan.steps.length === 0 && plan.waitFor === undefined;
}

/** Plans of several parts of one host, done one after the other as one. */
export function joinPlans(...plans: readonly Plan[]): Plan {
    const touchedPools: Record<string, string[]> = {};
    const touchedTargets: Record<string, string[]> = {};
    const touchedContainers: Record<string, string[]> = {};
    const watched: Record<string, string[]> = {};
    const attachments = plans.flatMap(({ touched }) => touched.attachments ?? []);
    for (const { touched, watched: also = {} } of plans) {
        for (const [pool, names] of Object.entries(also)) (watched[pool] ??= []).push(...names);
        for (const [pool, names] of Object.entries(touched.pools ?? {}))
            (touchedPools[pool] ??= []).push(...names);
        for (const [name, list] of Object.entries(touched.targets ?? {}))
            (touchedTargets[name] ??= []).push(...list);
        for (const [pool, disks] of Object.entries(touched.containers ?? {}))
            (touchedContainers[pool] ??= []).push(...disks);
    }
    // Long work of an earlier part has to end before the steps of a later part are due.
    const waiting = plans.findIndex((plan) => plan.waitFor !== undefined);
    const due = waiting === -1 ? plans : plans.slice(0, waiting + 1);
    const waitFor = plans[waiting]?.waitFor;
    const later = due.flatMap((plan) => plan.later ?? []);
    const flush = due.flatMap((plan) => plan.flush ?? []);
    const timeouts = due.map((plan) => plan.timeout ?? DEFAULT_PLAN_TIMEOUT);
    return {
        steps: due.flatMap((plan) => plan.steps),
        touched: {
            pools: touchedPools,
            targets: touchedTargets,
            ...(Object.keys(touchedContainers).length === 0 ? {} : { containers: touchedContainers }),
            ...(attachments.length === 0 ? {} : { attachments }),
        },
        ...(Object.keys(watched).length === 0 ? {} : { watched }),
        claims: plans.flatMap((plan) => plan.claims ?? []),
        reserved: plans.flatMap((plan) => plan.reserved ?? []),
        ...(later.length === 0 ? {} : { later }),
        ...(flush.length === 0 ? {} : { flush }),
        ...(waitFor === undefined ? {} : { waitFor }),
        timeout: Math.max(DEFAULT_PLAN_TIMEOUT, ...timeouts),
    };
}
