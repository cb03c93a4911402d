import { formatPortal, shortestIPv6 } from "../portal";
import { type Device, parseDevice } from "./notes";
import { Tree } from "./tree";

/** The output of an observation, taken apart by its sections. */
export class Sections {
    private readonly found = new Map<string, string[]>();
    private readonly made = new Map<unknown, unknown>();

    constructor(output: string) {
        let lines: string[] = [];
        for (const line of output.split("\n")) {
            const name = /^== ([a-z]+)$/.exec(line)?.[1];
            if (line === "") continue;
            if (name === undefined) lines.push(line);
            else {
                lines = this.found.get(name) ?? [];
                this.found.set(name, lines);
            }
        }
    }

    has(name: string): boolean {
        return this.found.has(name);
    }

    lines(name: string): readonly string[] {
        return this.found.get(name) ?? [];
    }

    /** What follows from it for all exports: made once, however many ask for it. */
    derived<T>(make: (sections: Sections) => T): T {
        if (!this.made.has(make)) this.made.set(make, make(this));
        return this.made.get(make) as T;
    }
}

export function parseTree(sections: Sections): Tree {
    const tree = new Tree();
    for (const line of sections.lines("tree")) {
        if (line.startsWith("d ")) tree.addDirectory(line.slice(2));
        const [, path, to] = /^l ([^\t]*)\t(.*)$/.exec(line) ?? [];
        if (path !== undefined && to !== undefined) tree.addLink(path, to);
    }
    for (const line of sections.lines("values")) {
        const nul = line.indexOf("\0");
        if (nul !== -1) tree.addLine(line.slice(0, nul), line.slice(nul + 1));
    }
    for (const line of sections.lines("secrets")) {
        const [, hash, path] = /^([0-9a-f]{64}) [ *](.*)$/.exec(line) ?? [];
        if (hash !== undefined && path !== undefined) tree.addHash(path, hash);
    }
    return tree;
}

/** A listening socket. */
export interface Listener {
    readonly portal: string;
    readonly inode: string;
}

/** Lines of /proc/net/tcp and tcp6: addresses are words of the machine's (little-endian) byte order. */
export function parseListeners(lines: readonly string[]): Listener[] {
    return lines.flatMap((line) => {
        const [, file = "", hex = "", port = "", inode = ""] =
            /^\/proc\/net\/(tcp6?): *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A \S+ \S+ \S+ +\d+ +\d+ (\d+)/.exec(
                line,
            ) ?? [];
        if (file === "") return [];
        return [{ portal: hexPortal(hex, port), inode }];
    });
}

/** Alternatives of {@link socketPattern}. */
export function hexPorts(ports: readonly number[]): string {
    return ports.map((port) => port.toString(16).toUpperCase().padStart(4, "0")).join("|");
}

/** Extended regular expression for their lines whose own port is one of those, in a state: `0A` listening, `01` connected. */
export function socketPattern(ports: string, state: "0A" | "01"): string {
    const peer = state === "0A" ? "0000" : "[0-9A-F]*";
    return `^ *[0-9]+: [0-9A-F]*:(${ports}) [0-9A-F]*:${peer} ${state} `;
}

export function hexPortal(hex: string, port: string): string {
    const words = (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).reverse());
    const family = words.length === 1 ? 4 : 6;
    const address =
        family === 4
            ? words
                  .flat()
                  .map((byte) => Number.parseInt(byte, 16))
                  .join(".")
            : shortestIPv6(
                  words.map(([a, b, c, d]) => `${a ?? ""}${b ?? ""}:${c ?? ""}${d ?? ""}`).join(":"),
              );
    return formatPortal({ address, port: Number.parseInt(port, 16), family });
}

/** Processes that have sockets: inode → `tgtd (process 77)`. */
export function parseOwners(lines: readonly string[]): Map<string, string> {
    return new Map(
        lines.flatMap((line): [string, string][] => {
            const [, inode, pid, command = ""] = /^socket:\[(\d+)\] (\d+) (.*)$/.exec(line) ?? [];
            if (inode === undefined || pid === undefined) return [];
            return [[inode, `${command.replaceAll(/[^\x20-\x7e]/g, "?")} (process ${pid})`]];
        }),
    );
}

/** Devices by path: what is there now. */
export function parseDevices(lines: readonly string[]): Map<string, Device> {
    const devices = lines.map(parseDevice).filter((device) => device !== undefined);
    return new Map(devices.map((device) => [device.path, device]));
}

/** What was noted of a device when the kernel opened it. */
export interface Note {
    readonly device: Device;
    /** Attributes that the kernel took from it. */
    readonly attributes: Readonly<Record<string, string>>;
}

/** Notes by export name. */
export function parseNotes(lines: readonly string[]): Map<string, Note> {
    const notes = new Map<string, Note>();
    for (const line of lines) {
        const [name = "", rest = ""] = line.split("\0");
        const known = notes.get(name);
        const device = known === undefined ? parseDevice(rest) : undefined;
        if (device !== undefined) notes.set(name, { device, attributes: {} });
        const [, key, value] = /^(\S+) (\S+)$/.exec(rest) ?? [];
        if (known === undefined || key === undefined || value === undefined) continue;
        notes.set(name, { ...known, attributes: { ...known.attributes, [key]: value } });
    }
    return notes;
}
