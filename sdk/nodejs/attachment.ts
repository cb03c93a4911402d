import * as pulumi from "@pulumi/pulumi";
import { BlockhostResource } from "./resource";
import type { Allow, Connection, Host } from "./types";

export interface AttachmentArgs {
    /** The client: name of a host in `blockhost:hosts`, or a host given inline. */
    host: Host;
    /** Name on the client; default: the resource's name. */
    name?: pulumi.Input<string>;
    /** What is attached: an export's `connection`. Kept secret in state. */
    connection: pulumi.Input<Connection>;
    /** Least size that the device must show: a volume's `sizeBytes`, so that growth is seen in the same run. */
    sizeBytes?: pulumi.Input<string | number>;
    /** Whether all portals become paths of one device; default `prefer`: where the client can join paths. */
    multipath?: pulumi.Input<"none" | "prefer" | "require">;
    /** Detach although what was written cannot be brought to the storage host any more: it is lost. */
    force?: pulumi.Input<boolean>;
    /** Detach although some of it cannot be cleared away on the client. */
    ignoreErrors?: pulumi.Input<boolean>;
    /** Classes of change that may be carried out. */
    allow?: pulumi.Input<pulumi.Input<Allow>[]>;
}

/**
 * An export attached on a client host: a block device there.
 *
 * ```ts
 * const disk = new blockhost.Attachment("pg", {
 *     host: "db1",
 *     connection: lun.connection,
 *     sizeBytes: data.sizeBytes,
 * });
 * export const path = disk.devicePath;
 * ```
 *
 * Follows os-brick's connectors: connect_volume, extend_volume and disconnect_volume.
 */
export class Attachment extends BlockhostResource {
    declare readonly host: pulumi.Output<unknown>;
    declare readonly name: pulumi.Output<string>;
    /** Path of the device on the client, the same as long as the export lives. */
    declare readonly devicePath: pulumi.Output<string>;
    /** Size in bytes that the client sees. */
    declare readonly deviceBytes: pulumi.Output<number>;
    /** Name that the client has for targets: IQN or NQN. */
    declare readonly initiator: pulumi.Output<string>;
    /** Sessions with the target. */
    declare readonly paths: pulumi.Output<{ portal: string; state: string }[]>;
    /** The device joins all paths. */
    declare readonly multipathed: pulumi.Output<boolean>;
    /** IQN or NQN of the target. */
    declare readonly targetName: pulumi.Output<string>;
    declare readonly generation: pulumi.Output<string>;
    /** In what it differed from what is declared when last read; the next `pulumi up` heals it. */
    declare readonly drift: pulumi.Output<string[]>;

    constructor(name: string, args: AttachmentArgs, opts: pulumi.CustomResourceOptions = {}) {
        const inputs = { ...args, connection: pulumi.secret(args.connection) };
        super("Attachment", name, inputs, OUTPUTS, opts, ["connection"]);
    }
}

const OUTPUTS = [
    ...["name", "devicePath", "deviceBytes", "initiator", "paths", "multipathed", "targetName"],
    ...["generation", "drift"],
];
