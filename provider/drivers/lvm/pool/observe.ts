import { type Sh, lines, raw, sh } from "../../../sh";
import type { PoolRef } from "../../types";
import type { LvmOptions } from "../options";
import { recordFile } from "../observe";
import { lvm } from "./steps";
import { PROFILE_DIRECTORY, PROFILE_PREFIX } from "./profile";

/**
 * Reads all volume groups in one `lvm fullreport`, our profile files, and what some disks carry and who has them.
 *
 *     link <target> <path>              names of devices in /dev/disk and /dev/mapper
 *     disk <name>                       as asked for; what follows is about it
 *     dev <device> <bytes> <read-only>  absent: there is no such disk
 *     sig <type> <uuid>                 of the disk and its partitions (wipefs)
 *     user <who>
 *     known <group>[/<thin pool>]       UUIDs that the host remembers under the configured names
 *     profile <name> <content in one line>
 *     report                            and then the JSON of fullreport
 *
 * Signatures are read from the disk, not from udev's database, which may be stale. Changes nothing.
 */
export function observe(pool: PoolRef<LvmOptions>, disks: readonly string[]): Sh {
    return lines(
        raw("LC_ALL=C; export LC_ALL"),
        LOOK,
        raw(
            "find /dev/disk/by-id /dev/disk/by-partuuid /dev/mapper -type l -printf 'link %l %p\\n' 2>/dev/null",
        ),
        ...disks.map((disk) => sh`bh_look ${disk}`),
        sh`for bh_f in ${recordsOf(pool)}; do [ -f "$bh_f" ] && read -r bh_id < "$bh_f" && echo "known $bh_id"; done`,
        sh`for bh_f in ${PROFILE_DIRECTORY}/${raw(PROFILE_PREFIX)}*.profile; do
    [ -f "$bh_f" ] || continue
    bh_b=\${bh_f##*/}
    printf 'profile %s ' "\${bh_b%.profile}"
    tr -s ' \\t\\n' ' ' < "$bh_f"
    echo
done
echo report`,
        lvm(pool.options, "fullreport", ...REPORT),
    );
}

/** Where the driver remembers which group and thin pools these are: shell text. */
export function recordsOf(pool: PoolRef<LvmOptions>): Sh {
    const { thinPool: _, ...whole } = pool.options;
    const file = recordFile({ ...pool, options: whole });
    return sh`${file} ${`${file}@`}*`;
}

const LOOK = raw(`bh_look() {
    echo "disk $1"
    bh_d=$(readlink -e -- "$1") && [ -b "$bh_d" ] || return 0
    bh_k=\${bh_d##*/} bh_s=/sys/class/block/\${bh_d##*/}
    read -r bh_size < "$bh_s/size" && read -r bh_ro < "$bh_s/ro" || return 0
    echo "dev $bh_d $((bh_size * 512)) $bh_ro"
    bh_use "$bh_k"
    for bh_p in "$bh_s/$bh_k"*; do [ ! -e "$bh_p/partition" ] || bh_use "\${bh_p##*/}"; done
}
bh_use() {
    wipefs -n -i -O TYPE,UUID "/dev/$1" | sed 's/^/sig /'
    for bh_h in "/sys/class/block/$1/holders/"*; do
        [ -e "$bh_h" ] || continue
        bh_n=
        [ ! -e "$bh_h/dm/name" ] || read -r bh_n < "$bh_h/dm/name"
        echo "user device \${bh_n:-\${bh_h##*/}} on top of it"
    done
    read -r bh_m < "/sys/class/block/$1/dev"
    while read -r _ _ bh_x _ bh_at _; do [ "$bh_x" != "$bh_m" ] || echo "user mounted at $bh_at"; done < /proc/self/mountinfo
    while read -r bh_x _; do [ "$(readlink -e -- "$bh_x")" != "/dev/$1" ] || echo "user used as swap"; done < /proc/swaps
    :
}`);

const REPORT = [
    ...["--reportformat", "json", "--units", "b", "--nosuffix"],
    ...["--configreport", "vg", "-o"],
    "vg_name,vg_uuid,vg_tags,vg_extent_size,vg_extent_count,vg_free_count,vg_missing_pv_count,vg_exported,vg_permissions",
    ...["--configreport", "pv", "-o"],
    "pv_name,pv_uuid,pv_pe_count,pv_pe_alloc_count,pv_allocatable,pv_mda_size",
    ...["--configreport", "lv", "-o"],
    "lv_name,lv_uuid,lv_tags,lv_size,lv_layout,pool_lv,lv_active,lv_device_open,lv_metadata_size,lv_when_full,lv_profile",
    ...["--configreport", "seg", "-o", "lv_name,chunk_size,seg_monitor"],
    ...["--configreport", "pvseg", "-S", "pvseg_size<0"],
] as const;
