import { raw, type Sh, sh } from "../../sh";
import type { Fault, Live } from "../configfs/model";
import type { Tree } from "../configfs/tree";
import { INLINE_DATA, PORT, SUBSYSTEM } from "./body";
import {
    controllerKey,
    hostKey,
    MODEL,
    NAMESPACE,
    nqnOf,
    type NvmetDeclared,
    type NvmetExport,
} from "./model";
import { declaredKeys, madeObjects, portFor, portLinks, tcpPorts, unusable, UNSET } from "./own";
import { sessions } from "./sessions";
import { closeNamespace, leavePort, leavePorts, noteIdle, removeSubsystem } from "./take";

type Secrets = Readonly<Record<string, string>>;

/** In what nvmet differs from a declaration, field by field. Each difference starts with the property it is about. */
export function faults(declared: NvmetDeclared, secrets: Secrets, live: Live): Fault[] {
    const { tree } = live;
    if (!tree.has(declared.subsystem)) return [{ text: "missing" }];
    return [
        ...subsystemFaults(declared, live),
        ...namespaceFaults(declared, live),
        ...hostFaults(declared, secrets, live),
        ...portFaults(declared, live),
    ];
}

/** Whether nvmet has the export's own subsystem, with its serial number. */
export function isLive({ subsystem, serial }: NvmetDeclared, { tree }: Live): boolean {
    return tree.has(subsystem) && shownSerial(tree, subsystem, serial) === serial;
}

/** Before Linux 5.14 it is a number to the kernel, which shows it without zeros at the beginning. */
function shownSerial(tree: Tree, subsystem: string, serial: string): string | undefined {
    return tree.value(`${subsystem}/attr_serial`)?.trimEnd().padStart(serial.length, "0");
}

export function isOpen({ subsystem }: NvmetDeclared, { tree }: Pick<Live, "tree">): boolean {
    return tree.value(`${subsystem}/namespaces/${String(NAMESPACE)}/enable`) === "1";
}

/** A namespace is told to look, and tells its hosts, which go on undisturbed. */
export function knowsSize({ live }: NvmetExport, sizeBytes: number): boolean {
    return live.noted?.device.bytes === sizeBytes;
}

function subsystemFaults(declared: NvmetDeclared, { tree, noted }: Live): Fault[] {
    const { subsystem, serial } = declared;
    const found: Fault[] = [];
    // Once a host has seen the subsystem, the kernel does not let these be changed.
    const begun = Object.entries(noted?.attributes ?? {});
    const shown = shownSerial(tree, subsystem, serial);
    for (const text of [
        shown === undefined || shown === serial
            ? undefined
            : `serial: attr_serial is ${shown}, not ${serial}`,
        differs(tree, `${subsystem}/attr_model`, MODEL, "serial"),
        ...begun.map(([attribute, value]) => differs(tree, `${subsystem}/${attribute}`, value, "state")),
    ]) {
        const take = both(leavePorts(declared), removeSubsystem(declared));
        if (text !== undefined) found.push({ text, take, cuts: "all" });
    }
    for (const [attribute, wanted] of Object.entries({ ...SUBSYSTEM, attr_allow_any_host: "0" })) {
        const property = attribute === "attr_allow_any_host" ? "initiators" : "state";
        const text = differs(tree, `${subsystem}/${attribute}`, wanted, property);
        if (text === undefined) continue;
        // To write it ends all connections: Linux 6.12, configfs.c `nvmet_subsys_attr_qid_max_store`.
        const ends = attribute === "attr_qid_max" ? ({ take: raw(":"), cuts: "all" } as const) : {};
        found.push({ text, ...ends });
    }
    return found;
}

function namespaceFaults(declared: NvmetDeclared, { tree, device, noted }: Live): Fault[] {
    const { subsystem, devicePath } = declared;
    const namespaces = `${subsystem}/namespaces`;
    const path = `${namespaces}/${String(NAMESPACE)}`;
    const found = tree
        .children(namespaces)
        .filter((name) => name !== String(NAMESPACE))
        .map((name): Fault => {
            // Another take may have been before.
            const take = sh`[ ! -d ${`${namespaces}/${name}`} ] || { printf 0 > ${`${namespaces}/${name}/enable`} && rmdir -- ${`${namespaces}/${name}`}; } || exit`;
            return { text: `devicePath: there is a namespace ${name} too`, take };
        });
    const open = isOpen(declared, { tree });
    const wanted = {
        device_path: devicePath,
        device_uuid: declared.uuid,
        device_nguid: declared.nguid,
        buffered_io: "0",
    };
    const others = Object.entries(wanted).flatMap(([attribute, value]) => {
        const property =
            attribute === "device_path" ? "devicePath" : attribute === "buffered_io" ? "state" : "serial";
        return differs(tree, `${path}/${attribute}`, value, property) ?? [];
    });
    if (open && noted !== undefined && device !== undefined && noted.device.id !== device.id)
        others.push("devicePath: nvmet still serves what was at the path before");
    // While it is closed, the boot file writes what differs.
    for (const text of others)
        found.push(open ? { text, take: closeNamespace(declared), cuts: "all" } : { text });
    if (!open) found.push({ text: `devicePath: nvmet does not serve ${devicePath}` });
    else if (others.length === 0 && device !== undefined && noted?.device.bytes !== device.bytes) {
        const seen = noted === undefined ? "an unknown number of" : String(noted.device.bytes);
        found.push({ text: `size: hosts see ${seen} bytes, the device has ${String(device.bytes)}` });
    }
    const group = differs(tree, `${path}/ana_grpid`, "1", "state");
    if (group !== undefined) found.push({ text: group });
    return found;
}

function hostFaults(declared: NvmetDeclared, secrets: Secrets, live: Live): Fault[] {
    const { tree } = live;
    const allowed = `${declared.subsystem}/allowed_hosts`;
    const there = sessions(declared, live);
    const found: Fault[] = [];
    for (const name of tree.children(allowed)) {
        if (declared.initiators.includes(name)) continue;
        const take = unlink(`${allowed}/${name}`);
        // nvmet lets a host go on that is no longer admitted; only a port that is left ends connections, all of them.
        const connected = there.some(
            ({ initiator }) => initiator === name || initiator.startsWith("unknown"),
        );
        const text = `initiators: ${name} is admitted`;
        if (connected) found.push({ text, take: both(take, leavePorts(declared)), cuts: "all" });
        else found.push({ text, take: there.length > 0 ? take : both(take, noteIdle(declared, live)) });
    }
    for (const { initiator } of there) {
        if (
            declared.initiators.includes(initiator) ||
            tree.has(`${allowed}/${initiator}`) ||
            initiator.startsWith("unknown")
        )
            continue;
        found.push({
            text: `initiators: ${initiator} is connected without being named`,
            take: leavePorts(declared),
            cuts: "all",
        });
    }
    for (const name of declared.initiators) {
        if (tree.link(`${allowed}/${name}`) !== `hosts/${name}`)
            found.push({ text: `initiators: ${name} is not admitted` });
        found.push(...keyFaults(declared, secrets, live, name));
    }
    return found;
}

function keyFaults(
    declared: NvmetDeclared,
    secrets: Secrets,
    { tree, sections }: Live,
    name: string,
): Fault[] {
    const host = `hosts/${name}`;
    if (!tree.has(host)) return [];
    const found: Fault[] = [];
    const hash = (attribute: string) => tree.hash(`${host}/${attribute}`) ?? UNSET;
    // One that another export gives it stays: see `key` in body.ts.
    const stays = (secret: string) =>
        secrets[secret] === undefined && sections.derived(declaredKeys).has(secret);
    const another = (attribute: string, secret: string) =>
        !stays(secret) && hash(attribute) !== (secrets[secret] ?? UNSET);
    if (another("dhchap_key", hostKey(name))) found.push({ text: `dhchap: the key of ${name} is another` });
    if (another("dhchap_ctrl_key", controllerKey(name)))
        found.push({ text: `dhchap: the controller's key towards ${name} is another` });
    if (secrets[hostKey(name)] === undefined || !sections.derived(madeObjects).has(host)) return found;
    for (const [attribute, wanted] of [
        ["dhchap_hash", "hmac(sha256)"],
        ["dhchap_dhgroup", declared.dhGroup],
    ] as const) {
        const text = differs(tree, `${host}/${attribute}`, wanted, "dhchap");
        if (text !== undefined) found.push({ text });
    }
    return found;
}

function portFaults(declared: NvmetDeclared, live: Live): Fault[] {
    const { tree, sections } = live;
    const ports = tcpPorts(tree);
    const links = sections.derived(portLinks);
    const linked = (path: string) => links.has(`${path}/${declared.subsystem}`);
    const wanted = new Set<string>();
    const found: Fault[] = [];
    for (const portal of declared.portals) {
        const port = portFor(ports, portal);
        if (port !== undefined) wanted.add(port.path);
        if (port === undefined || !linked(port.path))
            found.push({ text: `portals: it is not reached on ${portal}` });
    }
    for (const path of wanted) found.push(...reachFaults(declared, live, path));
    const nqn = nqnOf(declared);
    for (const id of tree.children("ports")) {
        const path = `ports/${id}`;
        if (wanted.has(path) || !linked(path)) continue;
        const where = ports.find((port) => port.path === path)?.portal ?? `port ${id}`;
        const take = unlink(`${path}/subsystems/${nqn}`);
        found.push({ text: `portals: it is reached on ${where} too`, take, cuts: "all" });
    }
    return found;
}

/** What keeps hosts from getting through a port that has the export's address. */
function reachFaults(declared: NvmetDeclared, { tree, sections }: Live, path: string): Fault[] {
    if (!sections.derived(madeObjects).has(path)) {
        const why = unusable(tree, path);
        return why === undefined ? [] : [{ text: `portals: ${why}` }];
    }
    const linked = sections.derived(portLinks).has(`${path}/${declared.subsystem}`);
    const attributes = Object.entries({ ...PORT, param_inline_data_size: INLINE_DATA });
    return attributes.flatMap(([attribute, fine]): Fault[] => {
        const value = tree.value(`${path}/${attribute}`)?.trimEnd();
        const [wanted = "", ...others] = [fine].flat();
        if (value === undefined || value === wanted || others.includes(value)) return [];
        const name = attribute.split("/").at(-1) ?? "";
        const text = `portals: ${name} of port ${path.replace("ports/", "")} is ${value}, not ${wanted}`;
        // The address, and what belongs to it, can be changed only while nothing is on the port.
        const enabled = linked && /^(addr|param)_/.test(name);
        return [enabled ? { text, take: leavePort(declared, path), cuts: "all" } : { text }];
    });
}

/** Of what is there: another take may have been before. */
function unlink(link: string): Sh {
    return sh`[ ! -L ${link} ] || rm -- ${link} || exit`;
}

function both(a: Sh, b: Sh): Sh {
    return sh`${a}${raw("\n")}${b}`;
}

/** What the kernel does not have cannot differ. */
function differs(tree: Tree, path: string, wanted: string, property: string): string | undefined {
    const value = tree.value(path)?.trimEnd();
    if (value === undefined || value === wanted) return undefined;
    return `${property}: ${path.split("/").at(-1) ?? path} is ${value}, not ${wanted}`;
}
