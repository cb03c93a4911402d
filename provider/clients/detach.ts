import { type Sh, raw, sh } from "../sh";
import { KNOWING, OPEN, USERS, variables } from "./shell";
import type { Declared } from "./types";

/** Detaching, in an order that loses nothing: nobody uses it, all is written, the device goes, the sessions, the records. */

function begin(declared: Declared): Sh {
    return sh`${variables(declared)}
${KNOWING}
blocks= maps=
collect() {
    blocks="$blocks $block"
    map_of "$block"
    [ -z "$map" ] || case " $maps " in *" $map "*) ;; *) maps="$maps $map" ;; esac
}
each_device collect`;
}

/** Fails with a line on each who has the device. */
export function refuseUsers(declared: Declared): Sh {
    return sh`${begin(declared)}
${USERS}
${OPEN}
[ -n "$blocks" ] || exit 0
users=$(users_of $blocks $maps; open_of $blocks $maps)
[ -z "$users" ] || fail "in-use: $users"`;
}

/** Brings all that was written to the storage host; an error of former writes is told once, by fsync. */
export function flush(declared: Declared, force: boolean): Sh {
    return sh`${begin(declared)}
up() {
    if [ "$protocol" = iscsi ]; then get "/sys/class/iscsi_session/session$path/state"; else get "/sys/class/nvme/$path/state"; fi
    case $v in LOGGED_IN | live) alive=1 ;; esac
}
alive=
each_path up
set -- $maps
[ $# != 0 ] || set -- $blocks
[ $# != 0 ] || exit 0
[ -n "$alive" ] || { ${force ? raw("exit 0") : raw('fail "flush: no path to the device is up"')}; }
for b; do
    dd if=/dev/null of="/dev/$b" conv=notrunc,fsync status=none && blockdev --flushbufs "/dev/$b" || ${force ? raw(":") : raw('fail "flush: /dev/$b cannot be written"')}
done`;
}

/** Takes the device away, logs out, and takes the node records away. What is gone already is fine. */
export function takeDown(
    declared: Declared,
    { only, ignoreErrors = false }: { only?: readonly string[]; ignoreErrors?: boolean } = {},
): Sh {
    const own = declared.protocol === "iscsi" ? ISCSI : NVME;
    return sh`${begin(declared)}
failed() { ${ignoreErrors ? raw('echo "passed over: $*" >&2') : raw('fail "$*"')}; }
only=${only === undefined ? "" : ` ${only.join(" ")} `}
meant() { case $only in '' | *" $portal "*) return 0 ;; esac; return 1; }
${own}`;
}

const ISCSI = raw(`if [ -z "$only" ]; then
    for map in $maps; do
        get "/sys/class/block/$map/dm/name" && name=$v || continue
        n=0
        until multipath -f "$name" >/dev/null 2>&1; do
            [ "$n" -lt 30 ] || { failed "the multipath device $name does not go"; break; }
            n=$((n + 1)); sleep 0.1
        done
    done
fi
remove() {
    meant || return 0
    others=
    for d in "/sys/class/iscsi_session/session$path"/device/target*/*:*:*:*; do
        [ -d "$d/block" ] || continue
        if [ "\${d##*:}" != "$unit" ]; then others=1; continue; fi
        for b in "$d"/block/*; do
            [ -n "$only" ] || [ -z "$maps" ] || multipath -w "/dev/\${b##*/}" >/dev/null 2>&1
            echo 1 > "$d/delete" || failed "/dev/\${b##*/} cannot be removed"
        done
    done
    [ -n "$others" ] || iscsiadm -m session -r "$path" --logout >/dev/null || failed "$portal: cannot be logged out from"
}
each_path remove
for portal in $portals; do
    meant || continue
    whole_record "$portal"
    [ -z "$record" ] || iscsiadm -m node -T "$target" -p "$portal" -o delete >/dev/null || failed "the node record of $portal cannot be deleted"
done`);

const NVME = raw(`remove() {
    meant || return 0
    echo 1 > "/sys/class/nvme/$path/delete_controller" || failed "$path cannot be removed"
    n=0
    while [ -e "/sys/class/nvme/$path" ]; do
        [ "$n" -lt 300 ] || { failed "$path does not go"; break; }
        n=$((n + 1)); sleep 0.1
    done
}
each_path remove`);
