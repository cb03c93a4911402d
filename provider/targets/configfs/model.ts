import { createHash } from "node:crypto";
import * as z from "zod";
import { BlockhostError } from "../../errors";
import type { Activation } from "../../host/facts";
import type { Sh } from "../../sh";
import type { Problem } from "../chap";
import type {
    Agreed,
    ExportFacts,
    ExportWanted,
    Protocol,
    Session,
    Target,
    TargetCapabilities,
    TargetContext,
    TargetFacts,
    TargetRef,
} from "../types";
import type { Device } from "./notes";
import type { ObservedTree } from "./observe";
import type { Listener, Note, Sections } from "./sections";
import type { Tree } from "./tree";

/** What the two kernel targets, LIO and nvmet, have in common: exports that are objects in configfs. */

/** What every helper keeps of a declaration in the boot file's header. No secrets. */
export const commonDeclared = z.object({
    digest: z.string(),
    devicePath: z.string(),
    readOnly: z.boolean(),
    discard: z.boolean(),
    /** Names of initiators, as the kernel has them, sorted. */
    initiators: z.array(z.string()),
    /** As declared, or all of the target. */
    portals: z.array(z.string()),
    serial: z.string(),
});
export type CommonDeclared = Readonly<z.output<typeof commonDeclared>>;

/** What is live of one export, and what is known of its surroundings. */
export interface Live {
    readonly tree: Tree;
    readonly listeners: readonly Listener[];
    /** What is at the device's path now; absent: nothing. */
    readonly device?: Device | undefined;
    /** What was there when the kernel opened it; absent: nobody noted it. */
    readonly noted?: Note | undefined;
    readonly sections: Sections;
}

export interface KernelExport<Declared extends CommonDeclared = CommonDeclared> extends ExportFacts {
    readonly declared: Declared;
    readonly applied: boolean;
    readonly closed: boolean;
    /** SHA-256 of each secret. */
    readonly secrets: Readonly<Record<string, string>>;
    readonly activation?: Activation | undefined;
    readonly live: Live;
}

/** Facts about the host beside its exports. `own` is what only the helper understands. */
export interface KernelExtra<Own = unknown> {
    readonly loaded: boolean;
    /** All that was read of the subsystem by the last complete observation. */
    readonly live: Omit<Live, "device" | "noted">;
    /** Exports that were read again since, and had no boot file: `live` tells nothing of them any more. */
    readonly gone: ReadonlySet<string>;
    readonly listeners: readonly Listener[];
    /** Processes that listen: inode → who. The others are the kernel's. */
    readonly owners: ReadonlyMap<string, string>;
    readonly addresses: ReadonlySet<string>;
    /** Boot files that this version cannot read: export name → why. */
    readonly unreadable: ReadonlyMap<string, string>;
    readonly own: Own;
}

/** In what a live export is not as declared. */
export interface Fault {
    /** Starts with the property that it is about. */
    readonly text: string;
    /** What is in the way and has to be taken away before the boot file puts it right. */
    readonly take?: Sh;
    /** Sessions that this ends; `group`: those of a group that is not the export's own, for whom `take` has the guard. */
    readonly cuts?: "all" | readonly string[] | { readonly group: string };
}

export interface Declaration<Declared extends CommonDeclared> {
    readonly declared: Declared;
    readonly secrets: Readonly<Record<string, string>>;
    /** The export's own objects, relative to the subsystem. */
    readonly roots: readonly string[];
}

/** What a helper adds to the common planners. All pure. */
export interface Helper<Options = unknown, Declared extends CommonDeclared = CommonDeclared, Own = unknown> {
    /** As it is configured: `lio`. */
    readonly name: string;
    /** As users know it: `LIO`. */
    readonly label: string;
    readonly protocol: Protocol;
    /** Its directory in configfs. */
    readonly root: string;
    readonly options: z.ZodType<Options>;
    readonly capabilities: TargetCapabilities;
    /** Tools beside those that all kernel targets use. */
    readonly tools: Target["tools"];
    readonly declaredSchema: z.ZodType<Declared>;
    tree(target: TargetRef<Options>, only?: readonly string[]): ObservedTree;
    check(target: TargetRef<Options>, want: ExportWanted): Problem[];
    agreed?(want: ExportWanted): readonly Agreed[];
    targetName(target: TargetRef<Options>, name: string, generation: string): string;
    /** Whether a target's name is that of an export of this name, of whatever generation. */
    isTargetOf(target: TargetRef<Options>, name: string, other: string): boolean;
    declare(
        context: TargetContext<Options>,
        want: ExportWanted,
        targetName: string,
        before?: KernelExport<Declared>,
    ): Declaration<Declared>;
    body(target: TargetRef<Options>, want: ExportWanted, declared: Declared): Sh;
    faults(declared: Declared, secrets: Readonly<Record<string, string>>, live: Live): Fault[];
    sessions(declared: Declared, live: Live): Session[];
    /** What is told of the rest of the subsystem; `ours`: the roots of our own exports. */
    own(tree: Tree, ours: ReadonlySet<string>, sections: Sections): Own;
    /** Names of targets that are none of our exports'. */
    others(own: Own): ReadonlySet<string>;
    foreign(own: Own): ReadonlyMap<string, string>;
    /** Merges what an observation of some exports says of the rest. */
    mergeOwn(before: Own, read: Own): Own;
    /**
     * Refuses what the rest of the host does not allow.
     *
     * @throws BlockhostError `exists`, `in-use`, `not-ours`, `invalid`, `unsupported`
     */
    refuse(
        context: TargetContext<Options>,
        want: ExportWanted,
        declared: Declared,
        before?: KernelExport<Declared>,
    ): void;
    /** Whether an export that has no boot file is live all the same, and is the one that was declared. */
    isLive(declared: Declared, live: Live): boolean;
    /** Whether the kernel has an export's device open. */
    isOpen(declared: Declared, live: Live): boolean;
    /** Whether the kernel need not be told that the device has that many bytes. */
    knowsSize(before: KernelExport<Declared>, sizeBytes: number): boolean;
    /**
     * For the guard of {@link Target.ensure}: ends the plan, to observe and plan again, unless what the export shares
     * with others is as it was when {@link refuse} looked at it, or as it is going to be.
     */
    guardShared?(context: TargetContext<Options>, want: ExportWanted): Sh;
    /** Host-wide values that this export takes, for {@link refuse} of others in the same run. */
    reserved(context: TargetContext<Options>, want: ExportWanted, declared: Declared): readonly string[];
    /** Ends the script if others than those of the facts are logged in among those that are to be cut. */
    guard(before: KernelExport<Declared>, cuts: "all" | readonly string[]): Sh;
    /** Ends all sessions, and makes the kernel let go of the device. */
    close(declared: Declared): Sh;
    /** Takes everything away that the export has in the kernel; `others`: the host's other exports. */
    takeDown(
        target: TargetRef<Options>,
        before: KernelExport<Declared>,
        others: readonly KernelExport<Declared>[],
    ): Sh;
    /** Takes away what the export shared with others and, with what a change has taken away, leaves to nobody. */
    sweep?(
        target: TargetRef<Options>,
        before: KernelExport<Declared>,
        others: readonly KernelExport<Declared>[],
    ): Sh;
    declaration: NonNullable<Target<Options>["declaration"]>;
    connection: Target<Options>["connection"];
}

export function exportOf<D extends CommonDeclared>(
    facts: TargetFacts,
    name: string,
): KernelExport<D> | undefined {
    return facts.exports.get(name) as KernelExport<D> | undefined;
}

export function exportsOf<D extends CommonDeclared>(facts: TargetFacts): readonly KernelExport<D>[] {
    return [...facts.exports.values()] as KernelExport<D>[];
}

export function othersThan<D extends CommonDeclared>(
    facts: TargetFacts,
    name: string,
): readonly KernelExport<D>[] {
    return exportsOf<D>(facts).filter((one) => one.name !== name);
}

/**
 * @throws BlockhostError when not even the boot files could be listed: then "not found" does not mean "gone".
 */
export function extraOf<Own>(facts: TargetFacts): KernelExtra<Own> {
    if (facts.extra === undefined) requireAnswer(facts);
    return facts.extra as KernelExtra<Own>;
}

/**
 * @throws BlockhostError when the kernel's part is not there: nothing can be changed then.
 */
export function requireAnswer(facts: TargetFacts): void {
    if (facts.problem === undefined) return;
    throw new BlockhostError("not-found", facts.problem.summary, { hint: facts.problem.hint });
}

/** As the kernel's attribute shows a secret, with its end of line. */
export function secretHash(secret: string): string {
    return createHash("sha256").update(`${secret}\n`).digest("hex");
}

/** Of what boot files make; part of the digest: one of a former version is written anew before it shall heal something. */
const BODY_VERSION = 3;

export function digestOf(
    want: ExportWanted,
    fields: unknown,
    secrets: Readonly<Record<string, string>>,
): string {
    const all = [BODY_VERSION, want.mark.generation, fields, secrets, want.activation ?? null];
    return createHash("sha256").update(JSON.stringify(all)).digest("hex");
}
