import type { KernelExtra } from "../configfs/model";
import type { Tree } from "../configfs/tree";
import { normalizePortal } from "../portal";
import type { TargetFacts } from "../types";

/** What LIO has that is none of ours: targetcli's, mostly. */
export interface LioOwn {
    /** Target names. */
    readonly targets: ReadonlySet<string>;
    /** Network portals: portal → target that has it. */
    readonly portals: ReadonlyMap<string, string>;
    /** Devices: path or `block major:minor` → who exports it. */
    readonly devices: ReadonlyMap<string, string>;
}

/** `undefined`: the observation is not complete. */
export function lioExtra(facts: TargetFacts): KernelExtra<LioOwn> | undefined {
    return facts.extra as KernelExtra<LioOwn> | undefined;
}

export function ownOf(facts: TargetFacts): LioOwn | undefined {
    return lioExtra(facts)?.own;
}

export function readOwn(tree: Tree, ours: ReadonlySet<string>): LioOwn {
    const targets = new Set<string>();
    const portals = new Map<string, string>();
    const served = new Map<string, string>();
    for (const name of tree.children("iscsi")) {
        const target = `iscsi/${name}`;
        // Not a target: attributes of the fabric are no directories, but its defaults are.
        if (ours.has(target) || !/^(iqn|eui|naa)\./.test(name)) continue;
        targets.add(name);
        for (const group of tree.children(target).filter((one) => one.startsWith("tpgt_"))) {
            for (const portal of tree.children(`${target}/${group}/np`))
                portals.set(normalizePortal(portal), name);
            for (const lun of tree.children(`${target}/${group}/lun`)) {
                for (const { to } of tree.linksIn(`${target}/${group}/lun/${lun}`)) {
                    served.set(to, `iSCSI target ${name}, LUN ${lun.replace("lun_", "")} (not ours)`);
                }
            }
        }
    }
    const devices = new Map<string, string>();
    // A copy that targetctl has restored of one of ours is none of the others' (see take.ts).
    const names = new Set([...ours].map((root) => root.split("/").at(-1)));
    for (const hba of tree.children("core")) {
        for (const name of tree.children(`core/${hba}`)) {
            const backstore = `core/${hba}/${name}`;
            if (names.has(name) || hba === "alua") continue;
            const { path, id } = parseInfo(tree.lines(`${backstore}/info`));
            const by = served.get(backstore) ?? `LIO backstore ${hba}/${name} (not ours)`;
            if (path !== undefined) devices.set(path, by);
            if (id !== undefined) devices.set(id, by);
        }
    }
    return { targets, portals, devices };
}

/** What a backstore's `info` says. */
export interface BackstoreInfo {
    readonly path?: string;
    /** `block 253:4`, of a block device. */
    readonly id?: string;
    readonly readOnly?: boolean;
    /** Bytes that initiators see, of a file. */
    readonly bytes?: number;
    /** A file is served through the page cache. */
    readonly buffered?: boolean;
}

/** Source: Linux 6.12, target_core_iblock.c `iblock_show_configfs_dev_params`, target_core_file.c `fd_show_configfs_dev_params`. */
export function parseInfo(lines: readonly string[]): BackstoreInfo {
    const text = lines.join("\n");
    const file = / File: (.*) {2}Size: (\d+) {2}Mode: (\S+)/.exec(text);
    if (file !== null) {
        const [, path = "", size, mode] = file;
        return { path, bytes: Number(size), buffered: mode === "Buffered-WCE" };
    }
    const block = / UDEV PATH: (.*?) {2}readonly: (\d)/.exec(text);
    const [, major, minor] = /Major: (\d+) Minor: (\d+)/.exec(text) ?? [];
    return {
        ...(block === null ? {} : { path: block[1] ?? "", readOnly: block[2] === "1" }),
        ...(major === undefined || minor === undefined ? {} : { id: `block ${major}:${minor}` }),
    };
}
