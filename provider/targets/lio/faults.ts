import { raw, sh, type Sh } from "../../sh";
import type { Fault, Live } from "../configfs/model";
import type { Tree } from "../configfs/tree";
import { covers, parsePortal } from "../portal";
import {
    ALUA,
    ALUA_ACCESS,
    ALUA_GROUP,
    BACKSTORE,
    FIXED,
    identity,
    INITIATOR,
    LOGICAL_UNIT,
    OF_DEVICE,
    PARAMETERS,
    UNIT_GROUP,
} from "./attributes";
import { authMethod, groupAttributes } from "./body";
import {
    chapKey,
    groupOf,
    groupsOf,
    isFile,
    LINK,
    type LioDeclared,
    type LioExport,
    LUN,
    mutualKey,
} from "./model";
import { parseInfo } from "./own";
import { sessionsOf, unnamed } from "./sessions";
import { closeUnit, dropGroups, dropInitiator, dropLun, dropPortalGroup } from "./take";

type Secrets = Readonly<Record<string, string>>;

const LUN_DIRECTORY = `lun_${String(LUN)}`;
/** An attribute that was never set, or was cleared. */
const isUnset = (value: string | undefined) => value === undefined || value === "" || value === "NULL";

/** In what LIO differs from a declaration, field by field. Each difference starts with the property it is about. */
export function faults(declared: LioDeclared, secrets: Secrets, live: Live): Fault[] {
    const { tree } = live;
    if (!tree.has(declared.target) && !tree.has(declared.backstore)) return [{ text: "missing" }];
    // What others have made of the unit goes before it.
    const unit = [...otherGroups(declared, tree), ...unitFaults(declared, live)];
    if (!tree.has(groupOf(declared))) return [...unit, { text: "state: the target is missing" }];
    // The kernel lets no unit go that an initiator is shown, under whatever number: access comes first.
    return [
        ...unit,
        ...accessFaults(declared, secrets, tree),
        ...lunFaults(declared, tree),
        ...groupFaults(declared, live),
    ];
}

/** Whether LIO has the export's own target and backstore, with its serial number. */
export function isLive(declared: LioDeclared, { tree }: Live): boolean {
    return (
        tree.has(declared.target) && tree.has(declared.backstore) && serialFault(declared, tree) === undefined
    );
}

export function isOpen({ backstore }: LioDeclared, { tree }: Pick<Live, "tree">): boolean {
    return tree.value(`${backstore}/enable`) === "1";
}

/** A block device's size LIO always reads anew; a file's it is told. Initiators see either when they scan. */
export function knowsSize({ declared, live }: LioExport, sizeBytes: number): boolean {
    return !isFile(declared) || parseInfo(live.tree.lines(`${declared.backstore}/info`)).bytes === sizeBytes;
}

/** The backstore is another than declared: it and the LUN have to be made anew, with nobody logged in. */
function remake(declared: LioDeclared, text: string): Fault {
    return { text, take: closeUnit(declared), cuts: "all" };
}

function unitFaults(declared: LioDeclared, { tree, device, noted }: Live): Fault[] {
    const { backstore, devicePath } = declared;
    if (!isOpen(declared, { tree })) return [{ text: `devicePath: LIO does not serve ${devicePath}` }];
    const info = parseInfo(tree.lines(`${backstore}/info`));
    const file = isFile(declared);
    const open = file ? noted?.device.id : info.id;
    const others: (string | undefined)[] = [
        info.path === devicePath
            ? undefined
            : `devicePath: LIO serves ${info.path ?? "?"}, not ${devicePath}`,
        device === undefined || open === undefined || device.id === open
            ? undefined
            : "devicePath: LIO still serves what was at the path before",
        file || info.readOnly === declared.readOnly
            ? undefined
            : `readOnly: the device is ${info.readOnly === true ? "read-only" : "writable"}`,
        !file || info.buffered === declared.writeCache
            ? undefined
            : `writeCache: ${yes(info.buffered === true)}, not ${yes(declared.writeCache)}`,
        serialFault(declared, tree),
        aliasFault(tree, `${backstore}/alua_lu_gp`, "unit", UNIT_GROUP),
        declared.blockSize === undefined
            ? undefined
            : differs(tree, `${backstore}/attrib/block_size`, String(declared.blockSize), "blockSize"),
    ];
    const found = others.filter((text) => text !== undefined).map((text) => remake(declared, text));
    if (file && device !== undefined && info.bytes !== device.bytes && found.length === 0) {
        const text = `size: initiators see ${String(info.bytes ?? 0)} bytes, the file has ${String(device.bytes)}`;
        found.push({ text });
    }
    const unmap = "max_unmap_block_desc_count";
    const has = (noted?.attributes[unmap] ?? tree.value(`${backstore}/attrib/${unmap}`)) !== "0";
    const discard = declared.discard && has ? "1" : "0";
    const attributes = {
        ...BACKSTORE,
        ...noted?.attributes,
        emulate_tpu: discard,
        emulate_tpws: discard,
        ...(file ? { emulate_write_cache: declared.writeCache ? "1" : "0" } : {}),
    };
    const linked = tree.linksIn(`${groupOf(declared)}/lun/${LUN_DIRECTORY}`).length > 0;
    const differing = Object.entries(attributes).flatMap(([name, value]): Fault[] => {
        const text = differs(tree, `${backstore}/attrib/${name}`, value, propertyOf(name));
        if (text === undefined) return [];
        // What the device gave, the kernel may not take back where the block size is another.
        const fixed = FIXED.has(name) && (linked || OF_DEVICE.includes(name));
        return [fixed ? remake(declared, text) : { text }];
    });
    const shown = Object.entries(identity(file)).flatMap(([name, value]): Fault[] => {
        const text = differs(tree, `${backstore}/wwn/${name}`, value, "serial");
        if (text === undefined) return [];
        return [linked ? remake(declared, text) : { text }];
    });
    const groups = tree
        .children(`${backstore}/alua`)
        .filter((name) => name !== ALUA_GROUP)
        .map((name): Fault => {
            return { text: `state: there is a target port group ${name} too`, take: dropGroups(declared) };
        });
    const states = attributeFaults(
        tree,
        `${backstore}/alua/${ALUA_GROUP}`,
        { ...ALUA, ...ALUA_ACCESS },
        () => "state",
    );
    return [...found, ...differing, ...shown, ...groups, ...states];
}

function propertyOf(attribute: string): string {
    if (/^emulate_tp/.test(attribute)) return "discard";
    return attribute === "emulate_write_cache" ? "writeCache" : "state";
}

function serialFault({ backstore, serial }: LioDeclared, tree: Tree): string | undefined {
    const shown = tree.value(`${backstore}/wwn/vpd_unit_serial`)?.replace(/^.*: /, "");
    return shown === serial ? undefined : `serial: ${shown ?? "none"}, not ${serial}`;
}

function lunFaults(declared: LioDeclared, tree: Tree): Fault[] {
    const luns = `${groupOf(declared)}/lun`;
    const others = tree
        .children(luns)
        .filter((name) => name !== LUN_DIRECTORY)
        .map((name): Fault => {
            return {
                text: `devicePath: there is a LUN ${name.replace("lun_", "")} too`,
                take: dropLun(declared, name),
            };
        });
    const links = tree.linksIn(`${luns}/${LUN_DIRECTORY}`);
    if (links.some(({ name, to }) => name === LINK && to === declared.backstore))
        return [...others, ...reachFaults(`${luns}/${LUN_DIRECTORY}`, tree)];
    const text = `devicePath: LUN ${String(LUN)} is not the export's device`;
    return [...others, links.length === 0 ? { text } : remake(declared, text)];
}

/** What keeps initiators from a unit that they are shown. */
function reachFaults(lun: string, tree: Tree): Fault[] {
    const text = aliasFault(tree, `${lun}/alua_tg_pt_gp`, "LUN", ALUA_GROUP);
    const other = text === undefined ? [] : [{ text }];
    return [...other, ...attributeFaults(tree, lun, LOGICAL_UNIT, () => "state")];
}

/** A group, which is shown by its alias. */
function aliasFault(tree: Tree, path: string, of: string, wanted: string): string | undefined {
    const group = tree.value(path)?.replace(/^.*: /, "");
    if (group === undefined || group === "" || group === wanted) return undefined;
    return `state: the ${of}'s group is ${group}, not ${wanted}`;
}

function otherGroups(declared: LioDeclared, tree: Tree): Fault[] {
    const others = groupsOf(declared, tree).filter((group) => group !== groupOf(declared));
    return others.map((group): Fault => {
        return {
            text: `portals: there is a portal group ${group.replace(/^.*_/, "")} too`,
            take: dropPortalGroup(group, sessionsOf(group, tree)),
            cuts: { group },
        };
    });
}

function groupFaults(declared: LioDeclared, live: Live): Fault[] {
    const { tree } = live;
    const group = groupOf(declared);
    const chap = Object.values(declared.users).some(({ user }) => user !== undefined);
    const attributes = attributeFaults(tree, `${group}/attrib`, groupAttributes(declared, chap), (name) =>
        name === "authentication"
            ? "chap"
            : /node_acls|dynamic|discovery/.test(name)
              ? "initiators"
              : "state",
    );
    const parameters = attributeFaults(
        tree,
        `${group}/param`,
        { ...PARAMETERS, AuthMethod: authMethod(chap) },
        (name) => (name === "AuthMethod" ? "chap" : "state"),
    );
    return [
        ...unnamed(group, tree).map((name): Fault => {
            const text = `initiators: ${name} is logged in without being named`;
            return { text, take: sh`printf 0 > ${group}/enable`, cuts: "all" };
        }),
        ...attributes,
        ...parameters,
        ...portalFaults(declared, live),
        ...(tree.value(`${group}/enable`) === "1" ? [] : [{ text: "state: the target is disabled" }]),
    ];
}

function portalFaults(declared: LioDeclared, { tree, listeners }: Live): Fault[] {
    const portals = `${groupOf(declared)}/np`;
    const found: Fault[] = [];
    for (const name of tree.children(portals)) {
        if (declared.listen.includes(name)) continue;
        found.push({
            text: `portals: LIO listens on ${name} too`,
            take: sh`rmdir -- ${`${portals}/${name}`} || exit`,
        });
    }
    for (const name of declared.listen) {
        if (!tree.has(`${portals}/${name}`)) {
            found.push({ text: `portals: LIO does not listen on ${name}` });
            continue;
        }
        const portal = parsePortal(name);
        const heard = listeners.some((listener) => {
            const other = parsePortal(listener.portal);
            return portal !== undefined && other !== undefined && covers(other, portal);
        });
        if (heard) continue;
        // The kernel has the object but no socket: another daemon was there first.
        const text = `portals: nothing of LIO's listens on ${name}, though it has the portal`;
        found.push({ text, take: sh`rmdir -- ${`${portals}/${name}`} || exit` });
    }
    return found;
}

function accessFaults(declared: LioDeclared, secrets: Secrets, tree: Tree): Fault[] {
    const acls = `${groupOf(declared)}/acls`;
    const others = tree
        .children(acls)
        .filter((name) => !declared.initiators.includes(name))
        .map((name): Fault => {
            return {
                text: `initiators: ${name} is admitted`,
                take: dropInitiator(declared, name),
                cuts: [name],
            };
        });
    return [
        ...others,
        ...declared.initiators.flatMap((name) => initiatorFaults(declared, secrets, tree, name)),
    ];
}

function initiatorFaults(declared: LioDeclared, secrets: Secrets, tree: Tree, name: string): Fault[] {
    const acl = `${groupOf(declared)}/acls/${name}`;
    if (!tree.has(acl)) return [{ text: `initiators: ${name} is not admitted` }];
    const found: Fault[] = [];
    const say = (text: string, take?: Sh) => found.push({ text, ...(take === undefined ? {} : { take }) });
    const users = declared.users[name];
    const sameUser = (attribute: string, wanted: string | undefined) => {
        const value = tree.value(`${acl}/auth/${attribute}`);
        return wanted === undefined ? isUnset(value) : value === wanted;
    };
    const sameSecret = (attribute: string, wanted: string | undefined) => {
        const hash = tree.hash(`${acl}/auth/${attribute}`);
        return wanted === undefined ? hash === undefined || UNSET_HASHES.has(hash) : hash === wanted;
    };
    if (!sameUser("userid", users?.user)) say(`chap: the user name of ${name} is another`);
    if (!sameSecret("password", secrets[chapKey(name)])) say(`chap: the password of ${name} is another`);
    if (!sameUser("userid_mutual", users?.mutual))
        say(`mutualChap: the user name towards ${name} is another`);
    if (!sameSecret("password_mutual", secrets[mutualKey(name)]))
        say(`mutualChap: the password towards ${name} is another`);
    for (const fault of attributeFaults(tree, `${acl}/attrib`, INITIATOR, () => "initiators"))
        found.push(fault);
    const depth = differs(tree, `${acl}/cmdsn_depth`, String(declared.queueDepth), "queueDepth");
    // To write it ends the initiator's sessions.
    if (depth !== undefined) found.push({ text: depth, take: raw(":"), cuts: [name] });
    for (const other of tree.children(acl).filter((one) => /^lun_/.test(one) && one !== LUN_DIRECTORY)) {
        say(`devicePath: ${name} is shown ${other} too`, dropLun(declared, other, name));
    }
    found.push(...mappedFaults(declared, tree, name));
    return found;
}

function mappedFaults(declared: LioDeclared, tree: Tree, name: string): Fault[] {
    const group = groupOf(declared);
    const mapped = `${group}/acls/${name}/${LUN_DIRECTORY}`;
    const links = tree.linksIn(mapped);
    if (!links.some((link) => link.name === LINK && link.to === `${group}/lun/${LUN_DIRECTORY}`)) {
        const text = `devicePath: ${name} is not shown the LUN`;
        return [links.length === 0 ? { text } : { text, take: dropLun(declared, LUN_DIRECTORY, name) }];
    }
    const value = tree.value(`${mapped}/write_protect`);
    if (value === (declared.readOnly ? "1" : "0")) return [];
    const text = `readOnly: ${name} ${value === "1" ? "cannot" : "can"} write`;
    // An initiator asks whether a disk is writable when it logs in; to disable the group ends everybody's session.
    return [declared.readOnly ? { text, take: sh`printf 0 > ${`${group}/enable`}`, cuts: "all" } : { text }];
}

function attributeFaults(
    tree: Tree,
    directory: string,
    wanted: Readonly<Record<string, string>>,
    property: (name: string) => string,
): Fault[] {
    return Object.entries(wanted).flatMap(([name, value]) => {
        const text = differs(tree, `${directory}/${name}`, value, property(name));
        return text === undefined ? [] : [{ text }];
    });
}

/** What the kernel does not have cannot differ. */
function differs(tree: Tree, path: string, wanted: string, property: string): string | undefined {
    const value = tree.value(path);
    if (value === undefined || value === wanted) return undefined;
    return `${property}: ${path.split("/").at(-1) ?? path} is ${value}, not ${wanted}`;
}

function yes(value: boolean): string {
    return value ? "yes" : "no";
}

/** SHA-256 of what an unset secret shows: nothing, an empty line, `NULL`. */
const UNSET_HASHES = new Set([
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
    "21726c10dcf9e11a1bc65ffab39bb4df9a068d87d16f1946d8f54d44860395a5",
]);
