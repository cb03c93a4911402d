import { lvmDriver } from "../../provider/drivers/lvm";
import { lvmPools } from "../../provider/drivers/lvm/pool";
import type { Context } from "../../provider/drivers/lvm/pool/facts";
import type { WantedPool } from "../../provider/drivers/poolMaker";
import type { HostFacts, UnitFacts } from "../../provider/host/facts";
import { type Mark, encodeMark } from "../../provider/host/mark";

/** Volume groups as LVM reports them, for planners of pools. */

export const MARK: Mark = {
    kind: "pool",
    owner: {
        installation: "default",
        organization: "acme",
        project: "shop",
        stack: "prod",
        resource: "fast",
    },
    generation: "00112233aabbccdd",
    phase: "ready",
    extra: {},
};

export const EXTENT = 4 * 1024 ** 2;
export const disk = (number: number) => `/dev/disk/by-id/d${String(number)}`;
export const uuid = (number: number) => `uuid-${String(number)}`;

export interface Reported {
    /** Disks asked for: what each carries (`LVM2_member` is `member`), and who uses it; `null`: not there. */
    readonly disks?: Readonly<Record<number, { signatures?: string[]; users?: string[] } | null>>;
    /** Members of the group: used extents, whether they are allocatable, and their room for metadata (default 16). */
    readonly members?: Readonly<Record<number, { used?: number; fenced?: boolean; areaMiB?: number }>>;
    /** Disks that have names that stay; default all. */
    readonly named?: readonly number[];
    /** Disks whose label is in no group. */
    readonly orphans?: Readonly<Record<number, string>>;
    readonly mark?: Mark | "none";
    /** Extents of the thin pool's data; 0: there is none. */
    readonly thinPool?: number;
    readonly volumes?: readonly string[];
    readonly monitored?: boolean;
    readonly inactive?: boolean;
    readonly whenFull?: string;
    readonly profile?: string;
    readonly profiles?: Readonly<Record<string, string>>;
    readonly remembered?: string;
    readonly missing?: number;
    readonly twice?: boolean;
    readonly renamed?: string;
    readonly units?: readonly UnitFacts[];
}

/** Extents of each disk. */
export const EXTENTS = 1000;

export function poolContext(
    reported: Reported,
    options: Record<string, unknown> = { thinPool: "pool0" },
): Context {
    const pool = {
        name: "fast",
        options: lvmDriver.options.parse({ volumeGroup: "vg0", ...options }),
        limits: { maxOverSubscriptionRatio: 20, reservedPercentage: 0 },
        stateDirectory: "/var/lib/blockhost",
    } as const;
    const host: HostFacts = {
        pools: new Map(),
        targets: new Map(),
        units: new Map((reported.units ?? []).map((unit) => [unit.name, unit])),
        epoch: { boot: "boot-1", word: "word-1", made: new Set() },
        tools: new Set(),
        claims: [],
        reserved: new Set(),
    };
    return { pool, facts: lvmPools.parse(pool, output(reported)), host };
}

export function want(more: Partial<WantedPool> = {}): WantedPool {
    return { mark: MARK, disks: [disk(1), disk(2)], overwrite: {}, adopted: false, ...more };
}

/** What a whole plan runs, without the words that every command has. */
export function commands(plan: { steps: readonly { script: { display: string } }[] }): string {
    return plan.steps.map(({ script }) => script.display).join("\n");
}

function output(reported: Reported): string {
    const lines: string[] = (
        reported.named ?? Object.keys({ ...reported.disks, ...reported.members }).map(Number)
    ).flatMap((n) => [
        `link ../../sd${String(n)} ${disk(n)}`,
        `link ../../sd${String(n)} /dev/disk/by-id/lvm-pv-uuid-${uuid(n)}`,
    ]);
    for (const [number, given] of Object.entries(reported.disks ?? {})) {
        const n = Number(number);
        lines.push(`disk ${disk(n)}`);
        if (given === null) continue;
        lines.push(`dev /dev/sd${String(n)} ${String(EXTENTS * EXTENT)} 0`);
        for (const signature of given.signatures ?? []) {
            lines.push(
                signature === "member"
                    ? `sig LVM2_member ${reported.orphans?.[n] ?? uuid(n)}`
                    : `sig ${signature} 1234`,
            );
        }
        for (const user of given.users ?? []) lines.push(`user ${user}`);
    }
    for (const [name, text] of Object.entries(reported.profiles ?? {}))
        lines.push(`profile ${name} ${text} `);
    if (reported.remembered !== undefined) lines.push(`known ${reported.remembered}`);
    const groups = reported.members === undefined ? [] : [group(reported, reported.members)];
    if (reported.twice === true) groups.push(...groups);
    const orphans = Object.values(reported.orphans ?? {}).map((one) => ({ pv_name: "/dev/x", pv_uuid: one }));
    const report = JSON.stringify({ report: [...groups, ...(orphans.length > 0 ? [{ pv: orphans }] : [])] });
    return [...lines, "report", report].join("\n");
}

function group(reported: Reported, members: NonNullable<Reported["members"]>) {
    const all = Object.entries(members);
    const used = all.reduce((sum, [, { used = 0 }]) => sum + used, 0);
    const total = all.length * EXTENTS;
    const { thinPool = 0, mark = MARK } = reported;
    const row = (name: string, more: Record<string, string> = {}) => ({
        lv_name: name,
        lv_uuid: `lv-${name}`,
        lv_tags: "",
        lv_size: String(EXTENT),
        lv_layout: "linear",
        pool_lv: "",
        lv_active: "active",
        lv_device_open: "",
        lv_metadata_size: "",
        lv_when_full: "",
        lv_profile: "",
        ...more,
    });
    const pool = row("pool0", {
        lv_size: String(thinPool * EXTENT),
        lv_layout: "thin,pool",
        lv_metadata_size: String(4 * EXTENT),
        lv_when_full: reported.whenFull ?? "queue",
        lv_profile: reported.profile ?? "blockhost-extend-80-20",
        lv_active: reported.inactive === true ? "" : "active",
    });
    return {
        vg: [
            {
                vg_name: reported.renamed ?? "vg0",
                vg_uuid: "group-1",
                vg_tags: mark === "none" ? "" : encodeMark(mark),
                vg_extent_size: String(EXTENT),
                vg_extent_count: String(total),
                vg_free_count: String(total - used),
                vg_missing_pv_count: String(reported.missing ?? 0),
                vg_exported: "",
            },
        ],
        pv: all.map(([number, { used = 0, fenced, areaMiB = 16 }]) => ({
            pv_name: `/dev/sd${number}`,
            pv_uuid: uuid(Number(number)),
            pv_pe_count: String(EXTENTS),
            pv_pe_alloc_count: String(used),
            pv_allocatable: fenced === true ? "" : "allocatable",
            pv_mda_size: String(areaMiB * 1024 ** 2),
        })),
        lv: [...(thinPool > 0 ? [pool] : []), ...(reported.volumes ?? []).map((name) => row(name))],
        seg:
            thinPool > 0
                ? [
                      {
                          lv_name: "pool0",
                          chunk_size: "65536",
                          seg_monitor: reported.monitored === false ? "not monitored" : "monitored",
                      },
                  ]
                : [],
    };
}
