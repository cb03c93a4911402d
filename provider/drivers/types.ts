import type * as z from "zod";
import type { Mark } from "../host/mark";
import type { HostFacts, PoolFacts } from "../host/facts";
import type { Explanation, Plan, Step } from "../host/plan";
import type { Sh } from "../sh";
import type { PoolMaker } from "./poolMaker";

/**
 * The contract of a driver: where the bytes of volumes and snapshots live. All of it is pure; a driver never opens a
 * connection. Who owns an object, who depends on it, whether it is exported and whether a change is allowed has been
 * decided before a planner is called (`provider/resources`); a planner decides which steps are left to do, and repeats
 * in guards what it took for granted.
 *
 * A planner is called again after its steps ran, with what was read back: it must then return an empty plan. That is
 * how every operation is verified.
 */
export interface Driver<Options = unknown> {
    readonly name: string;
    /** Pool options as written in the configuration (beside `driver`), with descriptions for the schema. */
    readonly options: z.ZodType<Options>;
    /** What a pool with these options can do. */
    capabilities(options: Options): DriverCapabilities;
    /** Stock tools that its scripts need for such a pool, by name, with the Debian package that has each. */
    tools(options: Options): Readonly<Record<string, string>>;
    /** Why an object of the pool cannot have this name (whole: `must not …`); `undefined`: it can. */
    nameProblem?(pool: PoolRef<Options>, name: string): string | undefined;
    /** Why the pool cannot wipe in this way (whole: `is not …`); `undefined`: it can. */
    wipeProblem?(pool: PoolRef<Options>, method: Wipe["method"]): string | undefined;

    /** Bytes that sizes in a pool are multiples of (sector, extent). */
    grain(pool: PoolRef<Options>, facts: PoolFacts): number;
    /** Reads a pool; with `only`, just these objects (and the capacity). Its output goes to {@link parse}. */
    observe(pool: PoolRef<Options>, only?: readonly string[]): Sh;
    /** The same for several pools at once, where that costs less; then its output goes to each pool's {@link parse}. */
    observeTogether?(parts: readonly PoolPart<Options>[]): Sh;
    /** Objects named in an `only` that are not in the result are gone. */
    parse(pool: PoolRef<Options>, output: string): PoolFacts;
    /** What all plans of a run share. */
    session?(parts: readonly Required<PoolPart<Options>>[]): Session;
    /**
     * What follows once a run and pool touched: work that plans have left ({@link Plan.later}; as positional parameters,
     * of the plans that succeeded), and what makes it all durable (`sync -f`). A line `undone <work>` on standard output
     * tells what failed of it; without such lines a failure counts for all plans.
     */
    settle?(pool: PoolRef<Options>): Sh;
    /** What a failed step of this driver means, where its words tell more than the engine knows. */
    explain?(said: string): Explanation | undefined;

    /** Create, or finish a half-made one. F1, F2: create_volume, create_volume_from_snapshot, create_cloned_volume. */
    create(context: PlanContext<Options>, want: CreateVolume): Plan;
    /** Grow in place. F1: extend_volume. */
    extend(context: PlanContext<Options>, want: { name: string; mark: Mark; sizeBytes: number }): Plan;
    /** Wipe as asked and delete a volume (with its safety snapshot) or a snapshot. F1, F2, F11. */
    remove(context: PlanContext<Options>, want: { name: string; mark: Mark; wipe: Wipe }): Plan;
    /** Point-in-time copy. F2: create_snapshot. `inUse`: initiators are logged in to the volume. */
    snapshot(
        context: PlanContext<Options>,
        want: { name: string; mark: Mark; volume: string; inUse: boolean },
    ): Plan;
    /**
     * Put the volume back to a snapshot, keeping its present content as the safety snapshot. F3: revert_to_snapshot.
     * `mark` is the volume's mark as it shall be when done (its `extra.token` says which revert was the last).
     */
    revert(context: PlanContext<Options>, want: { name: string; mark: Mark; snapshot: string }): Plan;
    /**
     * End a revert that was cut short and that nobody asks for any more (its token is in `extra.pending` while the phase
     * is `reverting`; `extra.token` stays that of the last one done): it counts as done where the content has been
     * exchanged already, else the volume is as it was.
     */
    settleRevert(context: PlanContext<Options>, want: { name: string; mark: Mark }): Plan;
    /** Put an existing object, named as the driver's users would, under our name and mark. F7: manage_existing. */
    adopt(context: PlanContext<Options>, want: { reference: string; name: string; mark: Mark }): Plan;
    /** Take our mark off and leave the data. F7: unmanage. */
    release(context: PlanContext<Options>, want: { name: string; mark: Mark }): Plan;
    /** Mend what `health` of an object says is wrong, as far as that loses nothing (make its device available). */
    heal?(context: PlanContext<Options>, want: { name: string; mark: Mark }): Plan;
    /** Rewrite the mark, nothing else. */
    remark(context: PlanContext<Options>, want: { name: string; from: Mark; to: Mark }): Plan;

    /**
     * What it keeps on the host outside of the state directory and the data: a shell pattern of its files, and a step that
     * removes those that nothing needs any more. `released`: no object of the pool carries a mark of ours.
     */
    leavings?(pool: PoolRef<Options>, released: boolean): { readonly files: Sh; readonly remove: Step };
    /** Makes pools from disks, changes and deletes them. */
    readonly pools?: PoolMaker<Options>;

    /** Path that an object is going to have, for previews; absent: it cannot be told before. */
    pathOf?(pool: PoolRef<Options>, facts: PoolFacts, name: string): string;

    /** What could be adopted. Pure, from facts. F7: get_manageable_volumes. */
    adoptable(pool: PoolRef<Options>, facts: PoolFacts): Adoptable[];
    /** The object that an adopt reference means. */
    resolveReference(pool: PoolRef<Options>, facts: PoolFacts, reference: string): string | undefined;
}

/** A pool and, in a read-back, those of its objects that matter. */
export interface PoolPart<Options = unknown> {
    readonly pool: PoolRef<Options>;
    readonly only?: readonly string[];
}

/**
 * Something kept open for all plans of a run, in the run's own shell, so that steps and read-back find it there. One
 * driver of a host at most has one. Descriptors 6 and 7 are its own.
 */
export interface Session {
    /** Functions for steps, settling and read-back. */
    readonly functions: Sh;
    /** Under the lock, before the first plan. Must not end the shell. */
    readonly open: Sh;
    /** After a plan was ended by force: whatever is half-way in the session is of no use. */
    readonly reset: Sh;
    /** At the end of the run. */
    readonly close: Sh;
}

export interface DriverCapabilities {
    readonly thin: boolean;
    readonly thick: boolean;
    /** A volume can grow while an initiator uses it (as far as the driver is concerned). */
    readonly growsInUse: boolean;
    /** How a snapshot is made: at once, or as a copy. */
    readonly snapshots: "instant" | "copy" | "depends";
    readonly revert: boolean;
    readonly discard: boolean;
}

/** A pool as configured, on its host. */
export interface PoolRef<Options = unknown> {
    readonly name: string;
    readonly options: Options;
    readonly limits: PoolLimits;
    /** The host's directory for our own files. */
    readonly stateDirectory: string;
}

/** Options that all pools have, whatever the driver. */
export interface PoolLimits {
    /** Cinder's max_over_subscription_ratio: a number, or `auto` (from what thin volumes really take). */
    readonly maxOverSubscriptionRatio: number | "auto";
    /** Percent of the pool that is never given out. */
    readonly reservedPercentage: number;
}

export interface PlanContext<Options = unknown> {
    readonly pool: PoolRef<Options>;
    readonly facts: PoolFacts;
    readonly host: HostFacts;
}

export interface CreateVolume {
    readonly name: string;
    readonly mark: Mark;
    /** Already rounded. */
    readonly sizeBytes: number;
    /** `inUse`: initiators are logged in to the source. */
    readonly from?: { readonly name: string; readonly inUse: boolean };
}

/** Cinder's volume_clear, volume_clear_size, volume_clear_ionice. */
export interface Wipe {
    /** `discard`: the device is told that the data is of no use any more. */
    readonly method: "none" | "zero" | "discard";
    /** Wipe only the first bytes; 0 means all. */
    readonly limitBytes: number;
    /** I/O class: `idle`, or best-effort with a level 0 (high) to 7. */
    readonly ionice: "idle" | number;
}

export interface Adoptable {
    readonly reference: string;
    readonly kind: "volume" | "snapshot";
    readonly sizeBytes: number;
    readonly safeToManage: boolean;
    /** Why not, where it is not. */
    readonly reason?: string;
    /** Who manages it already, where a mark says so. */
    readonly managedBy?: string;
    readonly extra?: Readonly<Record<string, string>>;
}
