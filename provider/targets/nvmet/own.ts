import type { KernelExtra, Live } from "../configfs/model";
import { hexPortal, type Sections } from "../configfs/sections";
import type { Tree } from "../configfs/tree";
import { covers, formatPortal, parsePortal } from "../portal";
import type { TargetFacts } from "../types";

/** What nvmet has beside our exports. */
export interface NvmetOwn {
    /** Subsystems that are none of ours. */
    readonly subsystems: ReadonlySet<string>;
    /** Device paths that they serve: path → who. */
    readonly devices: ReadonlyMap<string, string>;
    /** Objects that several exports may share and that we made. */
    readonly made: ReadonlySet<string>;
    /** Hosts: NQN → hashes of its keys, with a value for those that are not set. */
    readonly hosts: ReadonlyMap<string, { readonly key: string; readonly controllerKey: string }>;
    /** Hosts that subsystems of others admit: NQN → one of these. */
    readonly admitted: ReadonlyMap<string, string>;
    /** Whether the kernel's nvmet has in-band authentication, where that can be told. */
    readonly authentication?: boolean;
}

export function ownOf(facts: TargetFacts): NvmetOwn | undefined {
    return (facts.extra as KernelExtra<NvmetOwn> | undefined)?.own;
}

/** SHA-256 of what an unset key shows: an empty line. */
export const UNSET = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";

export function readOwn(tree: Tree, ours: ReadonlySet<string>, sections: Sections): NvmetOwn {
    const subsystems = new Set<string>();
    const devices = new Map<string, string>();
    const admitted = new Map<string, string>();
    for (const name of tree.children("subsystems")) {
        const subsystem = `subsystems/${name}`;
        if (ours.has(subsystem)) continue;
        subsystems.add(name);
        for (const host of tree.children(`${subsystem}/allowed_hosts`)) admitted.set(host, name);
        for (const namespace of tree.children(`${subsystem}/namespaces`)) {
            const path = tree.value(`${subsystem}/namespaces/${namespace}/device_path`);
            if (path !== undefined && path !== "" && path !== "(null)")
                devices.set(path, `NVMe subsystem ${name}, namespace ${namespace} (not ours)`);
        }
    }
    const hosts = new Map<string, { key: string; controllerKey: string }>();
    for (const name of tree.children("hosts")) {
        const hash = (attribute: string) => tree.hash(`hosts/${name}/${attribute}`) ?? UNSET;
        hosts.set(name, { key: hash("dhchap_key"), controllerKey: hash("dhchap_ctrl_key") });
    }
    const answer = sections.lines("authentication")[0];
    return {
        subsystems,
        devices,
        made: sections.derived(madeObjects),
        hosts,
        admitted,
        ...(answer === "yes" || answer === "no" ? { authentication: answer === "yes" } : {}),
    };
}

/** Hosts and ports that we made. */
export function madeObjects(sections: Sections): ReadonlySet<string> {
    return new Set(sections.lines("made").filter((name) => !name.endsWith("/*")));
}

/** What an observation of some exports tells of the rest. */
export function mergeOwn(before: NvmetOwn, read: NvmetOwn): NvmetOwn {
    // Those that we made come and go with our exports; of one that is still there, its keys were these when it was read.
    const others = [...before.hosts].filter(([name]) => {
        const host = `hosts/${name}`;
        return !before.made.has(host) || read.made.has(host);
    });
    return {
        ...before,
        made: read.made,
        hosts: new Map([...others, ...read.hosts]),
        ...(read.authentication === undefined ? {} : { authentication: read.authentication }),
    };
}

/** A port as configfs has it. */
export interface Port {
    /** `ports/1`. */
    readonly path: string;
    /** As a portal of ours is written. */
    readonly portal: string;
}

export function tcpPorts(tree: Tree): Port[] {
    return tree.children("ports").flatMap((id): Port[] => {
        const path = `ports/${id}`;
        const value = (name: string) => tree.value(`${path}/addr_${name}`) ?? "";
        if (value("trtype") !== "tcp") return [];
        const family = value("adrfam") === "ipv6" ? 6 : 4;
        const text =
            family === 6
                ? `[${value("traddr")}]:${value("trsvcid")}`
                : `${value("traddr")}:${value("trsvcid")}`;
        const portal = parsePortal(text);
        return portal === undefined ? [] : [{ path, portal: formatPortal(portal) }];
    });
}

/** The port on which a portal is reached: itself, or one for all addresses. */
export function portFor(ports: readonly Port[], portal: string): Port | undefined {
    const exact = ports.find((port) => port.portal === portal);
    if (exact !== undefined) return exact;
    const wanted = parsePortal(portal);
    return ports.find((port) => {
        const other = parsePortal(port.portal);
        return wanted !== undefined && other !== undefined && covers(other, wanted);
    });
}

/** Why hosts cannot get through a port that is none of ours; whatever else its maker has chosen there stays. */
export function unusable(tree: Tree, path: string): string | undefined {
    const value = (name: string) => tree.value(`${path}/${name}`) ?? "";
    const port = `port ${path.replace("ports/", "")} of nvmet, which is none of ours,`;
    const state = value("ana_groups/1/ana_state");
    if (/^(inaccessible|persistent-loss|change)$/.test(state)) return `${port} has the ana_state ${state}`;
    const closed = value("addr_tsas") === "tls1.3" && value("addr_treq") === "required";
    return closed ? `${port} lets in nobody without TLS` : undefined;
}

/** `ports/<id>/subsystems/<NQN>`, of ours. */
export function portLinks(sections: Sections): ReadonlySet<string> {
    return new Set(sections.lines("links"));
}

/** Portals of an export: those that it has, and, where a change was cut short, those that it had. */
export function portalsOf(
    { portals, subsystem }: { readonly portals: readonly string[]; readonly subsystem: string },
    { tree, sections }: Pick<Live, "tree" | "sections">,
): string[] {
    const ports = tcpPorts(tree);
    const links = sections.derived(portLinks);
    const wanted = portals.map((portal) => portFor(ports, portal)?.portal ?? portal);
    const linked = ports.filter(({ path }) => links.has(`${path}/${subsystem}`));
    return [...new Set([...wanted, ...linked.map(({ portal }) => portal)])];
}

/** Connections on nvmet's ports and ours: local portal and remote address. */
export function peers(sections: Sections): { local: string; remote: string }[] {
    return sections.lines("lines").flatMap((line) => {
        const [, local = "", port = "", remote = "", remotePort = ""] =
            /^\/proc\/net\/tcp6?: *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) 01 /.exec(line) ??
            [];
        if (local === "") return [];
        return [
            {
                local: hexPortal(local, port),
                remote: parsePortal(hexPortal(remote, remotePort))?.address ?? "?",
            },
        ];
    });
}

/**
 * Beginnings of lines of the kernel's log, as extended regular expressions. They say where a line begins: the rest of
 * some lines is what hosts that were not let in call themselves.
 */
const STAMP = String.raw`^\[[ 0-9.]+\]( ?\[[ A-Z0-9]+\])? `;
export const STARTED = `${STAMP}Linux version `;
/** A host connects: up to the name of the subsystem, after which comes ` for NQN ` and its own. */
export const ARRIVED = `${STAMP}nvmet: [A-Za-z]+ ([a-z]+ )?controller [0-9]+ for subsystem `;
/**
 * What we have the kernel note, up to the name of the subsystem: that it is going to be asked who is connected, or all
 * connections to be ended; and that who had come before that is not connected any more.
 */
export const TOLD = {
    asks: "blockhost: who is connected is asked of ",
    left: "blockhost: nobody who was is connected any more to ",
} as const;
export const ASKS = `${STAMP}${TOLD.asks}`;
export const LEFT = `${STAMP}${TOLD.left}`;

const PATTERNS = {
    started: new RegExp(STARTED),
    arrived: new RegExp(String.raw`${ARRIVED}(\S+) for NQN ([^\s,]+?)\.?(?:[ ,]|$)`),
    asks: new RegExp(String.raw`${ASKS}(\S+)$`),
    left: new RegExp(String.raw`${LEFT}(\S+)$`),
};

/**
 * What the kernel's log tells of hosts that connected, by subsystem, since it was last without any.
 *
 * @returns `undefined` where the log does not go back to the start of the host: then nothing follows from it.
 */
export function connected(sections: Sections): { host: string; subsystem: string }[] | undefined {
    const lines = sections.lines("log");
    if (!lines.some((line) => PATTERNS.started.test(line))) return undefined;
    let found: { host: string; subsystem: string }[] = [];
    const asked = new Map<string, ReadonlySet<unknown>>();
    for (const line of lines) {
        const asks = PATTERNS.asks.exec(line)?.[2];
        if (asks !== undefined) asked.set(asks, new Set(found.filter(({ subsystem }) => subsystem === asks)));
        const left = asked.get(PATTERNS.left.exec(line)?.[2] ?? "");
        if (left !== undefined) found = found.filter((one) => !left.has(one));
        const [, , , subsystem, host] = PATTERNS.arrived.exec(line) ?? [];
        if (subsystem !== undefined && host !== undefined) found.push({ host, subsystem });
    }
    return found;
}

/** Secrets by the names that boot files have for them, of all exports as far as was read and {@link observed} adds. */
export function declaredKeys(sections: Sections): ReadonlySet<string> {
    const read = sections.lines("lines").flatMap((line) => {
        const [, text] = /^[^:]+:#bh secrets (.*)$/.exec(line) ?? [];
        return text === undefined ? [] : [...text.matchAll(/"((?:host|controller) [^"]+)":/g)];
    });
    return new Set([...read.map(([, name = ""]) => name), ...sections.lines("keyed")]);
}
