/** What `tgtadm --mode target --op show` prints, typed. Source: tgt 1.0.85, usr/target.c `tgt_target_show_all`. */

export interface LiveUnit {
    readonly lun: number;
    readonly type: string;
    readonly scsiId: string;
    readonly serial: string;
    /** As tgtd rounds it; see {@link shownMegabytes}. */
    readonly megabytes: number;
    readonly blockSize: number;
    readonly online: boolean;
    readonly removable: boolean;
    readonly readOnly: boolean;
    readonly thin: boolean;
    readonly storeType: string;
    readonly path: string;
    readonly flags: string;
}

export interface LiveSession {
    readonly initiator: string;
    readonly address?: string;
}

export interface LiveTarget {
    readonly tid: number;
    readonly name: string;
    readonly driver: string;
    readonly state: string;
    readonly sessions: readonly LiveSession[];
    readonly units: readonly LiveUnit[];
    /** User names of bound accounts in the order of tgtd's slots, which matters for unbinding. */
    readonly incoming: readonly string[];
    readonly outgoing?: string;
    readonly acl: readonly string[];
}

type Draft = {
    -readonly [K in keyof LiveTarget]: LiveTarget[K] extends readonly (infer T)[] ? T[] : LiveTarget[K];
};
type UnitDraft = { -readonly [K in keyof LiveUnit]: LiveUnit[K] };

/** Megabytes as tgtd shows a size: disk makers' ones, rounded in a way of its own (`print_disksize`). */
export function shownMegabytes(bytes: number): number {
    const sectors = Math.floor(bytes / 512);
    return Math.trunc((sectors - (Math.trunc(sectors / 625) - 974)) / 1950);
}

/**
 * @throws RangeError when a target or name appears twice: an initiator may call itself whatever it likes, line ends
 * included, and so could make up targets in this list.
 */
export function parseTargets(lines: readonly string[]): LiveTarget[] {
    const targets: Draft[] = [];
    const names = new Set<string>();
    let section = "";
    let unit: UnitDraft | undefined;
    for (const line of lines) {
        const [, tid, name] = /^Target (\d+): (\S+)$/.exec(line) ?? [];
        if (tid !== undefined && name !== undefined) {
            if (names.has(name) || Number(tid) <= (targets.at(-1)?.tid ?? 0))
                throw new RangeError(`target ${name} twice`);
            names.add(name);
            targets.push({
                tid: Number(tid),
                name,
                driver: "",
                state: "",
                sessions: [],
                units: [],
                incoming: [],
                acl: [],
            });
            section = "";
            continue;
        }
        const target = targets.at(-1);
        if (target === undefined) continue;
        const heading = /^ {4}(\S.*):$/.exec(line)?.[1];
        if (heading !== undefined) {
            section = heading;
        } else if (section === "System information") {
            const [, key, value = ""] = /^ {8}(\w+): (.*)$/.exec(line) ?? [];
            if (key === "Driver") target.driver = value;
            if (key === "State") target.state = value;
        } else if (section === "I_T nexus information") {
            readSession(target, line);
        } else if (section === "LUN information") {
            const lun = /^ {8}LUN: (\d+)$/.exec(line)?.[1];
            if (lun !== undefined) target.units.push((unit = newUnit(Number(lun))));
            else if (unit !== undefined) readUnit(unit, line);
        } else if (section === "Account information") {
            const [, user, outgoing] = /^ {8}(\S.*?)( \(outgoing\))?$/.exec(line) ?? [];
            if (user !== undefined) {
                if (outgoing === undefined) target.incoming.push(user);
                else target.outgoing = user;
            }
        } else if (section === "ACL information") {
            const entry = /^ {8}(\S.*)$/.exec(line)?.[1];
            if (entry !== undefined) target.acl.push(entry);
        }
    }
    return targets;
}

function readSession(target: Draft, line: string): void {
    const initiator = /^ {12}Initiator: (\S+) alias: /.exec(line)?.[1];
    if (initiator !== undefined) target.sessions.push({ initiator });
    const address = /^ {16}IP Address: (\S+)$/.exec(line)?.[1];
    const last = target.sessions.at(-1);
    if (address !== undefined && last !== undefined && last.address === undefined) {
        target.sessions.splice(-1, 1, { ...last, address });
    }
}

function newUnit(lun: number): UnitDraft {
    const none = {
        type: "",
        scsiId: "",
        serial: "",
        megabytes: 0,
        blockSize: 0,
        storeType: "",
        path: "",
        flags: "",
    };
    return { lun, ...none, online: false, removable: false, readOnly: false, thin: false };
}

function readUnit(unit: UnitDraft, line: string): void {
    const [, key, value = ""] = /^ {12}([^:]+): (.*)$/.exec(line) ?? [];
    const yes = value === "Yes";
    if (key === "Type") unit.type = value;
    else if (key === "SCSI ID") unit.scsiId = value;
    else if (key === "SCSI SN") unit.serial = value;
    else if (key === "Online") unit.online = yes;
    else if (key === "Removable media") unit.removable = yes;
    else if (key === "Readonly") unit.readOnly = yes;
    else if (key === "Thin-provisioning") unit.thin = yes;
    else if (key === "Backing store type") unit.storeType = value;
    else if (key === "Backing store path") unit.path = value;
    else if (key === "Backing store flags") unit.flags = value.trim();
    else if (key === "Size") {
        const [, megabytes, blockSize] = /^(\d+) MB, Block size: (\d+)$/.exec(value) ?? [];
        unit.megabytes = Number(megabytes);
        unit.blockSize = Number(blockSize);
    }
}

/** The list of `tgtadm --mode account --op show`: user names. */
export function parseAccounts(lines: readonly string[]): string[] {
    return lines.flatMap((line) => /^ {4}(\S.*)$/.exec(line)?.[1] ?? []);
}

/** The list of `tgtadm --mode portal --op show`: `address:port`. */
export function parsePortals(lines: readonly string[]): string[] {
    return lines.flatMap((line) => /^Portal: (\S+),\d+$/.exec(line)?.[1] ?? []);
}
