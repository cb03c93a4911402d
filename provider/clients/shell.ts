import { raw, type Sh, sh } from "../sh";
import type { Declared } from "./types";

/**
 * Shell functions that know the paths of a target and the devices behind them. sysfs is read by the shell itself; what is
 * there changes while it is read, so everything that cannot be read is passed over.
 */

/** `$protocol`, `$target`, `$portals`, `$unit`, `$serial`, `$uuid`, `$paths`, `$multipath`. */
export function variables(declared: Omit<Declared, "digest">): Sh {
    const { protocol, target, portals, unit, serial = "", uuid = "", paths, multipath, initiator } = declared;
    return sh`protocol=${protocol} target=${target} unit=${unit} serial=${serial} uuid=${uuid}
paths=${paths} multipath=${multipath} initiator=${initiator}
portals=${portals.join(" ")}`;
}

/**
 * `fail WORDS`; `get FILE` (into `$v`); `each_path COMMAND`: runs it for each session or controller of the target, with
 * `$path` (number or name) and `$portal`; `each_device COMMAND`: for each block device of the unit, with `$block`,
 * `$node` (its directory) and `$wwid`; `map_of BLOCK` (into `$map`); `records PORTAL`: open-iscsi's node record (into
 * `$record`, `$db`); `whole_record PORTAL`: the same, and takes away one that has no end, as a power cut leaves what
 * open-iscsi has just written: open-iscsi then knows of no such record; `drop_record`: takes away `$record` without
 * open-iscsi; `own`: whether the controller `$path` is ours, and not somebody's who connects under another name than
 * `$nqn` or `$initiator`, or from a certain address.
 *
 * `usable MAP`: whether a multipath device has a path, none of the devices `$going`, that multipathd sends I/O over; a
 * session that has come back is taken up some seconds later, so `becomes_usable MAP TENTHS` waits, for so many tenths of
 * a second. Where that cannot be told, it has.
 *
 * For `$unit` of NVMe, `*` means all namespaces.
 */
export const KNOWING = raw(`fail() { echo "$*" >&2; exit 1; }
get() { v=; [ -r "$1" ] && { read -r v < "$1"; } 2>/dev/null; [ -n "$v" ]; }
bracket() { case $1 in *:*) portal="[$1]:$2" ;; *) portal="$1:$2" ;; esac; }
each_path() {
    if [ "$protocol" = iscsi ]; then
        for s in /sys/class/iscsi_session/session*; do
            get "$s/targetname" && [ "$v" = "$target" ] || continue
            path=\${s##*/session} c=/sys/class/iscsi_connection/connection\${s##*/session}:0
            get "$c/persistent_address" || continue
            a=$v
            get "$c/persistent_port" || continue
            bracket "$a" "$v"
            "$@"
        done
        return 0
    fi
    for s in /sys/class/nvme/nvme*; do
        get "$s/transport" && [ "$v" = tcp ] && get "$s/subsysnqn" && [ "$v" = "$target" ] && get "$s/address" || continue
        path=\${s##*/} a=\${v#*traddr=} p=\${v#*trsvcid=}
        bracket "\${a%%,*}" "\${p%%,*}"
        "$@"
    done
}
each_device() {
    if [ "$protocol" = iscsi ]; then
        for s in /sys/class/iscsi_session/session*; do
            get "$s/targetname" && [ "$v" = "$target" ] || continue
            for node in "$s"/device/target*/*:*:*:"$unit"; do
                [ -d "$node/block" ] || continue
                for block in "$node"/block/*; do
                    block=\${block##*/}
                    get "$node/wwid"; wwid=$v
                    "$@"
                done
            done
        done
        return 0
    fi
    for node in /sys/block/nvme*n*; do
        get "$node/device/subsysnqn" && [ "$v" = "$target" ] && get "$node/nsid" || continue
        case $v in $unit) ;; *) continue ;; esac
        # One of several paths, which the kernel has joined to one device.
        case \${node##*/} in nvme*c*n*) continue ;; esac
        block=\${node##*/}
        get "$node/wwid"; wwid=$v
        "$@"
    done
}
own() {
    if get "/sys/class/nvme/$path/hostnqn"; then case $v in "$nqn" | "$initiator") ;; *) return 1 ;; esac; fi
    get "/sys/class/nvme/$path/address"
    case $v in *,host_traddr=* | *,host_iface=*) return 1 ;; esac
}
map_of() {
    map=
    for h in "/sys/class/block/$1/holders"/dm-*; do
        get "$h/dm/uuid" || continue
        case $v in mpath-*) map=\${h##*/} ;; esac
    done
}
usable() {
    get "/sys/class/block/$1/dm/name" && v=$(dmsetup status "$v" 2>/dev/null) && [ -n "$v" ] || return 0
    last=
    for w in $v; do
        # Of paths: 8:16 A 0; of groups the state comes without a device before it.
        case $last/$w in *:*/A) case " \${going-} " in *" $last "*) ;; *) return 0 ;; esac ;; esac
        last=$w
    done
    return 1
}
becomes_usable() {
    tenths=$2
    until usable "$1"; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1)); sleep 0.1
    done
}
records() {
    a=\${1%:*} p=\${1##*:}
    a=\${a#[} a=\${a%]} record= db=
    for d in /etc/iscsi /var/lib/iscsi; do
        [ -n "$record" ] || [ ! -d "$d/nodes" ] || db=$d
        for f in "$d/nodes/$target/$a,$p" "$d/nodes/$target/$a,$p",*/*; do [ ! -f "$f" ] || record=$f db=$d; done
    done
}
whole_record() {
    records "$1"
    [ -z "$record" ] || grep -qs '^# END RECORD' "$record" || drop_record
}
drop_record() {
    rm -f -- "$record" || return
    case \${record#"$db/nodes/$target/"} in */*) rmdir -- "\${record%/*}" 2>/dev/null ;; esac
    rmdir -- "$db/nodes/$target" 2>/dev/null
    record=
}`);

/**
 * `users_of BLOCK…`: prints who has block devices, their partitions or what is on top of them: a line each. A multipath
 * device of the path itself is none, nor are kpartx's maps of its partitions, which go with it: `parts_of MAP…` gives
 * these (into `$parts`), to be asked about in turn.
 */
export const USERS = raw(`numbers_of() {
    for b; do
        for part in "/sys/class/block/$b" "/sys/class/block/$b"/*; do
            [ "$part" = "/sys/class/block/$b" ] || [ -e "$part/partition" ] || continue
            ! get "$part/dev" || echo "$v \${part##*/} $part"
        done
    done
}
parts_of() {
    parts=
    while [ $# != 0 ]; do
        for h in "/sys/class/block/$1/holders"/dm-*; do
            get "$h/dm/uuid" || continue
            # A logical partition lies on the extended one.
            case $v in part*-mpath-*) parts="$parts \${h##*/}"; set -- "$@" "\${h##*/}" ;; esac
        done
        shift
    done
}
# Thousands of processes may have thousands of mounts each, which a shell's \`read\` takes minutes for. Their names may be
# more than a command line holds.
mounts_of() {
    names=" $(numbers_of "$@" | while read -r number name _; do printf '%s=%s ' "$number" "$name"; done)" numbers=
    for n in $names; do numbers="$numbers|\${n%%=*}"; done
    [ -n "$numbers" ] || return 0
    printf '%s\\n' /proc/[0-9]*/mountinfo | xargs grep -ashE "^[0-9]+ [0-9]+ (\${numbers#|}) " | sort -u -k3,3 -k5,5 |
        while read -r _ _ n _ at _; do
            name=\${names#*" $n="}
            echo "/dev/\${name%% *} is mounted at $at"
        done
}
users_of() {
    mounts_of "$@"
    numbers_of "$@" | while read -r number name part; do
        for h in "$part/holders"/*; do
            [ -e "$h" ] || continue
            get "$h/dm/uuid"
            case $v in mpath-* | part*-mpath-*) continue ;; esac
            get "$h/dm/name" || v=\${h##*/}
            echo "/dev/$name is used by $v"
        done
        # A mounted btrfs has a device number of its own, and says here what it is on.
        for h in /sys/fs/btrfs/*/devices/"$name"; do [ ! -e "$h" ] || echo "/dev/$name is used by a mounted btrfs"; done
        [ ! -e "$part/bcache" ] || echo "/dev/$name is used by bcache"
        while read -r f _; do [ "$f" != "/dev/$name" ] || echo "/dev/$name is swap space"; done < /proc/swaps
        for l in /sys/block/loop*/loop/backing_file; do
            get "$l" && [ "$v" = "/dev/$name" ] || continue
            l=\${l%/loop/*}
            echo "/dev/$name is used by \${l##*/}"
        done
        # Targets open it in the kernel: no process and no holder shows that.
        for f in /sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path /sys/kernel/config/target/core/iblock_*/*/udev_path; do
            get "$f" && [ "$v" -ef "/dev/$name" ] || continue
            f=\${f%/*}
            ! get "$f/enable" || [ "$v" != 0 ] || continue
            case $f in
            */namespaces/*) f=\${f%/namespaces/*}; echo "/dev/$name is used by nvmet, for \${f##*/}" ;;
            *) echo "/dev/$name is used by LIO, as \${f##*/}" ;;
            esac
        done
    done
}`);

/**
 * `open_of BLOCK…`, with `USERS`: prints which processes have them or their partitions open, under whatever name in their
 * /dev, as a container's may be.
 */
export const OPEN =
    raw(`# SIGKILL is pending: it waits for I/O that does not end, as what has flushed a dead host's device does, and is no user.
dying() {
    while read -r k v; do
        case $k/$v in SigPnd:/*[13579bdf]?? | ShdPnd:/*[13579bdf]??) return 0 ;; esac
    done < "/proc/$1/status"
    return 1
} 2>/dev/null
open_of() {
    names=" $(numbers_of "$@" | while read -r number name _; do printf '%x:%x=%s ' "\${number%:*}" "\${number#*:}" "$name"; done)"
    # That of busybox knows neither, and would find nobody.
    find / -prune -lname x -xtype b >/dev/null 2>&1 || fail "tools: find(1) is not that of GNU findutils"
    set -- $(find /proc/[0-9]*/fd -lname '/dev/*' -xtype b 2>/dev/null)
    [ $# != 0 ] || return 0
    stat -L -c '%t:%T %n' "$@" 2>/dev/null | while read -r number fd; do
        case $names in *" $number="*) name=\${names#*" $number="} name=\${name%% *} ;; *) continue ;; esac
        pid=\${fd#/proc/} pid=\${pid%%/*}
        get "/proc/$pid/comm"; comm=$v
        # udev looks at whatever has changed, and closes it again; multipathd has all paths open, to see that they are up.
        case $comm in *udev-worker*|systemd-udevd|multipathd) continue ;; esac
        ! dying "$pid" || continue
        echo "/dev/$name is open by $comm (process $pid)"
    done | sort -u
}`);

/**
 * `iscsid_up`: sees that open-iscsi's daemon, or systemd for it, listens, and starts it where nobody does: logins and
 * logouts need it. iscsiadm by itself starts it only where iscsid.conf says how. `iscsid_absent`: says that it does not.
 */
export const ISCSID = raw(`iscsid_listens() {
    [ -r /proc/net/unix ] || return 0
    while read -r _ _ _ _ _ _ _ at; do case $at in @ISCSIADM_ABSTRACT_NAMESPACE*) return 0 ;; esac; done < /proc/net/unix
    return 1
}
iscsid_absent() { echo "iscsid: the daemon of open-iscsi does not run" >&2; }
iscsid_up() {
    set -- iscsid
    [ ! -d /run/systemd/system ] || set -- 'systemctl start iscsid.socket' 'systemctl start iscsid.service'
    for how; do
        ! iscsid_listens || return 0
        $how </dev/null >&2
        n=0
        until iscsid_listens || [ "$n" -ge 20 ]; do n=$((n + 1)); sleep 0.1; done
    done
    iscsid_listens || { iscsid_absent; return 1; }
}`);
