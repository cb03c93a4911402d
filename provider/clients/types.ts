import * as z from "zod";
import type { Mark } from "../host/mark";
import type { Secret } from "../sh";
import type { BootUnitState } from "../targets/bootUnit";
import type { Protocol } from "../targets/types";

/**
 * What a host is as a client: exports of other hosts that are attached to it. Pure, as drivers and targets are; the
 * kernel's initiators do the work (open-iscsi, nvme-tcp).
 *
 * Each attachment has one boot file in the host's state directory, the idempotent script that attaches it (mode 0600: it
 * holds secrets). What is declared is the boot file; sessions, node records and devices are healed towards it.
 */

/** The boot file's `declared` line. Later versions may add fields; these stay. */
export const declaredSchema = z.object({
    protocol: z.enum(["iscsi", "nvme-tcp"]),
    /** IQN or NQN of the target. */
    target: z.string(),
    /** `address:port`, IPv6 in brackets. */
    portals: z.array(z.string()),
    /** LUN (iSCSI) or namespace (NVMe). */
    unit: z.number(),
    /** What the device must say it is; absent: whatever is there under the target's name. */
    serial: z.string().optional(),
    uuid: z.string().optional(),
    multipath: z.enum(["none", "prefer", "require"]),
    /** Sessions over all portals, or over the first that answers. */
    paths: z.enum(["one", "all"]),
    /** iSCSI: who the client is; kept for errors. */
    initiator: z.string(),
    /** Of everything declared, secrets with it. */
    digest: z.string(),
});
export type Declared = Readonly<z.output<typeof declaredSchema>>;
export type Multipath = Declared["multipath"];

export interface Credentials {
    /** iSCSI: user name and password of CHAP. */
    readonly chap?: { readonly username: string; readonly password: Secret };
    readonly mutualChap?: { readonly username: string; readonly password: Secret };
    /** NVMe: keys in the form `DHHC-1:…:`. */
    readonly key?: Secret;
    readonly controllerKey?: Secret;
}

/** What a connection says, in our own words. */
export interface Connection {
    readonly protocol: Protocol;
    readonly target: string;
    readonly portals: readonly string[];
    readonly unit: number;
    readonly serial?: string;
    readonly uuid?: string;
    /** Of any initiator. */
    readonly credentials: Credentials;
    /** Of initiators that have their own. */
    readonly byInitiator: Readonly<Record<string, Credentials>>;
}

export interface AttachmentWanted {
    readonly name: string;
    readonly mark: Mark;
    readonly connection: Connection;
    readonly multipath: Multipath;
    /** Least size in bytes that the device must show; a smaller one is read again. */
    readonly sizeBytes?: number;
    /** What takes the device away for a moment is done although it is in use. */
    readonly inUse?: boolean;
}

/** A session or controller, whoever made it. */
export interface PathFacts {
    /** Number of the iSCSI session, or name of the NVMe controller. */
    readonly id: string;
    readonly protocol: Protocol;
    readonly target: string;
    readonly portal: string;
    /** As the kernel says it; `up`: it can carry I/O. */
    readonly state: string;
    readonly up: boolean;
    /** Digest of the credentials or keys that it has, and will connect with again. */
    readonly keys?: string;
    /**
     * Of a controller that somebody has connected under another name than the client's, that name; from a certain
     * address, empty. It is none of ours, but for an attachment that was made under that name.
     */
    readonly foreign?: string;
}

/** A block device that a target shows. */
export interface DeviceFacts {
    /** `sde`, `nvme0n1`. */
    readonly block: string;
    readonly target: string;
    readonly unit: number;
    readonly sizeBytes: number;
    /** The session that it came by (iSCSI). */
    readonly session?: string;
    readonly serial?: string;
    readonly uuid?: string;
    /** Its name for udev and multipath: `naa.6001405…`, `uuid.…`. */
    readonly wwid: string;
    /** A device-mapper multipath device on top of it. */
    readonly map?: { readonly block: string; readonly wwid: string; readonly sizeBytes: number };
}

/** What open-iscsi has on file for a portal of a target. */
export interface NodeRecord {
    readonly target: string;
    readonly portal: string;
    readonly startup: string;
    /** SHA-256 of its lines on authentication. */
    readonly auth: string;
}

export interface AttachmentFacts {
    readonly name: string;
    /** Phase `creating`: what its boot file declares was not carried out to the end. */
    readonly mark: Mark;
    readonly declared: Declared;
    readonly applied: boolean;
    /** SHA-256 of the lines on authentication that node records shall have, or of the keys. */
    readonly auth: string;
    /** Its boot file is gone: only the state can tell that it is ours. */
    readonly orphaned?: true;
}

export interface ClientFacts {
    /** `InitiatorName` of open-iscsi. */
    readonly iqn?: string;
    readonly nqn?: string;
    readonly hostId?: string;
    /** multipathd runs. */
    readonly multipathd: boolean;
    /** The kernel joins NVMe controllers to one device. */
    readonly nativeMultipath: boolean;
    readonly bootUnit: BootUnitState;
    readonly attachments: ReadonlyMap<string, AttachmentFacts>;
    /** Boot files that cannot be read, with the reason. */
    readonly unreadable: ReadonlyMap<string, string>;
    readonly paths: readonly PathFacts[];
    readonly devices: readonly DeviceFacts[];
    /** Multipath devices, by WWID, that have no path at all: somebody may have them open and wait for one. */
    readonly pathless: ReadonlySet<string>;
    readonly records: readonly NodeRecord[];
}

export interface ClientContext {
    readonly facts: ClientFacts;
    readonly stateDirectory: string;
    /** Stock tools that are there. */
    readonly tools: ReadonlySet<string>;
    readonly reserved: ReadonlySet<string>;
}
