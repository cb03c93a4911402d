import type * as pulumi from "@pulumi/pulumi";
import { Pool, poolName } from "./pool";
import { BlockhostResource, idOf } from "./resource";
import type { Snapshot } from "./snapshot";
import type { Allow, Host } from "./types";

export interface VolumeArgs {
    /**
     * Name of a host in `blockhost:hosts`, or a host given inline. Default: that of `pool`, where that is a `Pool`.
     * Changing it replaces the volume (data loss).
     */
    host?: Host;
    /** A `Pool`, or the name of a pool of the host. Changing it replaces the volume (data loss). */
    pool: Pool | pulumi.Input<string>;
    /** Name on the host; default: the resource's name. Changing it replaces the volume (data loss). */
    name?: pulumi.Input<string>;
    /**
     * Bytes, or a number with KiB, MiB, GiB, TiB or PiB. Default: the size of `source`, or of what is adopted. Growing
     * is done in place; a volume never shrinks.
     */
    size?: pulumi.Input<string | number>;
    /** What the volume starts with: a snapshot, or another volume (a clone). Counts at creation only. */
    source?: {
        snapshot?: Snapshot | pulumi.Input<string>;
        volume?: Volume | pulumi.Input<string>;
    };
    /** Take over what exists in the pool under this name (file driver: a file in the pool's directory). */
    adopt?: pulumi.Input<string>;
    /**
     * What happens to the data when the volume is deleted. Default: it is deleted without wiping. `discard` tells the
     * device that the data is of no use any more; drivers of block devices (lvm) can, files cannot.
     */
    wipe?: pulumi.Input<{
        method: pulumi.Input<"none" | "zero" | "discard">;
        /** Wipe only so much from the start. */
        limit?: pulumi.Input<string | number>;
        /** I/O priority: `idle` (default) or best-effort 0 (high) to 7. */
        ionice?: pulumi.Input<"idle" | number>;
    }>;
    /** `retain`: deleting the resource takes our mark off and leaves the data. */
    onDelete?: pulumi.Input<"delete" | "retain">;
    /** Put the volume back to one of its snapshots, once for each token; what it held is kept as `safetySnapshot`. */
    revertTo?: {
        snapshot: Snapshot | pulumi.Input<string>;
        /** A new token asks for a new revert. */
        token: pulumi.Input<string>;
    };
    /** Classes of change that may be carried out. */
    allow?: pulumi.Input<pulumi.Input<Allow>[]>;
}

/**
 * A volume: a block device in a pool of a storage host.
 *
 * ```ts
 * const data = new blockhost.Volume("pg-data", { host: "san1", pool: "fast", size: "200GiB" });
 * const copy = new blockhost.Volume("pg-copy", { host: "san1", pool: "fast", source: { volume: data } });
 * ```
 *
 * Follows Cinder's create_volume, create_volume_from_snapshot, create_cloned_volume, extend_volume,
 * revert_to_snapshot, manage_existing, unmanage and delete_volume.
 */
export class Volume extends BlockhostResource {
    declare readonly host: pulumi.Output<unknown>;
    declare readonly pool: pulumi.Output<string>;
    /** Name on the host. */
    declare readonly name: pulumi.Output<string>;
    /** Size in bytes. */
    declare readonly sizeBytes: pulumi.Output<number>;
    /** Path on the host: what an export backs onto. */
    declare readonly path: pulumi.Output<string>;
    /** New for each creation; proves the object on the host to be the one in state. */
    declare readonly generation: pulumi.Output<string>;
    /** Identity of the pool it was made in. */
    declare readonly poolId: pulumi.Output<string>;
    /** Sizes in the pool are multiples of it, in bytes; absent: of a sector (512). */
    declare readonly grainBytes: pulumi.Output<number | undefined>;
    /** Its creation or deletion was cut short; the next update finishes the creation. */
    declare readonly incomplete: pulumi.Output<boolean | undefined>;
    /** What is wrong with it on the host; nothing where nothing is. */
    declare readonly health: pulumi.Output<string[] | undefined>;
    /** The next update puts right what is wrong with it. */
    declare readonly mendable: pulumi.Output<boolean | undefined>;
    /** Token of the last revert; empty before the first. */
    declare readonly revertedWith: pulumi.Output<string>;
    /** Name of the safety snapshot of the last revert; empty where there is none. */
    declare readonly safetySnapshot: pulumi.Output<string>;

    constructor(name: string, args: VolumeArgs, opts: pulumi.CustomResourceOptions = {}) {
        const { pool, source, revertTo } = args;
        const inputs = {
            ...args,
            host: args.host ?? (pool instanceof Pool ? pool.host : undefined),
            pool: poolName(pool),
            source:
                // What is no object is for check to refuse, as it was given.
                source === undefined || typeof source !== "object"
                    ? source
                    : {
                          ...source,
                          ...(source.snapshot === undefined ? {} : { snapshot: idOf(source.snapshot) }),
                          ...(source.volume === undefined ? {} : { volume: idOf(source.volume) }),
                      },
            revertTo: revertTo === undefined ? undefined : { ...revertTo, snapshot: idOf(revertTo.snapshot) },
        };
        super("Volume", name, inputs, OUTPUTS, opts);
    }
}

const OUTPUTS = [
    "name",
    "sizeBytes",
    "path",
    "generation",
    "poolId",
    "grainBytes",
    "incomplete",
    "health",
    "mendable",
    "revertedWith",
    "safetySnapshot",
];
