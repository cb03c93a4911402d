import { parseBootHeader } from "../targets/boot";
import { bootUnitState } from "../targets/bootUnit";
import { normalizePortal } from "../targets/portal";
import { authLines, sha256 } from "./connection";
import {
    type AttachmentFacts,
    type ClientFacts,
    type DeviceFacts,
    declaredSchema,
    type NodeRecord,
    type PathFacts,
} from "./types";

/** Key of the boot file's `secrets` line. */
export const AUTH = "auth";

/** Facts from what {@link observeClient} has printed. */
export function parseClient(output: string): ClientFacts {
    const lines = output.split("\n");
    const words = (key: string, count: number) =>
        lines.flatMap((line) => {
            if (!line.startsWith(`${key} `)) return [];
            const parts = line.slice(key.length + 1).split(" ");
            // The last word is the rest of the line.
            return [[...parts.slice(0, count - 1), parts.slice(count - 1).join(" ")]];
        });
    const told = (key: string) => words(key, 1)[0]?.[0];
    const iqn = words("iqn", 1)
        .find(([name = ""]) => name.trim() !== "")?.[0]
        ?.trim();
    const nqn = told("nqn");
    const hostId = told("hostid");
    const { attachments, unreadable } = parseAttachments(lines);
    const auths = new Map(words("auth", 2).map(([id = "", auth = ""]) => [id, auth]));
    const paths = [...parseSessions(words("session", 5), auths), ...parseControllers(words("controller", 6))];
    return {
        ...(iqn === undefined ? {} : { iqn }),
        ...(nqn === undefined ? {} : { nqn }),
        ...(hostId === undefined ? {} : { hostId }),
        multipathd: lines.includes("multipathd"),
        nativeMultipath: told("native") === "Y",
        bootUnit: bootUnitState(told("unit")),
        attachments,
        unreadable,
        paths,
        pathless: new Set(words("pathless", 1).map(([uuid = ""]) => uuid.replace(/^mpath-/, ""))),
        devices: [...parseDisks(words, paths), ...parseNamespaces(words("namespace", 6))],
        records: words("record", 4).map(([target = "", at = "", startup = "", auth = ""]): NodeRecord => {
            const [address = "", port = ""] = at.split(",");
            return { target, portal: portalOf(address, port), startup, auth };
        }),
    };
}

function portalOf(address: string, port: string): string {
    return normalizePortal(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
}

function parseSessions(found: readonly string[][], auths: ReadonlyMap<string, string>): PathFacts[] {
    return found.map(([id = "", state = "", address = "", port = "", target = ""]) => {
        const keys = auths.get(id);
        return {
            id,
            protocol: "iscsi",
            target,
            portal: portalOf(address, port),
            state,
            up: state === "LOGGED_IN",
            ...(keys === undefined ? {} : { keys: keys === "none" ? sha256(authLines({})) : keys }),
        };
    });
}

function parseControllers(found: readonly string[][]): PathFacts[] {
    return found.map(([id = "", state = "", address = "", port = "", keys = "-", target = ""]) => ({
        id,
        protocol: "nvme-tcp",
        target,
        portal: portalOf(address, port),
        state,
        up: state === "live",
        ...(keys.startsWith("by:") ? { foreign: keys.slice(3) } : keys === "-" ? {} : { keys }),
    }));
}

function parseDisks(
    words: (key: string, count: number) => string[][],
    paths: readonly PathFacts[],
): DeviceFacts[] {
    const serials = new Map(words("serial", 2).map(([block = "", serial = ""]) => [block, serial.trim()]));
    const maps = new Map(
        words("map", 4).map(([path = "", block = "", sectors = "", uuid = ""]) => [
            path,
            { block, wwid: uuid.replace(/^mpath-/, ""), sizeBytes: Number(sectors) * 512 },
        ]),
    );
    return words("disk", 5).map(([session = "", unit = "", block = "", sectors = "", wwid = ""]) => {
        const serial = serials.get(block);
        const map = maps.get(block);
        return {
            block,
            target: paths.find(({ id, protocol }) => protocol === "iscsi" && id === session)?.target ?? "",
            unit: Number(unit),
            sizeBytes: Number(sectors) * 512,
            session,
            wwid,
            ...(serial === undefined ? {} : { serial }),
            ...(map === undefined ? {} : { map }),
        };
    });
}

function parseNamespaces(found: readonly string[][]): DeviceFacts[] {
    return found.map(([block = "", nsid = "", sectors = "", uuid = "-", wwid = "", target = ""]) => ({
        block,
        target,
        unit: Number(nsid),
        sizeBytes: Number(sectors) * 512,
        wwid,
        ...(uuid === "-" ? {} : { uuid }),
    }));
}

function parseAttachments(lines: readonly string[]): Pick<ClientFacts, "attachments" | "unreadable"> {
    const attachments = new Map<string, AttachmentFacts>();
    const unreadable = new Map<string, string>();
    lines.forEach((line, at) => {
        const [, name] = /^attachment (.+)$/.exec(line) ?? [];
        if (name === undefined) return;
        const end = lines.indexOf("end", at);
        try {
            const header = parseBootHeader(lines.slice(at + 1, end));
            const declared = declaredSchema.safeParse(header?.declared);
            if (header === undefined || !declared.success) {
                unreadable.set(name, "it is no boot file of an attachment");
                return;
            }
            const { mark, applied, secrets } = header;
            attachments.set(name, {
                name,
                mark,
                applied,
                declared: declared.data,
                auth: secrets?.[AUTH] ?? "",
            });
        } catch (error) {
            unreadable.set(name, error instanceof Error ? error.message : String(error));
        }
    });
    return { attachments, unreadable };
}
