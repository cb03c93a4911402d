import type { ContainerFacts, HostFacts } from "../host/facts";
import type { Mark } from "../host/mark";
import type { Plan } from "../host/plan";
import type { Sh } from "../sh";
import type { PoolRef } from "./types";

/**
 * The optional ability of a driver to make what a configured pool lives in (LVM: a volume group with its thin pool) from
 * named disks, to keep its guard rails, to grow and shrink it by whole disks, and to delete it. Pure, as drivers are, and
 * by the same rule: a planner that is asked again after its steps ran returns an empty plan.
 */
export interface PoolMaker<Options = unknown> {
    /** Pools of a host with the same text live in one container. */
    container(pool: PoolRef<Options>): string;
    /** Reads the container and some disks. Its output goes to {@link parse}. */
    observe(pool: PoolRef<Options>, disks: readonly string[]): Sh;
    parse(pool: PoolRef<Options>, output: string): ContainerFacts;
    /** Stock tools that it needs beside the driver's own, with the Debian package of each. */
    readonly tools: Readonly<Record<string, string>>;
    /** What of a declaration does not go with the pool's options. */
    check(pool: PoolRef<Options>, want: PoolPolicy): { readonly path: string; readonly reason: string }[];

    /** Make it, or finish one that is half made. */
    create(context: PoolContext<Options>, want: WantedPool): Plan;
    /** Put the mark on one that is there. Nothing else is changed. */
    adopt(context: PoolContext<Options>, want: { mark: Mark; disks: readonly string[] | undefined }): Plan;
    /** Add and evacuate disks, mend guard rails; `mark` is what it shall carry in the end. */
    alter(context: PoolContext<Options>, want: WantedPool): Plan;
    /** Delete it, or finish deleting; refused while anything is inside. */
    remove(context: PoolContext<Options>, want: { mark: Mark; made: MadePool }): Plan;
    /** Take the mark off, and leave everything. */
    release(context: PoolContext<Options>, want: { mark: Mark }): Plan;

    /** In what it differs from what is declared, in sentences; empty: in nothing. */
    drift(context: PoolContext<Options>, want: WantedPool): string[];
    /** What is to be recorded of it. */
    made(context: PoolContext<Options>, want: WantedPool): MadePool;
    /**
     * Whether a container that was not found is proven to be gone: all its disks are there, and none carries it any more.
     * False: something of it is left on them, which a creation or a deletion was cut short at.
     *
     * @throws BlockhostError `not-found` when it is not: what is missing, and what to do.
     */
    gone(context: PoolContext<Options>, made: MadePool): boolean;
}

export interface PoolContext<Options = unknown> {
    readonly pool: PoolRef<Options>;
    readonly facts: ContainerFacts;
    readonly host: HostFacts;
}

/** Guard rails as declared; what is absent has its default where we made the pool, and is left as it is where we adopted it. */
export interface PoolPolicy {
    /** Bytes of the thin pool's data. */
    readonly sizeBytes?: number;
    /** Bytes; counts at creation only. */
    readonly chunkBytes?: number;
    /** Bytes of the thin pool's metadata. */
    readonly metadataBytes?: number;
    readonly monitoring?: boolean;
    /** Percent both; `false`: never. */
    readonly autoExtend?: false | { readonly threshold: number; readonly percent: number };
    readonly whenFull?: "error" | "queue";
}

export interface WantedPool extends PoolPolicy {
    readonly mark: Mark;
    /** Names of its disks; absent: whatever an adopted one has. */
    readonly disks: readonly string[] | undefined;
    /** By disk: signatures that may be overwritten. */
    readonly overwrite: Readonly<Record<string, readonly string[]>>;
    /** It was there before: only what is declared is kept up. */
    readonly adopted: boolean;
    /** By disk: the members that it had when it was recorded last, for labels that a run cut short has left. */
    readonly former?: Readonly<Record<string, string>>;
}

/** What is recorded of a container. */
export interface MadePool {
    /** Its identity (LVM: the volume group's UUID). */
    readonly containerId: string;
    readonly generation: string;
    readonly sizeBytes: number;
    /** By disk: the identity that it has within the container (LVM: the physical volume's UUID). */
    readonly members: Readonly<Record<string, string>>;
    /** Thin pool: bytes of data, metadata and a chunk. */
    readonly thinPool?: {
        readonly sizeBytes: number;
        readonly metadataBytes: number;
        readonly chunkBytes: number;
    };
}
