import { BlockhostError } from "../../errors";
import { type BootHeader, parseBootHeader, unfinished } from "../boot";
import { bootUnitState } from "../bootUnit";
import { parseAddresses } from "../portals";
import { formatPortal, normalizePortal, shortestIPv6 } from "../portal";
import type { TargetFacts } from "../types";
import { differences } from "./compare";
import { type Declared, declaredSchema, type TgtExport, type TgtExtra, type TgtRef } from "./model";
import { type LiveTarget, parseAccounts, parsePortals, parseTargets } from "./show";

type Header = BootHeader & { readonly declared: Declared };

interface Read {
    readonly boot: Map<string, string[]>;
    readonly byLetter: Map<string, string[]>;
}

/** Facts from what `observe` printed. */
export function parse(target: TgtRef, output: string): TargetFacts {
    const { boot, byLetter } = take(output);
    const lines = (letter: string) => byLetter.get(letter) ?? [];
    const problem = problemOf(target, byLetter);
    let live: LiveTarget[] = [];
    let garbled: TargetFacts["problem"];
    try {
        live = parseTargets(lines("T"));
    } catch (error) {
        garbled = {
            summary: `the list of tgtd's targets cannot be trusted: ${error instanceof Error ? error.message : ""}`,
            hint: "an initiator with a made-up name or alias may be logged in: see `tgtadm --lld iscsi --mode target --op show`",
        };
    }
    const byName = new Map(live.map((one) => [one.name, one]));
    const unreadable = new Map(lines("E").map((line) => splitAt(line, " ")));
    const ourTargets = new Set<string>();
    const headers = new Map<string, Header>();
    for (const [name, header] of boot) {
        const targetName = header
            .map((line) => /^#bh target (\S+)$/.exec(line)?.[1])
            .find((one) => one !== undefined);
        if (targetName !== undefined) ourTargets.add(targetName);
        if (header.length === 1 && targetName !== undefined) continue;
        try {
            const parsed = parseBootHeader(header);
            const declared = declaredSchema.safeParse(parsed?.declared);
            if (parsed === undefined || !declared.success) {
                unreadable.set(name, "it is no boot file of pulumi-blockhost for tgt");
            } else headers.set(name, { ...parsed, declared: declared.data });
        } catch (error) {
            if (!(error instanceof BlockhostError)) throw error;
            unreadable.set(name, error.summary);
        }
    }
    const extra: TgtExtra = {
        accounts: parseAccounts(lines("A")),
        bindings: bindings(live),
        portals: parsePortals(lines("P")).map(normalizePortal),
        taken: new Map(lines("L").flatMap(parseListener)),
        names: new Set(byName.keys()),
        live: byName,
        ours: ourTargets,
        boot: new Set([...boot.keys(), ...lines("E").map((line) => splitAt(line, " ")[0])]),
        addresses: parseAddresses(lines("W")),
        unreadable,
    };
    const devices = new Map(lines("D").map(parseDevice));
    const answered = problem === undefined && garbled === undefined;
    const exports = new Map(
        [...headers].map(([name, header]) => [
            name,
            exportFacts(
                name,
                header,
                answered ? byName.get(header.targetName) : undefined,
                devices,
                extra,
                answered,
            ),
        ]),
    );
    const found = problem ?? garbled;
    return {
        protocol: "iscsi",
        ...(found === undefined ? {} : { problem: found }),
        exports,
        bootUnit: bootUnitState(lines("U")[0]),
        foreign: foreignPaths(live, ourTargets),
        // Without it the list of exports is not complete.
        extra: byLetter.has("Z") && !byLetter.has("F") ? extra : undefined,
    };
}

/** Sorts lines by their first letter; header lines go with the boot file before them. */
function take(output: string): Read {
    const boot = new Map<string, string[]>();
    const byLetter = new Map<string, string[]>();
    let header: string[] = [];
    for (const line of output.split("\n")) {
        const letter = line.slice(0, 1);
        const rest = line.slice(2);
        if (letter === "") continue;
        if (letter === "B") boot.set(rest, (header = []));
        else if (letter === "H") header.push(rest);
        else {
            const known = byLetter.get(letter);
            if (known === undefined) byLetter.set(letter, [rest]);
            else known.push(rest);
        }
    }
    return { boot, byLetter };
}

function problemOf(target: TgtRef, byLetter: Read["byLetter"]): TargetFacts["problem"] {
    const { controlPort } = target.options;
    if (byLetter.has("N"))
        return { summary: "the host lacks perl", hint: "install there: apt-get install perl-base" };
    const unreadable = byLetter.get("F")?.[0];
    if (unreadable !== undefined) {
        const hint = "use root, `sudo: true`, or a `stateDirectory` of the SSH user's own";
        return { summary: `the boot files cannot be read: ${unreadable}`, hint };
    }
    const refused = byLetter.get("X")?.[0];
    if (!byLetter.has("Z") || (refused === undefined && !byLetter.has("I"))) {
        const hint = "look at the host's perl and at /var/run/tgtd, then run the same again";
        return { summary: "tgtd could not be observed", hint };
    }
    if (refused === undefined) return undefined;
    const why = refused.replace(/^-?\d+ ?/, "");
    const which = controlPort === 0 ? "" : ` with control port ${String(controlPort)}`;
    const start =
        controlPort === 0
            ? "start it: systemctl enable --now tgt"
            : `start it: tgtd -C ${String(controlPort)} (or set \`controlPort\` as it is started)`;
    return {
        summary: `tgtd${which} does not answer on the host${why === "" ? "" : `: ${why}`}`,
        hint: `${start}; it answers only the user it runs as (root), so connect as root or set \`sudo: true\``,
    };
}

function exportFacts(
    name: string,
    header: Header,
    live: LiveTarget | undefined,
    devices: ReadonlyMap<string, { state: TgtExport["device"]; size: number }>,
    extra: TgtExtra,
    answered: boolean,
): TgtExport {
    const { declared } = header;
    const device = devices.get(declared.devicePath);
    const state = {
        device: device?.state ?? "unknown",
        sizeBytes: header.sizeBytes,
        ...(device === undefined || device.size < 0 ? {} : { deviceSizeBytes: device.size }),
    };
    const found = answered ? differences(declared, live, state, extra) : ["unknown: tgtd does not answer"];
    found.push(...unfinished(header));
    return {
        name,
        mark: header.mark,
        targetName: header.targetName,
        devicePath: declared.devicePath,
        serial: declared.serial,
        digest: declared.digest,
        differences: found,
        sessions: live?.sessions ?? [],
        extra: {},
        declared,
        applied: header.applied,
        closed: header.closed,
        ...state,
        ...(live === undefined ? {} : { live }),
    };
}

function bindings(live: readonly LiveTarget[]): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const { name, incoming, outgoing } of live) {
        for (const user of new Set([...incoming, ...(outgoing === undefined ? [] : [outgoing])])) {
            found.set(user, [...(found.get(user) ?? []), name]);
        }
    }
    return found;
}

function foreignPaths(live: readonly LiveTarget[], ours: ReadonlySet<string>): Map<string, string> {
    const paths = new Map<string, string>();
    for (const { name, units } of live) {
        if (ours.has(name)) continue;
        for (const { lun, path } of units) {
            if (path !== "" && path !== "None")
                paths.set(path, `iSCSI target ${name}, LUN ${String(lun)} (not ours)`);
        }
    }
    return paths;
}

function parseDevice(line: string): [string, { state: TgtExport["device"]; size: number }] {
    const [, state = "unknown", size = "-1", path = ""] = /^(\S+) (-?\d+) (.*)$/.exec(line) ?? [];
    return [path, { state: state as TgtExport["device"], size: Number(size) }];
}

/** A line of the kernel's socket table: addresses are words of the machine's (little-endian) byte order. */
function parseListener(line: string): [string, string][] {
    const [, family, hex = "", port, pid, command = ""] = /^([46]) (\w+) (\d+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (family === undefined) return [];
    const words = (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).reverse());
    const address =
        family === "4"
            ? words
                  .flat()
                  .map((byte) => Number.parseInt(byte, 16))
                  .join(".")
            : shortestIPv6(
                  words.map(([a, b, c, d]) => `${a ?? ""}${b ?? ""}:${c ?? ""}${d ?? ""}`).join(":"),
              );
    const portal = formatPortal({ address, port: Number(port), family: family === "4" ? 4 : 6 });
    const printable = command.replaceAll(/[^\x20-\x7e]/g, "?");
    return [[portal, pid === "-" ? "the kernel (LIO, perhaps)" : `${printable} (process ${pid ?? "?"})`]];
}

function splitAt(text: string, separator: string): [string, string] {
    const at = text.indexOf(separator);
    return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
