import { type Sh, raw, sh } from "../sh";
import { ISCSID, KNOWING, OPEN, USERS, variables } from "./shell";
import type { Declared } from "./types";

/** Detaching, in an order that loses nothing: nobody uses it, all is written, the device goes, the sessions, the records. */

/** @param pathless WWID of a multipath device that has no path left, and so no device that leads to it. */
function begin(declared: Declared, pathless = ""): Sh {
    return sh`${variables(declared)}
${KNOWING}
blocks= maps= pathless=${pathless}
${GOES[declared.protocol]}
add_map() { case " $maps " in *" $1 "*) ;; *) maps="$maps $1" ;; esac; }
collect() {
    goes || return 0
    blocks="$blocks $block"
    map_of "$block"
    [ -z "$map" ] || add_map "$map"
}
each_device collect
[ -z "$pathless" ] || for m in /sys/block/dm-*; do
    ! get "$m/dm/uuid" || [ "$v" != "mpath-$pathless" ] || add_map "\${m##*/}"
done`;
}

/**
 * Whether `$node` goes with what is ours. A controller takes all namespaces of its target with it. Where the kernel joins
 * paths, they are the target's, not one controller's; where it does not, those of others' controllers stay.
 */
const GOES = {
    iscsi: raw("goes() { :; }"),
    "nvme-tcp": raw(`get /etc/nvme/hostnqn || v=$initiator
nqn=$v nsid=$unit unit='*'
goes() { path=$(readlink -f "$node/device"); path=\${path##*/}; own; }`),
} as const;

/** Fails with a line on each who has the device, or what would go with it, after `word`. */
export function refuseUsers(declared: Declared, word = "in-use", pathless?: string): Sh {
    return sh`${asking(declared, pathless)}
! used "$@" || fail ${word}: "$users"`;
}

/** The same just after the device was written to, which udev's rules look at for a moment, by programs of their own. */
export function refuseUsersSince(declared: Declared, pathless?: string): Sh {
    return sh`${asking(declared, pathless)}
udevadm settle -t 10 2>/dev/null
n=0
while used "$@"; do
    [ "$n" -lt 10 ] || fail in-use: "$users"
    n=$((n + 1)); sleep 0.1
done`;
}

function asking(declared: Declared, pathless?: string): Sh {
    return sh`${begin(declared, pathless)}
${USERS}
${OPEN}
[ -n "$blocks$maps" ] || exit 0
parts_of $maps
set -- $blocks $maps $parts
used() { users=$(users_of "$@"; open_of "$@") || exit; [ -n "$users" ]; }`;
}

/**
 * Brings all that was written to the storage host; an error of former writes is told once, by fsync. A host that is gone
 * without a word lets it wait, for two minutes (iSCSI) or for ever (NVMe), in a call that no signal ends: so it waits only
 * as long as something is being written.
 */
export function flush(declared: Declared, force: boolean, pathless?: string): Sh {
    return sh`${begin(declared, pathless)}
force=${force ? "1" : ""} patience=${force ? 30 : 60}
${FLUSH}`;
}

const FLUSH = raw(`up() {
    case $protocol in iscsi) s=/sys/class/iscsi_session/session$path ;; *) s=/sys/class/nvme/$path ;; esac
    get "$s/state"
    case $v in LOGGED_IN | live) alive=1 ;; *) return 0 ;; esac
    # If it is gone, the kernel shall give up the I/O soon: else the device would be held as long as it hopes.
    [ -z "$force" ] || [ ! -e "$s/recovery_tmo" ] || { echo 5 > "$s/recovery_tmo"; } 2>/dev/null || :
}
lost() {
    [ -n "$force" ] || fail "flush: $*"
    echo "passed over: $*" >&2
}
# Writes that the device or its paths (nvme0c1n1 of nvme0n1) have completed.
progress() {
    now=
    for f in "/sys/class/block/$1/stat" /sys/block/"\${1%n*}"c*n"\${1##*n}"/stat; do
        [ -e "$f" ] && read -r _ _ _ _ w _ < "$f" && now="$now $w"
    done
}
# bounded BLOCK COMMAND…: 2 where nothing has been written for a while.
bounded() {
    b=$1; shift
    "$@" </dev/null >/dev/null 2>&1 6>&- 7>&- &
    pid=$! waited=0 last=
    while kill -0 "$pid" 2>/dev/null; do
        progress "$b"
        [ "$now" = "$last" ] || waited=0
        last=$now
        [ "$waited" -lt "$((patience * 20))" ] || { kill -9 "$pid"; return 2; }
        waited=$((waited + 1)); sleep 0.05
    done
    wait "$pid"
}
# Nobody can have written to a read-only device, and the kernel lets nobody open it for that. In the place of a device that
# has gone dd would make a file.
write_out() {
    get "/sys/class/block/$1/ro" && [ "$v" = 1 ] ||
        bounded "$1" dd if=/dev/null of="/dev/$1" conv=nocreat,notrunc,fsync status=none || return
    bounded "$1" blockdev --flushbufs "/dev/$1"
}
set -- $maps
[ $# != 0 ] || set -- $blocks
[ $# != 0 ] || exit 0
# One that is down comes back by itself, where the storage host does.
alive= waited=0
until each_path up; [ -n "$alive" ] || [ "$waited" -ge "$((patience * 10))" ]; do waited=$((waited + 1)); sleep 0.1; done
[ -n "$alive" ] || { lost "no path to the device has come up for $patience seconds"; exit 0; }
for map in $maps; do
    becomes_usable "$map" "$((patience * 10 - waited))" || { lost "multipathd has taken up no path to /dev/$map for $patience seconds"; exit 0; }
done
for d; do
    write_out "$d"
    case $? in
    0) ;;
    2) lost "nothing has been written to /dev/$d for $patience seconds: the storage host does not answer" ;;
    *) lost "/dev/$d cannot be written" ;;
    esac
done`);

/**
 * Takes the device away, logs out, and takes the node records away. What is gone already is fine.
 *
 * @param only the paths at these portals
 * @param spare another path is to carry the device: without one nothing is touched
 * @param made the sessions were made by us alone: they end although they lead to other units, unless somebody has one
 * @param recorded portals whose node records stay, with what somebody has set there: they are logged in to again
 */
export function takeDown(
    declared: Declared,
    {
        only,
        spare = false,
        made = false,
        recorded = [],
        ignoreErrors = false,
        pathless,
    }: {
        only?: readonly string[];
        spare?: boolean;
        made?: boolean;
        recorded?: readonly string[];
        ignoreErrors?: boolean;
        pathless?: string;
    } = {},
): Sh {
    const own =
        declared.protocol === "iscsi" ? sh`${made ? IDLE : raw("idle() { return 1; }")}\n${ISCSI}` : NVME;
    return sh`${begin(declared, pathless)}
failed() { ${ignoreErrors ? raw('echo "passed over: $*" >&2') : raw('fail "$*"')}; }
only=${only === undefined ? "" : ` ${only.join(" ")} `} spare=${spare ? "1" : ""} recorded=${` ${recorded.join(" ")} `}
meant() { case $only in '' | *" $portal "*) return 0 ;; esac; return 1; }
${own}`;
}

const IDLE = sh`${USERS}
${OPEN}
${raw(`# idle BLOCK…: whether nobody has one of them, or what multipathd has made of them.
idle() {
    tops=
    for b; do map_of "$b"; [ -z "$map" ] || tops="$tops $map"; done
    parts_of $tops
    set -- "$@" $tops $parts
    users=$(users_of "$@"; open_of "$@") && [ -z "$users" ]
}`)}`;

const ISCSI = raw(`${ISCSID.text}
if [ -z "$only" ]; then
    for map in $maps; do
        get "/sys/class/block/$map/dm/name" && name=$v || continue
        n=0
        until multipath -f "$name" >/dev/null 2>&1; do
            [ "$n" -lt 30 ] || { failed "the multipath device $name does not go"; break; }
            n=$((n + 1)); sleep 0.1
        done
    done
fi
going=
goes_too() {
    meant || return 0
    for b in "/sys/class/iscsi_session/session$path"/device/target*/*:*:*:"$unit"/block/*; do
        ! get "$b/dev" || going="$going $v"
    done
}
if [ -n "$spare" ]; then
    each_path goes_too
    for map in $maps; do
        becomes_usable "$map" 300 || fail "spare: multipathd uses no other path of /dev/$map"
    done
    going=
fi
# Without the other units their users would lose them; with them the session would not have ended.
alone() {
    meant || return 0
    for d in "/sys/class/iscsi_session/session$path"/device/target*/*:*:*:*; do
        [ ! -d "$d/block" ] || [ "\${d##*:}" = "$unit" ] || fail "others: session $path with $portal leads to unit \${d##*:} of the target, too"
    done
}
[ -z "$only" ] || each_path alone
staying=
remove() {
    meant || return 0
    others=
    for d in "/sys/class/iscsi_session/session$path"/device/target*/*:*:*:*; do
        [ -d "$d/block" ] || continue
        if [ "\${d##*:}" != "$unit" ]; then
            for b in "$d"/block/*; do others="$others \${b##*/}"; done
            continue
        fi
        for b in "$d"/block/*; do
            # Also where a run that was cut short has taken the map away.
            [ -n "$only" ] || { [ "$paths" = one ] && [ -z "$maps" ]; } || multipath -w "/dev/\${b##*/}" >/dev/null 2>&1
            echo 1 > "$d/delete" || failed "/dev/\${b##*/} cannot be removed"
        done
    done
    [ -z "$others" ] || ! idle $others || others=
    [ -z "$others" ] || staying="$staying $portal "
    [ -n "$others" ] || { iscsid_up && iscsiadm -m session -r "$path" --logout >/dev/null; } || failed "$portal: cannot be logged out from"
}
delete_record() { iscsiadm -m node -T "$target" -p "$portal" -o delete >/dev/null; }
each_path remove
for portal in $portals; do
    meant || continue
    whole_record "$portal"
    case $recorded in *" $portal "*) record= ;; esac
    # open-iscsi deletes no record that a session uses; our secrets are in it.
    case $staying in *" $portal "*) delete=drop_record ;; *) delete=delete_record ;; esac
    [ -z "$record" ] || "$delete" || failed "the node record of $portal cannot be deleted"
    # A record with its secrets that was being written when a run was cut short; under the lock, nobody is writing it.
    [ ! -e "$db/.blockhost.new" ] || rm -f -- "$db/.blockhost.new" || failed "$db/.blockhost.new cannot be removed"
done`);

const NVME =
    raw(`# Whether the device is served by a controller of ours that goes, and by one that stays, which the kernel goes over to.
served() {
    own && get "/sys/class/nvme/$path/state" && [ "$v" = live ] || return 0
    for d in "/sys/class/nvme/$path"/nvme*n*; do
        get "$d/nsid" && [ "$v" = "$nsid" ] || continue
        get "$d/ana_state" || v=optimized
        case $v in optimized | non-optimized) ;; *) continue ;; esac
        if meant; then goes=$path; else stays=$path; fi
    done
}
if [ -n "$spare" ]; then
    n=0
    until goes= stays=; each_path served; [ -n "$stays" ] || [ -z "$goes" ]; do
        [ "$n" -lt 300 ] || fail "spare: no other controller serves namespace $nsid of the target"
        n=$((n + 1)); sleep 0.1
    done
fi
remove() {
    meant && own || return 0
    echo 1 > "/sys/class/nvme/$path/delete_controller" || failed "$path cannot be removed"
    n=0
    while [ -e "/sys/class/nvme/$path" ]; do
        [ "$n" -lt 300 ] || { failed "$path does not go"; break; }
        n=$((n + 1)); sleep 0.1
    done
}
each_path remove`);
