import { type Sh, raw, sh } from "../sh";
import { bootDirectory } from "../targets/boot";
import { unitInstalled } from "./bootUnit";

/** Stock tools that attachments need, with the Debian package of each; which of them depends on the protocol. */
export const CLIENT_TOOLS: Readonly<Record<string, string>> = {
    iscsiadm: "open-iscsi",
    multipath: "multipath-tools",
    multipathd: "multipath-tools",
    udevadm: "udev",
    blockdev: "util-linux",
};

/**
 * Reads what the host is as a client, always whole: there are few attachments, and what they have in common (sessions,
 * devices) cannot be told apart before it is read. Where nothing is attached, it starts no process. A line each; files
 * end with `end`.
 */
export function observeClient(stateDirectory: string): Sh {
    return sh`dir=${bootDirectory(stateDirectory, "attachment")}
${unitInstalled(stateDirectory)}
${OBSERVE}`;
}

const OBSERVE = raw(`# As the kernel shows a parameter of a session, which may be none.
word() {
    v=
    { IFS= read -r v < "$1"; } 2>/dev/null || return
    case $v in '(null)' | '<NULL>') v= ;; esac
}
get() { v=; [ -r "$1" ] && { read -r v < "$1"; } 2>/dev/null; [ -n "$v" ]; }
if [ -r /etc/iscsi/initiatorname.iscsi ]; then
    # As iscsid reads it (usr/iscsi_util.c): anywhere before a comment; the first that has a value counts, see parse.ts.
    while read -r v; do
        case \${v%%#*} in *InitiatorName*=*) v=\${v#*InitiatorName}; echo "iqn \${v#*=}" ;; esac
    done < /etc/iscsi/initiatorname.iscsi
fi
! get /etc/nvme/hostnqn || echo "nqn $v"
nqn=$v
! get /etc/nvme/hostid || echo "hostid $v"
if get /run/multipathd.pid && get "/proc/$v/comm" && [ "$v" = multipathd ]; then echo multipathd; fi
! get /sys/module/nvme_core/parameters/multipath || echo "native $v"
for s in /sys/class/iscsi_session/session*; do
    get "$s/targetname" || continue
    target=$v n=\${s##*/session}
    c=/sys/class/iscsi_connection/connection$n:0
    get "$s/state"; state=$v
    get "$c/persistent_address"; address=$v
    get "$c/persistent_port"
    echo "session $n $state $address $v $target"
    # What it logs in with again after a lost connection: what it began with, whatever the node record says by now.
    if [ -d "$dir" ] && word "$s/username" && user=$v && word "$s/password"; then
        password=$v
        if [ -z "$user" ]; then echo "auth $n none"
        elif word "$s/username_in" && in=$v && word "$s/password_in"; then
            auth=$({
                printf 'node.session.auth.%s = %s\\n' authmethod CHAP username "$user" password "$password"
                [ -z "$in" ] || printf 'node.session.auth.%s = %s\\n' username_in "$in" password_in "$v"
            } | sha256sum)
            echo "auth $n \${auth%% *}"
        fi
    fi
    for d in "$s"/device/target*/*:*:*:*; do
        [ -d "$d/block" ] || continue
        get "$d/wwid"; wwid=$v
        for b in "$d"/block/*; do
            get "$b/size"
            echo "disk $n \${d##*:} \${b##*/} \${v:-0} $wwid"
            if [ -d "$dir" ] && [ -r "$d/vpd_pg80" ]; then echo "serial \${b##*/} $(tail -c +5 "$d/vpd_pg80" 2>/dev/null | tr -d '\\000 ')"; fi
            for h in "$b"/holders/dm-*; do
                get "$h/dm/uuid" || continue
                case $v in mpath-*) uuid=$v; get "$h/size"; echo "map \${b##*/} \${h##*/} $v $uuid" ;; esac
            done
        done
    done
done
for s in /sys/class/nvme/nvme*; do
    get "$s/transport" && [ "$v" = tcp ] && get "$s/subsysnqn" || continue
    target=$v
    get "$s/state"; state=$v
    get "$s/address"; address=\${v#*traddr=} port=\${v#*trsvcid=}
    keys=-
    # Of one that somebody has connected under another name, or from a certain address, the keys are not ours.
    case $v in
    *,host_traddr=* | *,host_iface=*) keys=by: ;;
    *) ! get "$s/hostnqn" || [ "$v" = "$nqn" ] || keys=by:$v ;;
    esac
    if [ "$keys" != - ]; then :
    elif [ -d "$dir" ] && [ -r "$s/dhchap_secret" ]; then
        get "$s/dhchap_secret"; key=\${v:-none}
        get "$s/dhchap_ctrl_secret"
        controller_key=\${v:-none}
        keys=$(printf '%s\\n%s\\n' "$key" "$controller_key" | sha256sum)
        keys=\${keys%% *}
    fi
    echo "controller \${s##*/} $state \${address%%,*} \${port%%,*} $keys $target"
done
for b in /sys/block/nvme*n*; do
    case \${b##*/} in nvme*c*n*) continue ;; esac
    get "$b/device/subsysnqn" && target=$v && get "$b/nsid" || continue
    nsid=$v
    get "$b/size"; size=\${v:-0}
    get "$b/uuid"; uuid=\${v:--}
    get "$b/wwid"
    echo "namespace \${b##*/} $nsid $size $uuid $v $target"
done
[ -d "$dir" ] || exit 0
# A multipath device whose sessions have all ended keeps what was written to it until they are back.
for m in /sys/block/dm-*; do
    get "$m/dm/uuid" && uuid=$v || continue
    case $uuid in mpath-*) ;; *) continue ;; esac
    for b in "$m"/slaves/*; do [ -e "$b" ] || echo "pathless $uuid"; done
done
for file in "$dir"/*; do
    [ -f "$file" ] || continue
    echo "attachment \${file##*/}"
    target=
    while IFS= read -r line; do
        case $line in
        '#bh '*) printf '%s\\n' "$line"; case $line in '#bh target '*) target=\${line#'#bh target '} ;; esac ;;
        '#'*) ;;
        *) break ;;
        esac
    done < "$file"
    echo end
    case $target in iqn.* | eui.* | naa.*) ;; *) continue ;; esac
    for f in /etc/iscsi/nodes/"$target"/*,* /etc/iscsi/nodes/"$target"/*,*/* /var/lib/iscsi/nodes/"$target"/*,* /var/lib/iscsi/nodes/"$target"/*,*/*; do
        [ -f "$f" ] || continue
        portal=\${f#*"/nodes/$target/"}
        portal=\${portal%%/*}
        startup=$(sed -n 's/^node\\.startup = //p' "$f")
        auth=$(grep -e '^node\\.session\\.auth\\.[a-z]*name' -e '^node\\.session\\.auth\\.password' -e '^node\\.session\\.auth\\.authmethod' "$f" | sha256sum)
        echo "record $target $portal \${startup:--} \${auth%% *}"
    done
done`);
