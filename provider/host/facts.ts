import type { Epoch } from "./epoch";
import type { ClientFacts } from "../clients/types";
import type { ExportFacts, TargetFacts } from "../targets/types";
import type { Claim } from "./plan";
import type { Mark } from "./mark";

/** Facts: what one observation of a host read, typed. Immutable; a read-back yields new facts. */

/** A volume or a snapshot, or a data file / logical volume of somebody else's. */
export interface ObjectFacts {
    readonly name: string;
    /** Absent: not ours, never changed or deleted. */
    readonly mark?: Mark;
    /** Virtual size in bytes; `undefined`: marked, but its data is not there (yet, or any more). */
    readonly sizeBytes?: number;
    /** Bytes it really takes. */
    readonly allocatedBytes?: number;
    /** Bytes that it counts for in the pool, where that is not `sizeBytes` (a snapshot that holds only changes). */
    readonly provisionedBytes?: number;
    /** What an export backs onto. */
    readonly path: string;
    /** The host's own identifier of the data (inode, LVM UUID). */
    readonly uid?: string;
    /** Open by a process or a kernel user on the host; filled where the driver's facts tell it. */
    readonly openBy?: readonly string[];
    /** What makes `path` appear after a boot of the host, where it does not do so by itself. */
    readonly activation?: Activation;
    /** What is wrong with it, in sentences that say what to do; the same text as long as the same is wrong. */
    readonly health?: readonly string[];
    /** The driver can mend what is wrong (`heal`). */
    readonly mendable?: true;
    /** What only the driver understands. */
    readonly extra?: Readonly<Record<string, string>>;
}

/** Objects with the same command are activated by one call of it. */
export interface Activation {
    /** Shell text of one line, quoted as the shell needs it: `lvchange -ay -K`. */
    readonly command: string;
    /** The word that stands for this object, quoted: `vg0/pg-data`. */
    readonly object: string;
}

export interface Capacity {
    readonly totalBytes: number;
    readonly freeBytes: number;
    /** Sum of the virtual sizes of all objects in the pool, ours or not. */
    readonly provisionedBytes: number;
}

/** A pool that was found and proven to be healthy; without `problem` its list of objects is complete. */
export interface PoolFacts {
    readonly name: string;
    /** The pool's own identity; empty when `problem` is set, or `"new"` when it is going to be initialised. */
    readonly id: string;
    /**
     * Why nothing can be said about the pool: directory missing, foreign, not a pool. Then "not found" never means
     * "gone".
     */
    readonly problem?: { readonly summary: string; readonly hint: string };
    readonly capacity: Capacity;
    readonly objects: ReadonlyMap<string, ObjectFacts>;
    /** What is wrong with the pool although it can be used (nearly full), in sentences that say what to do. */
    readonly health?: readonly string[];
    /** Facts that only the driver understands, e.g. `reflink: "yes"`. */
    readonly extra: Readonly<Record<string, string>>;
}

/** A disk as a `Pool` names it, whatever it leads to on the host. */
export interface DiskFacts {
    /** As it was asked for: `/dev/disk/by-id/…`. */
    readonly name: string;
    /** Kernel device that the name leads to; absent: there is no such disk on the host. */
    readonly device?: string;
    readonly sizeBytes: number;
    readonly readOnly: boolean;
    /** Stable names of the device, for whoever gave another. */
    readonly stableNames: readonly string[];
    /** What the disk carries, by the names that `wipefs` has (`ext4`, `dos`, `LVM2_member`). */
    readonly signatures: readonly string[];
    /** Who has it: mount points, swap, partitions, kernel devices on top of it. */
    readonly users: readonly string[];
}

/** What a pool lives in, as a whole (LVM: a volume group): read only where a `Pool` is declared. */
export interface ContainerFacts {
    /** Name of the pool. */
    readonly name: string;
    /** The container's own identity; empty: it is not there. */
    readonly id: string;
    readonly mark?: Mark;
    /** Why nothing can be done with it: partial, two of one name, exported, renamed. */
    readonly problem?: { readonly summary: string; readonly hint: string };
    readonly sizeBytes: number;
    readonly freeBytes: number;
    /** Disks that were asked for, by name. */
    readonly disks: ReadonlyMap<string, DiskFacts>;
    /** What only the driver understands. */
    readonly extra: unknown;
}

/** Long work: a named unit on the host. */
export interface UnitFacts {
    readonly name: string;
    /** `lost`: it neither runs nor has ended (the host was restarted). */
    readonly state: "running" | "done" | "failed" | "lost";
    readonly exitStatus?: number;
    readonly doneBytes?: number;
    readonly totalBytes?: number;
    /** The end of what it wrote. */
    readonly log: string;
}

export interface SystemFacts {
    /** Kernel release: `6.1.0-40-amd64`. */
    readonly kernel: string;
    /** Operating system: `Debian GNU/Linux 12 (bookworm)`. */
    readonly os: string;
    /** Kernel modules that are loaded. */
    readonly modules: readonly string[];
}

export interface HostFacts {
    readonly pools: ReadonlyMap<string, PoolFacts>;
    /** By name of the pool; only those that an operation has asked for. */
    readonly containers?: ReadonlyMap<string, ContainerFacts>;
    /** By protocol: `iscsi`, `nvme-tcp`. */
    readonly targets: ReadonlyMap<string, TargetFacts>;
    /** What it is as a client: who it is to targets, what is attached to it. */
    readonly client?: ClientFacts;
    readonly units: ReadonlyMap<string, UnitFacts>;
    /** What names of new targets are made of; see `epoch.ts`. */
    readonly epoch: Epoch;
    /** A run that was cut short has left files half-written in the state directory. */
    readonly leftovers?: boolean;
    /** Stock tools that are there, by name (`truncate`, `tgtadm`): an absent one is missing. */
    readonly tools: ReadonlySet<string>;
    /** What the host is. */
    readonly system?: SystemFacts;
    /** Claims of plans that are not in the facts yet: of this batch, or (in preview) of this whole run. */
    readonly claims: readonly Claim[];
    /** Names taken by plans of the same batch. */
    readonly reserved: ReadonlySet<string>;
}

/** Exports of any protocol that back onto a path. */
export function exportsOf(facts: HostFacts, path: string): { protocol: string; facts: ExportFacts }[] {
    return [...facts.targets].flatMap(([protocol, target]) =>
        [...target.exports.values()]
            .filter((one) => one.devicePath === path)
            .map((one) => ({ protocol, facts: one })),
    );
}
