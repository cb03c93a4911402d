import { raw, sh, type Sh } from "../../../sh";
import type { PoolPolicy } from "../../poolMaker";
import type { LvmOptions } from "../options";
import { lvm } from "./steps";

/**
 * How far dmeventd extends a thin pool is a setting, and settings of one pool are a metadata profile (lvm.conf(5)): a
 * file in /etc/lvm/profile whose name is kept with the pool. A file of ours is named after what it says, so that pools
 * with the same policy share it, and nobody ever has to change one.
 */
export const PROFILE_DIRECTORY = "/etc/lvm/profile";
export const PROFILE_PREFIX = "blockhost-extend-";

export type AutoExtend = Exclude<NonNullable<PoolPolicy["autoExtend"]>, false>;

/** A threshold of 100 percent means never. */
export const NEVER: AutoExtend = { threshold: 100, percent: 0 };

export function profileName({ threshold, percent }: AutoExtend): string {
    return `${PROFILE_PREFIX}${String(threshold)}-${String(percent)}`;
}

/** In one line, with single blanks; to LVM line ends are blanks. */
export function profileText({ threshold, percent }: AutoExtend): string {
    return `# pulumi-blockhost, format 1 activation { thin_pool_autoextend_threshold=${String(threshold)} thin_pool_autoextend_percent=${String(percent)} }`;
}

export function writeProfile(autoExtend: AutoExtend): Sh {
    const file = `${PROFILE_DIRECTORY}/${profileName(autoExtend)}.profile`;
    const { threshold, percent } = autoExtend;
    return sh`umask 022
mkdir -p ${PROFILE_DIRECTORY} && printf '%s\\n' ${"# pulumi-blockhost, format 1"} ${"activation {"} ${`thin_pool_autoextend_threshold=${String(threshold)}`} ${`thin_pool_autoextend_percent=${String(percent)}`} ${"}"} > ${`${file}.new`} &&
sync ${`${file}.new`} && mv ${`${file}.new`} ${file}`;
}

/** Removes files of ours that no pool of the host goes by any more. */
export function clearProfiles(options: LvmOptions): Sh {
    return sh`bh_used=$(${lvm(options, "lvs", "--noheadings", "-o", "lv_profile")}) || exit
for bh_f in ${PROFILE_DIRECTORY}/${raw(PROFILE_PREFIX)}*.profile; do
    [ -f "$bh_f" ] || continue
    bh_b=\${bh_f##*/} bh_b=\${bh_b%.profile}
    case " $(printf '%s' "$bh_used" | tr -s ' \\n' '  ') " in *" $bh_b "*) ;; *) rm -f "$bh_f" || exit ;; esac
done`;
}
