import { lvmDriver } from "../../provider/drivers/lvm";
import { type LvmOptions } from "../../provider/drivers/lvm/options";
import { settingsName } from "../../provider/drivers/lvm/settings";
import type { PlanContext, PoolLimits, PoolRef } from "../../provider/drivers/types";
import type { UnitFacts } from "../../provider/host/facts";
import { type Mark, encodeMark } from "../../provider/host/mark";
import type { Claim } from "../../provider/host/plan";

/** Reports of LVM as `lvm fullreport` prints them (lvm2 2.03.16), and the facts that they become. */

export const VG_UUID = "i0CdIv-dFH0-5bUj-3FEv-17kh-YImv-SOXoSL";
export const POOL_UUID = "DZZrJM-sV19-LJ4u-4Jjw-wZQZ-hyHt-Pb05se";
export const EXTENT = 4 * 2 ** 20;
export const MiB = 2 ** 20;

export type Row = Readonly<Record<string, string>>;

export const THIN_POOL: Row = {
    lv_uuid: POOL_UUID,
    lv_name: "pool0",
    vg_name: "vg0",
    lv_size: "3221225472",
    origin_size: "",
    lv_tags: "",
    pool_lv: "",
    origin: "",
    data_percent: "0.00",
    metadata_percent: "10.14",
    lv_layout: "thin,pool",
    lv_role: "private",
    lv_active: "active",
    lv_device_open: "",
    lv_permissions: "writeable",
    lv_health_status: "",
    lv_snapshot_invalid: "unknown",
    lv_merging: "",
};

/** A thick volume, unless told otherwise. */
export function lv(name: string, more: Row = {}): Row {
    return {
        ...THIN_POOL,
        lv_uuid: `uuid-${name}`,
        lv_name: name,
        lv_size: "41943040",
        data_percent: "",
        metadata_percent: "",
        lv_layout: "linear",
        lv_role: "public",
        ...more,
    };
}

export function thinLv(name: string, more: Row = {}): Row {
    return lv(name, { lv_layout: "thin,sparse", pool_lv: "pool0", data_percent: "25.00", ...more });
}

export function cowLv(name: string, origin: string, more: Row = {}): Row {
    return lv(name, {
        lv_size: "12582912",
        origin_size: "41943040",
        origin,
        data_percent: "10.00",
        lv_role: "public,snapshot,thicksnapshot",
        lv_permissions: "read-only",
        lv_snapshot_invalid: "",
        ...more,
    });
}

export const GROUP: Row = {
    vg_name: "vg0",
    vg_uuid: VG_UUID,
    vg_attr: "wz--n-",
    vg_size: "8581545984",
    vg_free: "5293211648",
    vg_extent_size: String(EXTENT),
    vg_missing_pv_count: "0",
};

export const OWNER = {
    installation: "default",
    organization: "acme",
    project: "shop",
    stack: "prod",
    resource: "pg",
};

export function mark(more: Partial<Mark> = {}): Mark {
    return {
        kind: "volume",
        owner: OWNER,
        generation: "0123456789abcdef",
        phase: "ready",
        extra: {},
        ...more,
    };
}

export const tags = (more: Partial<Mark> = {}): Row => ({ lv_tags: encodeMark(mark(more)) });

export interface World {
    readonly options?: Readonly<Record<string, unknown>>;
    readonly limits?: Partial<PoolLimits>;
    readonly groups?: readonly { vg: Row; pv?: readonly Row[]; lv: readonly Row[] }[];
    /** Logical volumes of the one group; a thin pool comes by itself. */
    readonly volumes?: readonly Row[];
    readonly thinPool?: Row;
    readonly record?: string;
    readonly status?: number;
    readonly said?: string;
    readonly part?: boolean;
    readonly units?: readonly UnitFacts[];
    readonly claims?: readonly Claim[];
}

export const THIN = { volumeGroup: "vg0", thinPool: "pool0" };
export const THICK = { volumeGroup: "vg0" };

export function poolOf({ options = THIN, limits = {} }: World): PoolRef<LvmOptions> {
    return {
        name: "fast",
        options: lvmDriver.options.parse(options),
        limits: { maxOverSubscriptionRatio: 20, reservedPercentage: 0, ...limits },
        stateDirectory: "/var/lib/blockhost",
    };
}

export function printed(world: World): string {
    const pool = poolOf(world);
    const own = pool.options.thinPool === undefined ? [] : [{ ...THIN_POOL, ...world.thinPool }];
    const groups = world.groups ?? [{ vg: GROUP, lv: [...own, ...(world.volumes ?? [])] }];
    const file = `/var/lib/blockhost/pools/lvm@${pool.options.thinPool === undefined ? "vg0" : "vg0@pool0"}`;
    const report = groups.map((group) => ({
        vg: [group.vg],
        pv: group.pv ?? [{ pv_name: "/dev/sdb", pv_uuid: "BDZfXg", pv_missing: "" }],
        lv: group.lv,
        pvseg: [],
        seg: [],
    }));
    return [
        ...(world.part === true ? ["part"] : []),
        ...(world.record === undefined ? [] : [`record ${file} ${world.record}`]),
        `report ${settingsName(pool.options)}`,
        ...(world.said ?? "")
            .split("\n")
            .filter(Boolean)
            .map((line) => `said   ${line}`),
        ...JSON.stringify({ report }, undefined, 4)
            .split("\n")
            .map((line) => `  ${line}`),
        `status ${String(world.status ?? 0)}`,
    ].join("\n");
}

export function factsOf(world: World) {
    return lvmDriver.parse(poolOf(world), printed(world));
}

export function contextOf(world: World): PlanContext<LvmOptions> {
    const pool = poolOf(world);
    const facts = factsOf(world);
    return {
        pool,
        facts,
        host: {
            pools: new Map([["fast", facts]]),
            targets: new Map(),
            units: new Map((world.units ?? []).map((unit) => [unit.name, unit])),
            epoch: { boot: "boot-1", word: "word-1", made: new Set() },
            tools: new Set(Object.keys(lvmDriver.tools(pool.options))),
            claims: world.claims ?? [],
            reserved: new Set(),
        },
    };
}
