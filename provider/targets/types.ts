import type { BootUnitState } from "./bootUnit";
import type * as z from "zod";
import type { Mark } from "../host/mark";
import type { Activation, HostFacts } from "../host/facts";
import type { Plan, Step } from "../host/plan";
import type { Secret, Sh } from "../sh";

/**
 * The contract of a target: how initiators reach a device path over a protocol. Pure, as drivers are. Objects are made,
 * compared field by field and healed one at a time; what other exports or other tools have there is never touched.
 *
 * Each export has one boot file in the host's state directory: the idempotent script that made it (mode 0600, it may
 * hold secrets), with the owner mark and a digest of everything declared in comment lines. What is declared is the boot
 * file; what is live in the daemon or kernel is healed towards it.
 */
export interface Target<Options = unknown> {
    /** The helper's name: `tgt`, `lio`, `nvmet`. */
    readonly name: string;
    readonly protocol: Protocol;
    readonly options: z.ZodType<Options>;
    readonly capabilities: TargetCapabilities;
    readonly tools: Readonly<Record<string, string>>;

    /** Problems of a declaration that this helper cannot carry out, each with the property's path. No facts needed. */
    check(target: TargetRef<Options>, want: ExportWanted): { path: string; reason: string }[];
    /** What all exports of a host have to give alike: where those of one program do not, nothing is carried out. */
    agreed?(want: ExportWanted): readonly Agreed[];
    /** IQN or NQN of an export that is going to be made with that generation. */
    targetName(target: TargetRef<Options>, name: string, generation: string): string;
    observe(target: TargetRef<Options>, only?: readonly string[]): Sh;
    parse(target: TargetRef<Options>, output: string): TargetFacts;
    /**
     * Facts after the exports named in an `only` were read again; for helpers whose `only` leaves out what concerns the
     * others. Without it, what was read replaces everything but the other exports.
     */
    merge?(before: TargetFacts, read: TargetFacts, only: readonly string[]): TargetFacts;

    /** Create, finish, heal or change an export so that it is exactly as wanted. F4, F5: create_export, ensure_export. */
    ensure(context: TargetContext<Options>, want: ExportWanted): Plan;
    /** Sessions that {@link ensure} would cut, and why; decides the class of the change. */
    cuts(
        context: TargetContext<Options>,
        want: ExportWanted,
    ): { sessions: readonly Session[]; reason: string } | undefined;
    /** Remove an export and its boot file. F4: remove_export. */
    remove(context: TargetContext<Options>, want: { name: string; mark: Mark }): Plan;
    /** Take our mark over to a renamed resource, nothing else. */
    remark(context: TargetContext<Options>, want: { name: string; from: Mark; to: Mark }): Plan;
    /**
     * An export whose boot file is gone while it is still served, recognised as the one in the state by what is new with
     * each making: its target name and its serial. Given to the other planners in the facts, it is made whole or removed.
     *
     * @param want As in the state.
     */
    orphan?(context: TargetContext<Options>, want: ExportWanted, targetName: string): ExportFacts | undefined;
    /**
     * Steps that make an export see that its device has grown or was exchanged (revert). Steps before the change
     * (`close`) and after it (`open`).
     */
    reopen(
        context: TargetContext<Options>,
        want: { name: string; sizeBytes: number; exchanged: boolean },
    ): { close: readonly Step[]; open: readonly Step[] };
    /** What `reopen` does to initiators that are logged in. */
    readonly growth: "online" | "offline";

    /** What an export declares, as far as the facts tell: for imports. */
    declaration?(target: TargetRef<Options>, facts: ExportFacts): Declaration;
    /** Connection properties in os-brick's form. F5: initialize_connection. */
    connection(target: TargetRef<Options>, want: ExportWanted, facts: ExportFacts): ConnectionProperties;
}

export interface Agreed {
    /** The property that gives it. */
    readonly path: string;
    /** What it is given to: `host nqn…`. */
    readonly to: string;
    /** Told from others; no secret. */
    readonly value: string;
    /** Why another resource must not give another. */
    readonly reason: string;
}

export type Protocol = "iscsi" | "nvme-tcp";

export interface TargetCapabilities {
    /** Different initiators of one export may have different CHAP credentials. */
    readonly perInitiatorChap: boolean;
    readonly mutualChap: "none" | "per-target" | "per-initiator";
    /** Initiators can be restricted by address too. */
    readonly addresses: boolean;
    readonly readOnly: boolean;
    readonly discard: boolean;
    /** Most bytes of a CHAP secret. */
    readonly maxSecretLength: number;
}

export interface TargetRef<Options = unknown> {
    readonly protocol: Protocol;
    readonly helper: string;
    /** `address:port`, IPv6 as `[::1]:3260`; on which initiators reach the host. */
    readonly portals: readonly string[];
    readonly options: Options;
    readonly stateDirectory: string;
}

export interface TargetContext<Options = unknown> {
    readonly target: TargetRef<Options>;
    readonly facts: TargetFacts;
    readonly host: HostFacts;
}

export interface Chap {
    readonly username: string;
    readonly password: Secret;
}

/** Keys of NVMe in-band authentication, in the form `DHHC-1:…:`. */
export interface Dhchap {
    /** Proves the host to the controller. */
    readonly key: Secret;
    /** Proves the controller to the host. */
    readonly controllerKey?: Secret;
}

export interface Initiator {
    /** IQN (iscsi) or NQN (nvme-tcp). */
    readonly name: string;
    readonly chap?: Chap;
    /** The target's own credentials towards this initiator (mutual CHAP). */
    readonly mutualChap?: Chap;
    readonly dhchap?: Dhchap;
}

export interface ExportWanted {
    readonly name: string;
    readonly mark: Mark;
    readonly devicePath: string;
    /** What makes the device appear after a boot. */
    readonly activation?: Activation | undefined;
    readonly sizeBytes: number;
    readonly readOnly: boolean;
    readonly initiators: readonly Initiator[];
    /** Addresses or CIDR networks that may log in; empty: any. */
    readonly addresses: readonly string[];
    /** Subset of the target's portals; empty: all. */
    readonly portals: readonly string[];
    /** Offer discard (UNMAP) to initiators. */
    readonly discard: boolean;
}

/** What a boot file tells of a declaration: secrets are not in it. */
export interface Declaration {
    readonly initiators: readonly {
        readonly name: string;
        /** User names of CHAP. */
        readonly chap?: string;
        readonly mutualChap?: string;
        /** It has keys of NVMe in-band authentication. */
        readonly dhchap?: boolean;
    }[];
    readonly addresses: readonly string[];
    /** Those that it names; empty: all of the target. */
    readonly portals: readonly string[];
    readonly readOnly: boolean;
    readonly discard: boolean;
}

/** A logged-in initiator. */
export interface Session {
    readonly initiator: string;
    readonly address?: string;
    /**
     * Of one that may have gone again, since the target only tells who has come: how often it has connected, as far as that
     * is known. Absent: it is connected.
     */
    readonly arrivals?: number;
    /** Logged in to a portal group that somebody has made beside the export's own. */
    readonly group?: string;
}

export interface ExportFacts {
    readonly name: string;
    readonly mark: Mark;
    /** Target name (IQN or NQN) as the boot file has it. */
    readonly targetName: string;
    readonly devicePath: string;
    readonly serial: string;
    /** Digest of everything declared, keyed with the generation; changes when a secret does. */
    readonly digest: string;
    /** In what the live object differs from the boot file; empty: it is as declared. `missing` when it is not there. */
    readonly differences: readonly string[];
    readonly sessions: readonly Session[];
    /** Its boot file is gone while it is still served: only the state can tell that it is ours ({@link Target.orphan}). */
    readonly orphaned?: true;
    /** Taken off while the content of its volume is exchanged; not made at boot until it was opened again. */
    readonly closed?: boolean;
    readonly extra: Readonly<Record<string, string>>;
}

export interface TargetFacts {
    readonly protocol: Protocol;
    /** Why nothing can be said: daemon not running, module missing. Boot files are listed all the same. */
    readonly problem?: { readonly summary: string; readonly hint: string };
    readonly exports: ReadonlyMap<string, ExportFacts>;
    /** What makes all of them at boot; absent: it was not observed. */
    readonly bootUnit?: BootUnitState;
    /** Device paths that objects of other tools export: path → what. */
    readonly foreign: ReadonlyMap<string, string>;
    /**
     * What only the helper understands, and boot files that it cannot read, with the reason: what they make may be served
     * still. `undefined`: the observation is not complete.
     */
    readonly extra: { readonly unreadable: ReadonlyMap<string, string> } | undefined;
}

/** What os-brick, Nomad, libvirt or a script need to attach it. */
export interface ConnectionProperties {
    readonly driver_volume_type: "iscsi" | "nvmeof";
    readonly data: Readonly<Record<string, unknown>>;
}
