import { type Sh, lines, raw, sh } from "../../sh";
import type { PoolPart, PoolRef } from "../types";
import type { LvmOptions } from "./options";
import { select } from "./select";
import { ALONE, NO_SEGMENTS, distinct } from "./session";
import { command, defineSettings, settingsName } from "./settings";

/**
 * Reads pools with one `lvm fullreport`, whatever their number and that of their objects (one for each device filter
 * that they have); in a run, with the process that the run has open already. Changes nothing.
 *
 *     part                      only some objects are listed
 *     record <path> <identity>  the pool that this host knows there
 *     report <settings>         what follows was read with these settings
 *     {…}                       LVM's own report, on several lines
 *     status <n>                exit status of LVM
 *     said <text>               what LVM wrote on standard error
 */
export function observeTogether(parts: readonly PoolPart<LvmOptions>[]): Sh {
    const all = parts.map(({ pool }) => pool.options);
    const some = parts.every(({ only }) => only !== undefined);
    const only = some
        ? ["-S", select(parts.map(({ pool, only: names = [] }) => ({ pool, only: names })))]
        : [];
    const records = parts.map(({ pool }) => recordFile(pool));
    return lines(
        raw(`command -v bh_lvm_report >/dev/null || {\n${ALONE.text}\n}`),
        defineSettings(all),
        raw(some ? "echo part" : ":"),
        sh`for file in ${records}; do
    [ -f "$file" ] && read -r id < "$file" && printf 'record %s %s\n' "$file" "$id"
done`,
        ...distinct(all).map((options) => {
            const report = command(
                "bh_lvm_report",
                options,
                "fullreport",
                "--reportformat",
                "json",
                "--units",
                "b",
                "--nosuffix",
                "--configreport",
                "vg",
                "-o",
                GROUP_FIELDS.join(","),
                "--configreport",
                "lv",
                "-o",
                VOLUME_FIELDS.join(","),
                ...only,
                ...NO_SEGMENTS,
            );
            return sh`echo ${`report ${settingsName(options)}`}
{ ${report} 2>&1 >&3 | sed 's/^/said /'; } 3>&1`;
        }),
        raw(":"),
    );
}

const GROUP_FIELDS = [
    "vg_name",
    "vg_uuid",
    "vg_attr",
    "vg_size",
    "vg_free",
    "vg_extent_size",
    "vg_missing_pv_count",
] as const;
export type GroupRow = Readonly<Record<(typeof GROUP_FIELDS)[number], string>>;

const VOLUME_FIELDS = [
    "lv_uuid",
    "lv_name",
    "vg_name",
    "lv_size",
    "origin_size",
    "lv_tags",
    "pool_lv",
    "origin",
    "data_percent",
    "metadata_percent",
    "lv_layout",
    "lv_role",
    "lv_active",
    "lv_device_open",
    "lv_permissions",
    "lv_health_status",
    "lv_snapshot_invalid",
    "lv_merging",
] as const;
export type VolumeRow = Readonly<Record<(typeof VOLUME_FIELDS)[number], string>>;

export type DeviceRow = Readonly<Record<"pv_name" | "pv_uuid" | "pv_missing", string>>;

/** Where the host remembers which pool it is; the pool's own directory of the file driver has no such name. */
export function recordFile(pool: PoolRef<LvmOptions>): string {
    const { volumeGroup, thinPool } = pool.options;
    const name = thinPool === undefined ? volumeGroup : `${volumeGroup}@${thinPool}`;
    return `${pool.stateDirectory}/pools/lvm@${name}`;
}
