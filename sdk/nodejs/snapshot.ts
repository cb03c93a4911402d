import type * as pulumi from "@pulumi/pulumi";
import { BlockhostResource, idOf } from "./resource";
import type { Allow, Host } from "./types";
import { Volume } from "./volume";

export interface SnapshotArgs {
    /** The volume: a `Volume`, or its id. Changing it replaces the snapshot (data loss). */
    volume: Volume | pulumi.Input<string>;
    /** Only where `volume` is an id and its host is given inline. */
    host?: Host;
    /** Name on the host; default: the resource's name. */
    name?: pulumi.Input<string>;
    /** Take over what exists in the pool under this name. */
    adopt?: pulumi.Input<string>;
    /** `retain`: deleting the resource takes our mark off and leaves the data. */
    onDelete?: pulumi.Input<"delete" | "retain">;
    /** Classes of change that may be carried out. */
    allow?: pulumi.Input<pulumi.Input<Allow>[]>;
}

/**
 * A point-in-time copy of a volume, in the same pool.
 *
 * ```ts
 * const before = new blockhost.Snapshot("pg-before-upgrade", { volume: data });
 * ```
 *
 * Follows Cinder's create_snapshot, manage_existing_snapshot and delete_snapshot.
 */
export class Snapshot extends BlockhostResource {
    declare readonly host: pulumi.Output<unknown>;
    /** Id of the volume. */
    declare readonly volume: pulumi.Output<string>;
    declare readonly pool: pulumi.Output<string>;
    declare readonly name: pulumi.Output<string>;
    /** Size in bytes. */
    declare readonly sizeBytes: pulumi.Output<number>;
    /** Path on the host. */
    declare readonly path: pulumi.Output<string>;
    declare readonly generation: pulumi.Output<string>;
    declare readonly poolId: pulumi.Output<string>;
    /** Its creation or deletion was cut short; the next update finishes the creation. */
    declare readonly incomplete: pulumi.Output<boolean | undefined>;
    /** What is wrong with it on the host; nothing where nothing is. */
    declare readonly health: pulumi.Output<string[] | undefined>;
    /** The next update puts right what is wrong with it. */
    declare readonly mendable: pulumi.Output<boolean | undefined>;

    constructor(name: string, args: SnapshotArgs, opts: pulumi.CustomResourceOptions = {}) {
        const host = args.host ?? (args.volume instanceof Volume ? args.volume.host : undefined);
        super("Snapshot", name, { ...args, volume: idOf(args.volume), host }, OUTPUTS, opts);
    }
}

const OUTPUTS = [
    "host",
    "name",
    "pool",
    "sizeBytes",
    "path",
    "generation",
    "poolId",
    "incomplete",
    "health",
    "mendable",
];
