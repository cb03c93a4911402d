import type { Live } from "../configfs/model";
import type { Session } from "../types";
import type { Tree } from "../configfs/tree";
import { groupOf, groupsOf, type LioDeclared } from "./model";

/**
 * Who is logged in. LIO has one session for each initiator and portal group (MaxConnections is 1, and a second session of
 * the same name and ISID takes the place of the first); it shows the one that came last.
 * Source: Linux 6.12, iscsi_target_configfs.c `lio_target_nacl_info_show`.
 */
export function sessions(declared: LioDeclared, { tree }: Live): Session[] {
    return groupsOf(declared, tree).flatMap((group) => {
        const found = sessionsOf(group, tree);
        return group === groupOf(declared) ? found : found.map((one) => ({ ...one, group }));
    });
}

/** Those of a portal group. */
export function sessionsOf(group: string, tree: Tree): Session[] {
    const acls = `${group}/acls`;
    const named = tree.children(acls).flatMap((initiator): Session[] => {
        const lines = tree.lines(`${acls}/${initiator}/info`);
        if (lines.length === 0 || lines[0]?.startsWith("No active") === true) return [];
        const address = /Address (\S+)/.exec(lines.join("\n"))?.[1]?.replace(/^\[|\]$/g, "");
        return [{ initiator, ...(address === undefined ? {} : { address }) }];
    });
    return [...named, ...unnamed(group, tree).map((initiator) => ({ initiator }))];
}

/** Those that no entry names. The kernel puts a NUL after each. */
export function unnamed(group: string, tree: Tree): string[] {
    const lines = tree.lines(`${group}/dynamic_sessions`);
    return lines.flatMap((line) => line.split("\0")).filter((initiator) => initiator !== "");
}
