import { type Sh, lines, raw, sh } from "../../sh";
import type { PoolPart, Session } from "../types";
import type { LvmOptions } from "./options";
import { select } from "./select";
import { command, defineSettings } from "./settings";

/**
 * One `lvm` process for all plans of a run (creation ×1.8, removal ×3.4 faster than a process a command), as lvmdbusd
 * runs it: commands on its standard input, one at a time; after each one JSON object on descriptor 3, whose last row of
 * log says `success` or `failure`. What went wrong is asked for with `lastlog`. A plan ended by force may leave half an
 * answer in the pipe, so the process is then ended with it and started anew; if it dies by itself, each command that
 * follows gets a process of its own, and is tried again after a crash (exit status 139 happens: LP 1901783).
 *
 * Descriptor 6 leads to the process, 7 back. Both pipes are open before it is started, so that nothing ever waits for the
 * other end to be opened, whoever is killed when; and each end is open in one process only, so that the other notices
 * when it is gone. Their names are there for a moment only, and belong to the run that holds the lock.
 *
 * `bh_lvm_now` holds what the plans' objects were at the beginning of the run; `bh_lvm_look` reads it. What was open then
 * may have been closed since by a plan's own steps (an export that lets go of it), and udev has a short look at what was
 * closed: `bh_lvm_shut PATTERN` reads again. (Of what is not active LVM says that it does not know whether it is open.)
 */
const FUNCTIONS = raw(`bh_lvm_pid= bh_lvm_now=
export LVM_SUPPRESS_FD_WARNINGS=1
bh_lvm_start() {
bh_lvm_pid=
rm -f "$bh_lvm_state/lvm.in" "$bh_lvm_state/lvm.out"
mkfifo -m 0600 "$bh_lvm_state/lvm.in" "$bh_lvm_state/lvm.out" || return 0
exec 6<>"$bh_lvm_state/lvm.in" 8<>"$bh_lvm_state/lvm.out"
rm -f "$bh_lvm_state/lvm.in" "$bh_lvm_state/lvm.out"
LC_ALL=C LVM_COMMAND_PROFILE=lvmdbusd LVM_REPORT_FD=3 lvm </proc/self/fd/6 3>/proc/self/fd/8 >/dev/null 2>&1 6>&- 8>&- 9>&- &
bh_lvm_pid=$!
exec 6>/proc/self/fd/6 7</proc/self/fd/8 8>&-
}
bh_lvm_stop() {
[ -z "$bh_lvm_pid" ] || exec 6>&- 7<&-
bh_lvm_pid=
}
bh_lvm_send() {
trap '' PIPE
bh_lvm_l=$2
bh_lvm_s=$1
shift 2
for bh_lvm_a; do bh_lvm_l="$bh_lvm_l '$bh_lvm_a'"; done
printf "%s --config '%s'\\n" "$bh_lvm_l" "$bh_lvm_s" >&6
}
bh_lvm_alone() {
bh_lvm_t=0
bh_lvm_s=$1
bh_lvm_v=$2
shift 2
while :; do
LC_ALL=C lvm "$bh_lvm_v" "$@" --config "$bh_lvm_s" 6>&- 7>&-
bh_lvm_r=$?
[ $bh_lvm_r = 139 ] && [ $bh_lvm_t -lt 3 ] || return $bh_lvm_r
bh_lvm_t=$((bh_lvm_t + 1))
sleep 0.2
done
}
bh_lvm() {
bh_lvm_said=
if [ -n "$bh_lvm_pid" ] && bh_lvm_send "$@"; then
bh_lvm_r=
while IFS= read -r bh_lvm_l; do
case $bh_lvm_l in
*'"log_type":"status"'*'"log_message":"success"'*) bh_lvm_r=0 ;;
'  }') [ "$bh_lvm_r" = 0 ] && return 0; bh_lvm_said=$(bh_lvm_words); printf '%s\\n' "$bh_lvm_said" >&2; return 5 ;;
esac
done <&7
bh_lvm_pid=
fi
bh_lvm_said=$(bh_lvm_alone "$@" 2>&1 >/dev/null)
set -- $?
[ -z "$bh_lvm_said" ] || printf '%s\\n' "$bh_lvm_said" >&2
return $1
}
bh_lvm_shut() {
bh_lvm_t=0
while :; do
case $bh_lvm_now in *"$1"'"'* | *"$1"'unknown"'*) return 0 ;; esac
[ $bh_lvm_t -lt 5 ] || return 1
[ $bh_lvm_t = 0 ] || sleep 0.2
bh_lvm_t=$((bh_lvm_t + 1))
bh_lvm_now=$(bh_lvm_look)
done
}
bh_lvm_users() {
bh_lvm_d=$(readlink -f "$1") && bh_lvm_d=\${bh_lvm_d##*/}
for bh_lvm_h in /sys/block/"$bh_lvm_d"/holders/*; do [ -e "$bh_lvm_h" ] && echo "held by \${bh_lvm_h##*/}" >&2; done
read -r bh_lvm_m 2>/dev/null < /sys/block/"$bh_lvm_d"/dev || return 0
while read -r bh_lvm_a bh_lvm_a bh_lvm_h bh_lvm_a bh_lvm_l bh_lvm_a; do
[ "$bh_lvm_h" = "$bh_lvm_m" ] && echo "mounted at $bh_lvm_l" >&2
done < /proc/self/mountinfo
:
}
bh_lvm_words() {
echo lastlog >&6
while IFS= read -r bh_lvm_l; do
case $bh_lvm_l in
*'"log_type":"error"'* | *'"log_type":"warn"'*) bh_lvm_l=\${bh_lvm_l#*'"log_message":"'}; printf '%s\\n' "\${bh_lvm_l%%'", "log_errno"'*}" ;;
'  }') break ;;
esac
done <&7 | sed 's/\\\\"/"/g'
}
bh_lvm_report() {
if [ -n "$bh_lvm_pid" ] && bh_lvm_send "$@"; then
bh_lvm_l=$(sed '/^  }$/q' <&7)
case $bh_lvm_l in
*'"log_message":"success"'*'
  }') printf '%s\\nstatus 0\\n' "$bh_lvm_l"; return ;;
*'
  }') bh_lvm_words >&2 ;;
esac
fi
bh_lvm_alone "$@"
echo "status $?"
}`);

/** Functions for whoever runs without a session. */
export const ALONE: Sh = FUNCTIONS;

const START = raw("bh_lvm_start");
const RESET = raw(`[ -z "$bh_lvm_pid" ] || kill -KILL "$bh_lvm_pid" 2>/dev/null
bh_lvm_stop
bh_lvm_start`);

export function session(parts: readonly Required<PoolPart<LvmOptions>>[]): Session {
    const first = parts[0];
    if (first === undefined) throw new TypeError("a session needs a pool");
    const all = parts.map(({ pool }) => pool.options);
    const look = lines(
        raw("bh_lvm_look() {"),
        ...distinct(all).map(
            (options) =>
                sh`${command(
                    "bh_lvm_report",
                    options,
                    "fullreport",
                    "--reportformat",
                    "json",
                    "--configreport",
                    "vg",
                    "-o",
                    GUARD_FIELDS.vg,
                    "--configreport",
                    "lv",
                    "-o",
                    GUARD_FIELDS.lv,
                    "-S",
                    select(parts),
                    ...NO_SEGMENTS,
                )}`,
        ),
        raw("}"),
    );
    return {
        functions: lines(FUNCTIONS, defineSettings(all), sh`bh_lvm_state=${first.pool.stateDirectory}`, look),
        open: lines(START, raw("bh_lvm_now=$(bh_lvm_look)")),
        reset: RESET,
        close: raw("bh_lvm_stop"),
    };
}

/** Pools with the same settings are read together. */
export function distinct(all: readonly LvmOptions[]): LvmOptions[] {
    return [...new Map(all.map((options) => [JSON.stringify(options.deviceFilter), options])).values()];
}

/** What a guard compares; the order is that of {@link groupPattern} and {@link volumePattern}. */
const GUARD_FIELDS = {
    vg: "vg_name,vg_uuid,vg_missing_pv_count",
    lv: "vg_name,lv_name,lv_uuid,lv_tags,lv_device_open",
};

export const NO_SEGMENTS = [
    "--configreport",
    "pv",
    "-o",
    "pv_name,pv_uuid,pv_missing",
    "--configreport",
    "pvseg",
    "-S",
    "pvseg_size<0",
    "--configreport",
    "seg",
    "-S",
    "seg_start<0",
] as const;

/** How a healthy volume group shows in `bh_lvm_now`. */
export function groupPattern(group: string, uuid: string): string {
    return `"vg_name":"${group}", "vg_uuid":"${uuid}", "vg_missing_pv_count":"0"`;
}

/** How a logical volume shows there: just its name, or with identity and tags, up to whether it is open. */
export function volumePattern(group: string, name: string, more?: { uuid: string; tags: string }): string {
    const start = `"vg_name":"${group}", "lv_name":"${name}", "lv_uuid":"`;
    if (more === undefined) return start;
    return `${start}${more.uuid}", "lv_tags":"${more.tags}", "lv_device_open":"`;
}
