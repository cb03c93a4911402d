import * as pulumi from "@pulumi/pulumi";
import { BlockhostResource, idOf } from "./resource";
import { Snapshot } from "./snapshot";
import type { Allow, Connection, Host, InitiatorArgs } from "./types";
import { Volume } from "./volume";

export interface ExportArgs {
    /** What is exported: a `Volume` or `Snapshot`, or its id. Changing it makes the export anew. */
    source: Volume | Snapshot | pulumi.Input<string>;
    /** How initiators reach it. Changing it makes the export anew. */
    protocol: pulumi.Input<"iscsi" | "nvme-tcp">;
    /** Only where `source` is an id and its host is given inline. */
    host?: Host;
    /** Name on the host; default: the resource's name. */
    name?: pulumi.Input<string>;
    /** Who may log in. */
    initiators: pulumi.Input<pulumi.Input<InitiatorArgs>[]>;
    /** Addresses or networks from which anybody may log in; with tgt only, in place of `initiators`. */
    addresses?: pulumi.Input<pulumi.Input<string>[]>;
    /** Which of the host's portals; default: all. */
    portals?: pulumi.Input<pulumi.Input<string>[]>;
    /** Initiators cannot write. Always so for snapshots. */
    readOnly?: pulumi.Input<boolean>;
    /** Offer discard (UNMAP); default true, false where read-only. */
    discard?: pulumi.Input<boolean>;
    /** Classes of change that may be carried out. */
    allow?: pulumi.Input<pulumi.Input<Allow>[]>;
}

/**
 * A volume or snapshot made reachable for initiators over iSCSI or NVMe/TCP.
 *
 * ```ts
 * const lun = new blockhost.Export("pg-lun", {
 *     source: data,
 *     protocol: "iscsi",
 *     initiators: [{ iqn: "iqn.2024-01.com.example:db1", chap: { username: "db1", password } }],
 * });
 * export const connection = lun.connection;
 * ```
 *
 * Follows Cinder's create_export, ensure_export, initialize_connection, terminate_connection and remove_export.
 */
export class Export extends BlockhostResource {
    declare readonly host: pulumi.Output<unknown>;
    declare readonly name: pulumi.Output<string>;
    /** IQN or NQN of the target. */
    declare readonly targetName: pulumi.Output<string>;
    declare readonly serial: pulumi.Output<string>;
    /** Path on the host that is exported. */
    declare readonly devicePath: pulumi.Output<string>;
    /** Identity of the pool of what is exported. */
    declare readonly poolId: pulumi.Output<string>;
    declare readonly generation: pulumi.Output<string>;
    /** In what the live export differed from what is declared when last read; the next `pulumi up` heals it. */
    declare readonly drift: pulumi.Output<string[]>;
    /** Connection properties in os-brick's form; secret. */
    declare readonly connection: pulumi.Output<Connection>;

    constructor(name: string, args: ExportArgs, opts: pulumi.CustomResourceOptions = {}) {
        const { source } = args;
        const owned = source instanceof Volume || source instanceof Snapshot;
        const host = args.host ?? (owned ? source.host : undefined);
        const inputs = { ...args, source: idOf(source), host, initiators: pulumi.secret(args.initiators) };
        super("Export", name, inputs, OUTPUTS, opts, ["connection", "initiators"]);
    }
}

const OUTPUTS = [
    "host",
    "name",
    "targetName",
    "serial",
    "devicePath",
    "poolId",
    "generation",
    "drift",
    "connection",
];
