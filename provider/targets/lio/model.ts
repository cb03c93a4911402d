import { createHash } from "node:crypto";
import * as z from "zod";
import {
    commonDeclared,
    type Declaration,
    digestOf,
    exportsOf,
    type KernelExport,
    secretHash,
} from "../configfs/model";
import type { Tree } from "../configfs/tree";
import { normalizeIscsiName } from "../iqn";
import { covers, formatPortal, parsePortal } from "../portal";
import { portalsOf } from "../portals";
import { unitIdentity } from "../serial";
import type { ExportWanted, TargetContext, TargetRef } from "../types";
import type { LioOptions } from "./options";
import { lioExtra, ownOf } from "./own";

export type LioRef = TargetRef<LioOptions>;
export type LioContext = TargetContext<LioOptions>;

/** The boot file's `declared` line. Later versions may add fields; these stay. */
export const declaredSchema = commonDeclared.extend({
    /** `core/iblock_<n>/<name>`: the backstore. */
    backstore: z.string(),
    /** `iscsi/<target name>`. */
    target: z.string(),
    /** CHAP user names by initiator. */
    users: z.record(z.string(), z.object({ user: z.string().optional(), mutual: z.string().optional() })),
    /** Network portals as LIO has them: a wildcard where somebody else's target already listens on one. */
    listen: z.array(z.string()),
    writeCache: z.boolean(),
    /** Bytes; absent: as the device has it. */
    blockSize: z.number().optional(),
    queueDepth: z.number(),
});
export type LioDeclared = Readonly<z.output<typeof declaredSchema>>;
export type LioExport = KernelExport<LioDeclared>;

/** Link names of ours below LUNs. */
export const LINK = "blockhost";
/** The one logical unit that an export has. */
export const LUN = 0;

/** True for a backstore over a file, which LIO treats otherwise than one over a block device. */
export function isFile(declared: Pick<LioDeclared, "backstore">): boolean {
    return declared.backstore.startsWith("core/fileio_");
}

export function groupOf(declared: Pick<LioDeclared, "target">): string {
    return `${declared.target}/tpgt_1`;
}

/** Portal groups that the target has: beside the export's own, those that somebody has made there. */
export function groupsOf({ target }: Pick<LioDeclared, "target">, tree: Tree): string[] {
    return tree
        .children(target)
        .filter((name) => name.startsWith("tpgt_"))
        .map((name) => `${target}/${name}`);
}

/** Keys of secrets in the boot file's header. */
export function chapKey(initiator: string): string {
    return `chap ${initiator}`;
}
export function mutualKey(initiator: string): string {
    return `mutual ${initiator}`;
}

export function declare(
    context: LioContext,
    want: ExportWanted,
    targetName: string,
    before?: LioExport,
): Declaration<LioDeclared> {
    const { target } = context;
    const secrets: Record<string, string> = {};
    const users: Record<string, { user?: string; mutual?: string }> = {};
    for (const { name, chap, mutualChap } of want.initiators) {
        const initiator = normalizeIscsiName(name);
        users[initiator] = {
            ...(chap === undefined ? {} : { user: chap.username }),
            ...(mutualChap === undefined ? {} : { mutual: mutualChap.username }),
        };
        if (chap !== undefined) secrets[chapKey(initiator)] = secretHash(chap.password.value);
        if (mutualChap !== undefined) secrets[mutualKey(initiator)] = secretHash(mutualChap.password.value);
    }
    const portals = portalsOf(target, want);
    const backstore = `core/${hba(want)}/${want.name}.${want.mark.generation.slice(0, 8)}`;
    // What is made stays as it is, also where its boot file is gone: the options may be others by now.
    const made = before === undefined ? madeBlockSize(context, backstore) : before.declared;
    const { blockSize } = made ?? target.options;
    const fields = {
        devicePath: want.devicePath,
        readOnly: want.readOnly,
        discard: want.discard,
        initiators: Object.keys(users).sort(),
        portals,
        serial: unitIdentity(want.mark.generation).serial,
        backstore,
        target: `iscsi/${targetName}`,
        users: Object.fromEntries(Object.entries(users).sort(([a], [b]) => (a < b ? -1 : 1))),
        listen: listen(context, portals, before),
        writeCache: target.options.writeCache,
        ...(blockSize === undefined ? {} : { blockSize }),
        queueDepth: target.options.queueDepth,
    };
    const declared: LioDeclared = { digest: digestOf(want, fields, secrets), ...fields };
    return { declared, secrets, roots: [declared.backstore, declared.target] };
}

/** Of a file's backstore that the kernel has, the block size, which is 512 where none was asked for; `undefined`: it has none. */
function madeBlockSize({ facts }: LioContext, backstore: string): Pick<LioDeclared, "blockSize"> | undefined {
    if (!isFile({ backstore })) return undefined;
    const value = lioExtra(facts)?.live.tree.value(`${backstore}/attrib/block_size`);
    if (value === undefined) return undefined;
    return value === "512" ? {} : { blockSize: Number(value) };
}

/**
 * A host bus adapter of the export's own, as rtslib makes them: it takes away an adapter together with its one backstore.
 * Two exports with the same number would share one, which the kernel does not mind. rtslib counts to 1,048,576.
 */
function hba({ devicePath, mark }: ExportWanted): string {
    const kind = devicePath.startsWith("/dev/") ? "iblock" : "fileio";
    const hash = createHash("sha256").update(`blockhost hba ${mark.generation}`).digest();
    return `${kind}_${String(48_576 + (hash.readUInt32BE(0) % 1_000_000))}`;
}

/** What was chosen once stays, so that no session hangs on what others do. */
function listen({ facts }: LioContext, portals: readonly string[], before: LioExport | undefined): string[] {
    if (before !== undefined && before.declared.portals.join() === portals.join())
        return [...before.declared.listen];
    // Ours may have chosen beside somebody's target that is gone by now: they have the socket.
    const alike = exportsOf<LioDeclared>(facts).filter(
        ({ declared }) => declared.portals.join() === portals.join(),
    );
    const others = new Set([
        ...(ownOf(facts)?.portals.keys() ?? []),
        ...alike.flatMap(({ declared }) => declared.listen),
    ]);
    const chosen = portals.map((text) => {
        const portal = parsePortal(text);
        if (portal === undefined || others.has(text)) return text;
        const wildcard = formatPortal({ ...portal, address: portal.family === 6 ? "::" : "0.0.0.0" });
        const there = parsePortal(wildcard);
        return there !== undefined && covers(there, portal) && others.has(wildcard) ? wildcard : text;
    });
    return [...new Set(chosen)];
}
