import { createHash } from "node:crypto";
import * as z from "zod";
import { BlockhostError } from "../../errors";
import { aclAddress } from "../address";
import { chapFingerprint } from "../chap";
import { normalizeIscsiName, targetName } from "../iqn";
import { portalsOf } from "../portals";
import { unitIdentity } from "../serial";
import type { ExportFacts, ExportWanted, TargetContext, TargetFacts, TargetRef } from "../types";
import type { TgtOptions } from "./options";
import type { LiveTarget } from "./show";

/** What tgt keeps of a declaration in the boot file's header, and what an observation makes of it. No secrets. */

export type TgtContext = TargetContext<TgtOptions>;
export type TgtRef = TargetRef<TgtOptions>;

const account = z.object({ user: z.string(), fingerprint: z.string() });
const texts = z.array(z.string());

/** The boot file's `declared` line. Later versions may add fields; these stay. */
export const declaredSchema = z.object({
    controlPort: z.number(),
    digest: z.string(),
    devicePath: z.string(),
    readOnly: z.boolean(),
    discard: z.boolean(),
    /** Names of initiators, normalised. */
    initiators: texts,
    addresses: texts,
    /** Entries of tgtd's access list that these come to, sorted. */
    acl: texts,
    portals: texts,
    serial: z.string(),
    naa: z.string(),
    incoming: account.optional(),
    outgoing: account.optional(),
    /** Users of the declaration before this one, to be removed from tgtd; counts until this one was carried out. */
    retired: texts,
    /** Users whose secret in tgtd may still be the one before; counts until this one was carried out. */
    uncertain: texts,
});

export type Declared = Readonly<z.output<typeof declaredSchema>>;
/** A user name and the fingerprint of its secret. */
export type Account = Readonly<z.output<typeof account>>;

/** An export as tgt's parser leaves it in the facts. */
export interface TgtExport extends ExportFacts {
    readonly declared: Declared;
    readonly applied: boolean;
    readonly closed: boolean;
    /** Size of the device when tgtd last opened it. */
    readonly sizeBytes: number;
    /** Whether tgtd has open what is at the path now. */
    readonly device: "open" | "stale" | "gone" | "unknown";
    readonly deviceSizeBytes?: number;
    readonly live?: LiveTarget;
}

/** Facts about tgtd as a whole. */
export interface TgtExtra {
    /** All accounts. */
    readonly accounts: readonly string[];
    /** Accounts bound to targets: user → target names. */
    readonly bindings: ReadonlyMap<string, readonly string[]>;
    /** Portals that tgtd listens on. */
    readonly portals: readonly string[];
    /** Somebody else listens there: portal → process. */
    readonly taken: ReadonlyMap<string, string>;
    /** Names of all live targets. */
    readonly names: ReadonlySet<string>;
    /** Live targets by name; of exports that were not asked for, only their accounts. */
    readonly live: ReadonlyMap<string, LiveTarget>;
    /** Target names that boot files give. */
    readonly ours: ReadonlySet<string>;
    /** Names of all boot files. */
    readonly boot: ReadonlySet<string>;
    /** Addresses of the host; empty where sockets may listen on others, too (`ip_nonlocal_bind`). */
    readonly addresses: ReadonlySet<string>;
    /** Boot files that this version cannot read: export name → why. */
    readonly unreadable: ReadonlyMap<string, string>;
}

export function exportOf(facts: TargetFacts, name: string): TgtExport | undefined {
    return facts.exports.get(name) as TgtExport | undefined;
}

export function exportsOf(facts: TargetFacts): readonly TgtExport[] {
    return [...facts.exports.values()] as TgtExport[];
}

/**
 * @throws BlockhostError when not even the boot files could be listed: then "not found" does not mean "gone".
 */
export function extraOf(facts: TargetFacts): TgtExtra {
    if (facts.extra === undefined) requireAnswer(facts);
    return facts.extra as TgtExtra;
}

/** What an export declares, without what depends on its history. */
export function declare(target: TgtRef, want: ExportWanted): Omit<Declared, "retired" | "uncertain"> {
    const chap = want.initiators.find((initiator) => initiator.chap !== undefined)?.chap;
    const mutual = want.initiators.find((initiator) => initiator.mutualChap !== undefined)?.mutualChap;
    const accountOf = (one: typeof chap): Account | undefined =>
        one === undefined ? undefined : { user: one.username, fingerprint: chapFingerprint(one) };
    const incoming = accountOf(chap);
    const outgoing = accountOf(mutual);
    const { serial, naa } = unitIdentity(want.mark.generation);
    const fields = {
        devicePath: want.devicePath,
        readOnly: want.readOnly,
        discard: want.discard,
        initiators: [...new Set(want.initiators.map(({ name }) => normalizeIscsiName(name)))].sort(),
        addresses: [...new Set(want.addresses)].sort(),
        // An initiator that does not keep to lower case is compared letter by letter: admit it as it was written, too.
        acl: [
            ...new Set([
                ...want.initiators.flatMap(({ name }) => [normalizeIscsiName(name), name]),
                ...want.addresses.flatMap(aclAddress),
            ]),
        ].sort(),
        portals: portalsOf(target, want),
        serial,
        naa,
        ...(incoming === undefined ? {} : { incoming }),
        ...(outgoing === undefined ? {} : { outgoing }),
    };
    const digest = createHash("sha256")
        .update(JSON.stringify([want.mark.generation, fields]))
        .digest("hex");
    return { controlPort: target.options.controlPort, digest, ...fields };
}

/** The target's name: as it was made, else as the prefix has it now. */
export function nameOfTarget(context: TgtContext, want: ExportWanted): string {
    const known = exportOf(context.facts, want.name);
    return known?.targetName ?? targetName(context.target.options.prefix, want.name, want.mark.generation);
}

/**
 * @throws BlockhostError when tgtd does not answer, or perl is missing: nothing can be changed then.
 */
export function requireAnswer(facts: TargetFacts): void {
    if (facts.problem === undefined) return;
    throw new BlockhostError("not-found", facts.problem.summary, { hint: facts.problem.hint });
}
