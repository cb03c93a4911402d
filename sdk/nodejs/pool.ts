import * as pulumi from "@pulumi/pulumi";
import { BlockhostResource } from "./resource";
import type { Allow, Host } from "./types";

export interface PoolArgs {
    /** Name of a host in `blockhost:hosts`, or a host given inline. */
    host: Host;
    /** Name of the pool in the host's configuration, which says what it is called there; default: the resource's name. */
    name?: pulumi.Input<string>;
    /**
     * Disks that it is made of, by names that stay (`/dev/disk/by-id/…`). One that is added is taken in, one that is
     * taken off is evacuated and given back. May be left out with `adopt`.
     */
    disks?: pulumi.Input<pulumi.Input<string>[]>;
    /** By disk: what it may carry and lose, as `wipefs` calls it. A disk that carries anything else is refused. */
    overwrite?: pulumi.Input<Record<string, pulumi.Input<pulumi.Input<string>[]>>>;
    /** Size of the thin pool, at least. Default: all there is, less metadata, spare and one automatic extension. */
    size?: pulumi.Input<string | number>;
    /** What a write takes at once, and what snapshots share. Changing it replaces the pool (data loss). */
    chunkSize?: pulumi.Input<string | number>;
    /** Size of the thin pool's metadata, at least. */
    metadataSize?: pulumi.Input<string | number>;
    /** dmeventd watches the thin pool, and extends it. Default true. */
    monitoring?: pulumi.Input<boolean>;
    /** From which percentage in use the thin pool is extended, and by how much; default at 80 by 20 percent. */
    autoExtend?: pulumi.Input<false | { threshold: pulumi.Input<number>; percent: pulumi.Input<number> }>;
    /** What a write gets when the thin pool is full: an error, or it waits for a minute. Default `queue`. */
    whenFull?: pulumi.Input<"error" | "queue">;
    /** Take over a volume group (and thin pool) that exists; only what is declared is changed. */
    adopt?: pulumi.Input<boolean>;
    /** `retain`: deleting the resource takes our mark off and leaves the pool. */
    onDelete?: pulumi.Input<"delete" | "retain">;
    /** Classes of change that may be carried out. */
    allow?: pulumi.Input<pulumi.Input<Allow>[]>;
}

/**
 * A pool of a host made real: with driver `lvm`, a volume group and a thin pool on named disks, with its guard rails.
 *
 * ```ts
 * const fast = new blockhost.Pool("fast", {
 *     host: "san1",
 *     disks: ["/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5"],
 * });
 * const data = new blockhost.Volume("pg-data", { pool: fast, size: "200GiB" });
 * ```
 */
export class Pool extends BlockhostResource {
    declare readonly host: pulumi.Output<unknown>;
    /** Name in the host's configuration. */
    declare readonly name: pulumi.Output<string>;
    /** Identity on the host: the volume group's UUID. */
    declare readonly containerId: pulumi.Output<string>;
    declare readonly generation: pulumi.Output<string>;
    /** Size in bytes of all disks together. */
    declare readonly sizeBytes: pulumi.Output<number>;
    /** By disk: its identity within the pool (the physical volume's UUID). */
    declare readonly members: pulumi.Output<Record<string, string>>;
    /** Bytes of the thin pool's data, metadata and chunk; nothing where volumes are thick. */
    declare readonly thinPool: pulumi.Output<
        { sizeBytes: number; metadataBytes: number; chunkBytes: number } | undefined
    >;
    /** Its creation or deletion was cut short; the next update finishes the creation. */
    declare readonly incomplete: pulumi.Output<boolean | undefined>;
    /** In what it differed from what is declared when last read; the next `pulumi up` mends it. */
    declare readonly drift: pulumi.Output<string[] | undefined>;

    constructor(name: string, args: PoolArgs, opts: pulumi.CustomResourceOptions = {}) {
        super("Pool", name, { ...args }, OUTPUTS, opts);
    }
}

/** The name of a pool, or a name as given. Not known before the pool is made: until then nothing can be asked of it. */
export function poolName(reference: Pool | pulumi.Input<string>): pulumi.Input<string> {
    if (!(reference instanceof Pool)) return reference;
    return pulumi.all([reference.id, reference.name]).apply(([, name]) => name);
}

const OUTPUTS = [
    "name",
    "containerId",
    "generation",
    "sizeBytes",
    "members",
    "thinPool",
    "incomplete",
    "drift",
];
