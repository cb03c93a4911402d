import type { HostFacts } from "../../../provider/host/facts";
import { encodeMark } from "../../../provider/host/mark";
import { tgtTarget } from "../../../provider/targets/tgt";
import { declare, type TgtContext } from "../../../provider/targets/tgt/model";
import type { TgtOptions } from "../../../provider/targets/tgt/options";
import type { ExportWanted, TargetRef } from "../../../provider/targets/types";
import { CHAP, CLIENT, mark } from "./tgtHost";

/** What a host would print of exports, and facts from it. */

export const REF: TargetRef<TgtOptions> = {
    protocol: "iscsi",
    helper: "tgt",
    portals: ["10.0.0.5:3260"],
    options: { prefix: "iqn.2010-10.org.blockhost:", controlPort: 0 },
    stateDirectory: "/var/lib/blockhost",
};
export const TARGET = "iqn.2010-10.org.blockhost:pg:01234567";

export function wanted(changes: Partial<ExportWanted> = {}): ExportWanted {
    return {
        name: "pg",
        mark: mark("pg"),
        devicePath: "/srv/pg.img",
        sizeBytes: 16 * 1024 * 1024,
        readOnly: false,
        initiators: [{ name: CLIENT, chap: CHAP }],
        addresses: [],
        portals: [],
        discard: false,
        ...changes,
    };
}

export interface Printed {
    readonly want?: ExportWanted;
    readonly targetName?: string;
    readonly applied?: "0" | "1";
    readonly markText?: string;
    readonly controlPort?: number;
    readonly incoming?: readonly string[];
    readonly sessions?: readonly string[];
    readonly device?: string;
    readonly live?: boolean;
}

/** What `observe` prints of one export. */
export function boot(printed: Printed = {}): string[] {
    const want = printed.want ?? wanted();
    const ref = { ...REF, options: { ...REF.options, controlPort: printed.controlPort ?? 0 } };
    const declared = { ...declare(ref, want), retired: [], uncertain: [] };
    return [
        `B ${want.name}`,
        `H #bh mark ${printed.markText ?? encodeMark(want.mark)}`,
        `H #bh applied ${printed.applied ?? "1"}`,
        `H #bh size ${String(want.sizeBytes)}`,
        `H #bh target ${printed.targetName ?? TARGET}`,
        `H #bh accounts alice`,
        `H #bh declared ${JSON.stringify(declared)}`,
        `D ${printed.device ?? "open"} ${String(want.sizeBytes)} ${want.devicePath}`,
    ];
}

export function live(printed: Printed = {}): string[] {
    const want = printed.want ?? wanted();
    const { naa, serial, acl } = declare(REF, want);
    const sessions = (printed.sessions ?? []).flatMap((name) => [
        `        I_T nexus: 1`,
        `            Initiator: ${name} alias: none`,
        `            Connection: 0`,
        `                IP Address: 10.0.0.9`,
    ]);
    return [
        `Target 1: ${printed.targetName ?? TARGET}`,
        `    System information:`,
        `        Driver: iscsi`,
        `        State: ready`,
        `    I_T nexus information:`,
        ...sessions,
        `    LUN information:`,
        `        LUN: 1`,
        `            Type: disk`,
        `            SCSI ID: ${naa}`,
        `            SCSI SN: ${serial}`,
        `            Size: 17 MB, Block size: 512`,
        `            Online: Yes`,
        `            Removable media: No`,
        `            Readonly: No`,
        `            Thin-provisioning: No`,
        `            Backing store type: rdwr`,
        `            Backing store path: ${want.devicePath}`,
        `            Backing store flags: `,
        `    Account information:`,
        ...(printed.incoming ?? ["alice"]).map((user) => `        ${user}`),
        `    ACL information:`,
        ...acl.map((entry) => `        ${entry}`),
    ].map((line) => `T ${line}`);
}

export const UP = ["I 123", "P Portal: 0.0.0.0:3260,1"];
/** The host's addresses, as the kernel's tables have them. */
export function addresses(...list: readonly string[]): string[] {
    return list.flatMap((address) => [`W         |-- ${address}`, "W            /32 host LOCAL"]);
}
const END = "Z";
export const ALICE = ["A Account list:", "A     alice"];

export function context(lines: readonly string[], reserved: readonly string[] = []): TgtContext {
    const facts = tgtTarget.parse(REF, [...lines, END].join("\n"));
    const host: HostFacts = {
        pools: new Map(),
        targets: new Map([["iscsi", facts]]),
        units: new Map(),
        epoch: { boot: "boot-1", word: "word-1", made: new Set() },
        tools: new Set(),
        claims: [],
        reserved: new Set(reserved),
    };
    return { target: REF, facts, host };
}
