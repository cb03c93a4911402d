import { noteApplied } from "../targets/boot";
import { Sh, joined, quote, raw, sh } from "../sh";
import { authLines, refuseUnfit } from "./connection";
import { ISCSID, KNOWING, variables } from "./shell";
import type { Credentials, Declared } from "./types";

/**
 * The boot file's script. Run alone it does everything; with a word, just that stage: `records`, `login` (a first
 * attempt's, over all portals or it fails), `again` (any other), `device`, `applied`. What is so already is left alone. Secrets go from here into
 * files and into the kernel, by the shell itself: on no command line, in no environment.
 *
 * @throws BlockhostError `invalid`: {@link refuseUnfit}
 */
export function body(declared: Declared, credentials: Credentials, sizeBytes: number, file: string): Sh {
    refuseUnfit(credentials);
    const own = declared.protocol === "iscsi" ? iscsi(credentials) : nvme(credentials);
    return sh`${variables(declared)}
size=${sizeBytes}
${KNOWING}
${COMMON}
stage=\${1-all}
${own}
missing=
case $stage in login) login wait ;; again | all) login ;; esac
case $stage in device) device wait ;; all) device ;; esac
case $stage in again) exit 0 ;; esac
[ -z "$missing" ] || exit 1
case $stage in applied | all) ${noteApplied(file)} ;; esac`;
}

// Words before a colon are what errors are told by: see explain.ts.
const COMMON = raw(`has() { case " $found " in *" $1 "*) return 0 ;; esac; return 1; }
note_path() { ! ours || found="$found $portal"; }
note_device() {
    devices="$devices $block"
    [ -z "$first" ] || [ "$wwid" = "$first" ] || fail "identity: its paths do not lead to one device: /dev/$block is $wwid, another one $first"
    first=$wwid
    known "$block"
}
connect() {
    found=
    each_path note_path
    ready || return
    status=0 kept=0
    for portal in $portals; do
        if has "$portal"; then
            # One that cannot be reached now is no reason to leave the others as they are.
            ( keep "$portal" ) || kept=$?
        elif [ "$paths" = all ] || [ -z "$found" ]; then
            enter "$portal"
            case $? in
            0) found="$found $portal" ;;
            3) exit 3 ;;
            # The other portals may well be there: then the device is, too.
            *) status=1 ;;
            esac
        fi
    done
    [ "$kept" = 0 ] || exit "$kept"
    [ -n "$found" ] || exit $status
    if [ "$paths" = one ]; then each_portal unused; return; fi
    [ "$status" = 0 ] || exit $PARTLY
}
PARTLY=4
each_portal() { for portal in $portals; do "$@" || return; done; }
# Asked to wait, it is an error that a portal does not answer. Else what there is is set up first; then that is an error of
# the device's stage, and at boot the rest is tried again.
login() {
    ( connect )
    status=$?
    private
    case $status/\${1-} in
    0/*) ;;
    "$PARTLY/") missing=1 ;;
    "$PARTLY"/*) exit 1 ;;
    *) exit "$status" ;;
    esac
}
look() { devices= first=; each_device note_device; }
link() {
    case $protocol/$first in
    iscsi/naa.* | iscsi/eui.*) link=/dev/disk/by-id/wwn-0x\${first#*.} ;;
    nvme-tcp/*) link=/dev/disk/by-id/nvme-$first ;;
    *) link=/dev/$1 ;;
    esac
}
# Half a minute: a controller that has lost its connection tries again every ten seconds. Asked to wait, a minute more where
# no path is up: TCP tries again after up to half a minute.
device() {
    n=0
    until look; live && [ -n "$devices" ]; do
        patience=300
        [ "$up" != 0 ] || [ -z "\${1-}" ] || patience=900
        if [ "$n" -ge "$patience" ]; then
            [ "$up" != 0 ] || [ -z "$down" ] || still_down "$down"
            fail "missing: no device has appeared, though the client is logged in"
        fi
        [ "$((n % 50))" != 10 ] || scan
        n=$((n + 1)); sleep 0.1
    done
    # Paths that are down come back by themselves. At boot they are not waited for: others are to be attached.
    [ -z "\${1-}" ] || all_up
    later=\${1:+$down} absent=
    [ -z "\${1-}" ] || [ "$paths" = one ] || { found=; each_path note_path; each_portal note_absent; }
    set -- $devices
    grow "$@"
    udevadm settle -t 10 2>/dev/null
    join "$@"
    link "$1"
    n=0
    until [ -b "$link" ]; do
        [ "$n" -lt 100 ] || fail "missing: udev has not made $link"
        n=$((n + 1)); sleep 0.1
    done
    [ -z "$absent" ] || echo "unreachable:$absent (the client is not logged in there)" >&2
    [ -z "$later" ] || still_down "$later"
    [ -z "$absent" ] || exit 1
}
still_down() { fail "unreachable:$1 (the client goes on trying)"; }
note_absent() { has "$portal" || absent="$absent $portal"; }
all_up() {
    n=0
    until look; live && [ -z "$down" ]; do
        [ "$n" -lt 600 ] || break
        n=$((n + 1)); sleep 0.1
    done
}
# Into $up how many paths are, into $down the portals of those that are not.
count_paths() { up=0 down=; each_path count_path; }
count_path() {
    ours || return 0
    path_state
    case $v in LOGGED_IN | live) up=$((up + 1)) ;; *) down="$down $portal" ;; esac
}
sectors() { get "/sys/class/block/$1/size" || v=0; }
`);

function iscsi(credentials: Credentials): Sh {
    const lines = authLines(credentials);
    return sh`auth() { printf %s ${new Sh(quote(lines), "***")}; }
${ISCSI}`;
}

// A record is made by iscsiadm and completed here, since that takes passwords on its command line only (pitfall 32).
const ISCSI = raw(`${ISCSID.text}
ready() {
    [ -d /sys/module/iscsi_tcp ] || modprobe iscsi_tcp || fail "module: iscsi_tcp is not there, or does not load"
    iscsid_up || exit 1
}
file_record() {
    whole_record "$1"
    [ -n "$record" ] || { iscsiadm -m node -o new -T "$target" -p "$1" >/dev/null || return; records "$1"; }
    [ -n "$record" ] || fail "open-iscsi has made no node record for $1"
    [ "$(grep -e '^node\\.session\\.auth\\.[a-z]*name' -e '^node\\.session\\.auth\\.password' -e '^node\\.session\\.auth\\.authmethod' -e '^node\\.startup' "$record")" != "$(printf '%s\\n' 'node.startup = automatic'; auth)" ] || return 0
    umask 077
    { grep -v -e '^node\\.startup' -e '^node\\.conn\\[0\\]\\.startup' -e '^node\\.session\\.initial_login_retry_max' \\
        -e '^node\\.session\\.auth\\.\\(authmethod\\|username\\|password\\|username_in\\|password_in\\) ' -e '^# END' "$record" &&
    printf '%s\\n' 'node.startup = automatic' 'node.conn[0].startup = automatic' 'node.session.initial_login_retry_max = 2' &&
    auth && echo '# END RECORD'; } > "$db/.blockhost.new" && sync "$db/.blockhost.new" && mv "$db/.blockhost.new" "$record"
}
# open-iscsi logs in to every portal that it has a record of, at boot: one more path, which nobody would join.
unused() {
    ! has "$portal" || return 0
    whole_record "$portal"
    [ -z "$record" ] || iscsiadm -m node -T "$target" -p "$portal" -o delete >/dev/null || :
}
# A session that runs logs in again with what it began with, whatever the record says: plan.ts ends it.
keep() { file_record "$1"; }
# Of a target that is gone LIO says "service unavailable", upon which open-iscsi asks again until its time is over, and
# then fails as though it had been refused, or as though nobody had answered (5 or 8), as chance will have it. False: the
# portal answers, and shows no such target. At boot nobody reads it, and others are waiting.
shown() {
    [ "$stage" != all ] || return 0
    v=$(timeout 20 iscsiadm -m discovery -t st -p "$1" -o nonpersistent 2>/dev/null)
    case $? in 0 | 21) ;; *) return 0 ;; esac
    for v in $v; do [ "$v" != "$target" ] || return 0; done
    false
}
enter() {
    records "$1"
    was=$record
    file_record "$1" || return
    iscsiadm -m node -T "$target" -p "$1" --login >/dev/null
    s=$?
    case $s in
    0 | 15) return 0 ;;
    24) echo "auth: $1 refuses $initiator" >&2 ;;
    20) iscsid_absent ;;
    19) echo "auth: $1 could not prove what it is to $initiator, or does not know it" >&2 ;;
    # Another portal may serve it, or this one a moment later.
    *)
        if [ "$s" != 5 ] && shown "$1"; then echo "unreachable: $1 (open-iscsi: $s)" >&2
        else echo "auth: $1 refuses $initiator, or does not know $target (open-iscsi: $s)" >&2; fi ;;
    esac
    [ -n "$was" ] || [ "$paths" = all ] || iscsiadm -m node -T "$target" -p "$1" -o delete >/dev/null 2>&1
    case $s in 24 | 20 | 19) return 3 ;; *) return 1 ;; esac
}
ours() { :; }
# The kernel shows them to root only.
private() { :; }
scan_one() { iscsiadm -m session -r "$path" --rescan >/dev/null; }
scan() { each_path scan_one; }
path_state() { get "/sys/class/iscsi_session/session$path/state"; }
live() {
    count_paths
    set -- $devices
    [ "$up" -gt 0 ] && { [ "$paths" = one ] || [ $# -ge "$up" ]; }
}
known() {
    [ -n "$serial" ] || return 0
    v=$(tail -c +5 "$node/vpd_pg80" | tr -d '\\000 ')
    [ "$v" = "$serial" ] || fail "identity: /dev/$block has the serial number $v, not $serial"
}
grow() {
    for b; do
        sectors "$b"
        [ "$((v * 512))" -ge "$size" ] || echo 1 > "/sys/class/block/$b/device/rescan"
        sectors "$b"
        [ "$((v * 512))" -ge "$size" ] || fail "size: /dev/$b has $((v * 512)) bytes, not $size"
    done
}
join() {
    [ "$paths" = one ] || join_all "$@"
    # multipathd may have taken a device with one path, too.
    for b; do
        map_of "$b"
        [ -z "$map" ] || grow_map
    done
}
join_all() {
    for b; do
        map_of "$b"
        [ -n "$map" ] || { multipath -a "/dev/$b"; multipathd add path "$b"; } >/dev/null 2>&1
    done
    n=0
    for b; do
        until map_of "$b"; [ -n "$map" ]; do
            [ "$n" -lt 100 ] || fail "multipath: multipathd has made no device of /dev/$b"
            n=$((n + 1)); sleep 0.1
        done
    done
    becomes_usable "$map" 300 || fail "multipath: multipathd uses no path of /dev/$map"
}
grow_map() {
    sectors "$map"
    [ "$((v * 512))" -ge "$size" ] || { get "/sys/class/block/$map/dm/name"; multipathd resize map "$v" >/dev/null; }
    sectors "$map"
    [ "$((v * 512))" -ge "$size" ] || fail "size: multipath has left /dev/$map at $((v * 512)) bytes"
}
refresh() { records "$portal"; [ -z "$record" ] || file_record "$portal"; }
case $stage in records) ready && each_portal refresh || exit ;; esac`);

function nvme({ key, controllerKey }: Credentials): Sh {
    const options = [
        ...(key === undefined ? [] : [sh`,dhchap_secret=${key}`]),
        ...(controllerKey === undefined ? [] : [sh`,dhchap_ctrl_secret=${controllerKey}`]),
    ];
    const all = joined(options);
    return sh`keys() { printf %s ${all.text === "" ? "" : all}; }
key=${key ?? ""} controller_key=${controllerKey ?? ""}
${NVME}`;
}

const NVME = raw(`ready() {
    [ -e /dev/nvme-fabrics ] && [ -d /sys/module/nvme_tcp ] || modprobe nvme_tcp ||
        fail "module: nvme_tcp is not there, or does not load"
    get /etc/nvme/hostnqn || fail "initiator: there is no /etc/nvme/hostnqn"
    nqn=$v
    get /etc/nvme/hostid || fail "initiator: there is no /etc/nvme/hostid"
    hostid=$v
    # What it lists are the options that it takes; before Linux 5.17 it cannot be read, and takes no keys.
    [ -z "$key" ] || { get /dev/nvme-fabrics && case $v in *dhchap_secret=*) ;; *) false ;; esac; } ||
        fail "no-keys: /dev/nvme-fabrics takes none"
}
holds() { get "/sys/class/nvme/$path/$1"; [ "$v" != none ] || v=; [ "$v" = "$2" ]; }
fits() { holds dhchap_secret "$key" && holds dhchap_ctrl_secret "$controller_key"; }
ours() { own; }
successor() { [ "$portal" != "$wanted" ] || ! own || ! fits || next=$path; }
# Whether a controller serves a namespace, or cannot serve it at that portal, like the former.
serves() {
    for d in "/sys/class/nvme/$1"/nvme*c*n"\${2##*n}"; do
        get "$d/nsid" || continue
        get "$d/ana_state" || return 0
        case $v in optimized | non-optimized) return 0 ;; esac
        get "$2/ana_state" && case $v in optimized | non-optimized) return 1 ;; esac
        return 0
    done
    return 1
}
# All that the former shows, others' namespaces too, has to be there, and ours in any case.
carries() {
    get "/sys/class/nvme/$1/state" && [ "$v" = live ] || return
    seen=
    for d in "/sys/class/nvme/$1"/nvme*c*n*; do get "$d/nsid" && [ "$v" = "$unit" ] && seen=1; done
    [ -n "$seen" ] || return
    for o in "/sys/class/nvme/$former"/nvme*c*n*; do [ ! -d "$o" ] || serves "$1" "$o" || return; done
}
# Other keys come with another controller, which is there before the former goes: the kernel goes over to it, and who uses
# the device does not notice. To write them into the one that is there (dhchap_secret, dhchap_ctrl_secret) is no way, were
# it for keys that neither come nor go: after each the kernel proves itself anew, with only one of the two exchanged it
# fails, and has lost its connection for ten seconds at least, and at times until the host is started again (Linux 6.12).
rekey() {
    [ "$portal" = "$wanted" ] && own || return 0
    ! fits || return 0
    get /sys/module/nvme_core/parameters/multipath && [ "$v" = Y ] ||
        fail "keys: the kernel does not join NVMe paths, and $path is connected to $wanted with others than those declared"
    former=$path next=
    each_path successor
    if [ -z "$next" ]; then
        enter "$wanted" ,duplicate_connect || exit
        each_path successor
        [ -n "$next" ] || fail "keys: there is no controller with those declared at $wanted"
    fi
    n=0
    until carries "$next"; do
        [ "$n" -lt 300 ] || fail "keys: the controller with those declared at $wanted, $next, does not show the device"
        n=$((n + 1)); sleep 0.1
    done
    # One whose name the other has taken over has gone by itself.
    [ "$next" = "$former" ] || let_go
}
let_go() {
    { echo 1 > "/sys/class/nvme/$former/delete_controller"; } 2>/dev/null || [ ! -e "/sys/class/nvme/$former" ] ||
        fail "keys: $former, which $next has taken the place of, does not go"
}
# A run that is killed while the kernel connects leaves a second controller with the same keys: one is enough.
single() {
    [ "$portal" = "$wanted" ] && own && fits && get "/sys/class/nvme/$path/state" || return 0
    case $v in deleting*) return 0 ;; esac
    [ -n "$next" ] || { next=$path; return 0; }
    former=$path
    carries "$next" || { former=$next next=$path; carries "$next"; } || return 0
    let_go
}
unused() { :; }
keep() { wanted=$1; each_path rekey; next=; each_path single; portal=$wanted; }
# It is not made where the kernel has none: keys would go into a file.
enter() {
    a=\${1%:*} p=\${1##*:}
    a=\${a#[} a=\${a%]}
    said=$({ printf %s "nqn=$target,transport=tcp,traddr=$a,trsvcid=$p,hostnqn=$nqn,hostid=$hostid,ctrl_loss_tmo=-1\${2-}"; keys; } |
        LC_ALL=C dd of=/dev/nvme-fabrics bs=4096 conv=nocreat iflag=fullblock status=none 2>&1) && return
    case $said in
    *"Operation already in progress"*) return 0 ;;
    *"ermission denied"* | *"Key was rejected"* | *"not permitted"* | *"Required key"*) echo "auth: $1 refuses $nqn ($said)" >&2; return 3 ;;
    # Whatever status the target answers with, or none for a minute.
    *"Input/output error"*) echo "auth: $1 refuses $nqn, or does not know $target ($said)" >&2 ;;
    *"Invalid argument"*) echo "parameters: the client's kernel does not take those of $1 ($said)" >&2 ;;
    *) echo "unreachable: $1 ($said)" >&2 ;;
    esac
    return 1
}
# The kernel lets everybody on the client read the keys of a controller.
hide() { ! own || for f in "/sys/class/nvme/$path"/dhchap_*secret; do [ ! -e "$f" ] || secrets="$secrets $f"; done; }
private() {
    secrets=
    get /etc/nvme/hostnqn && nqn=$v
    [ -z "$key" ] || each_path hide
    [ -z "$secrets" ] || chmod 0600 $secrets
}
scan_one() { echo 1 > "/sys/class/nvme/$path/rescan_controller"; }
scan() { each_path scan_one; }
path_state() { get "/sys/class/nvme/$path/state"; }
live() { count_paths; [ "$up" -gt 0 ]; }
known() {
    [ -z "$uuid" ] || { get "$node/uuid"; [ "$v" = "$uuid" ]; } || fail "identity: /dev/$block is namespace $v, not $uuid"
}
grow() {
    for b; do
        n=0
        until sectors "$b"; [ "$((v * 512))" -ge "$size" ]; do
            [ "$n" != 0 ] || scan
            [ "$n" -lt 50 ] || fail "size: /dev/$b has $((v * 512)) bytes, not $size"
            n=$((n + 1)); sleep 0.1
        done
    done
}
join() { :; }`);
