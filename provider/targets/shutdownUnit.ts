import { systemdWord, TARGET_SERVICES } from "./systemd";

/**
 * The systemd unit that stops serving when the host shuts down, and then flushes. Without it a write may be acknowledged
 * and never reach the disk: the kernel's targets serve until the network is gone, a chunk that is new to a thin pool
 * counts only once the pool's metadata is written, and nobody flushes a device that is still held open. An initiator
 * waits through the restart and goes on as though nothing was lost.
 *
 * It is none but one of its own beside the one that makes exports: `ExecStop=` does not run for a unit that was never
 * started, as after the first export of a host, or that has failed, as where one of many devices is missing.
 */

/** Text of the unit. Guests stop before it: they may have the exports by an initiator of their own. */
export function shutdownUnit(header: string, stateDirectory: string): string {
    // Only where the whole system goes down: a restart of the unit, and its removal, must cut nobody. (What
    // is-system-running says tells the same from systemd 246 on only.)
    const stop = `systemctl list-jobs --no-legend | grep -q " shutdown.target *start " || exit 0; exec /bin/sh "$$1"`;
    return `${header}
[Unit]
Description=Exports of pulumi-blockhost, to be flushed at shutdown
After=local-fs.target remote-fs.target network.target
After=lvm2-monitor.service blk-availability.service sys-kernel-config.mount
After=${TARGET_SERVICES}
Before=libvirt-guests.service pve-guests.service
RequiresMountsFor=${systemdWord(stateDirectory)}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStopSec=1min
ExecStart=/bin/true
ExecStop=/bin/sh -c '${stop}' sh ${systemdWord(`${stateDirectory}/shutdown-exports`)}
`;
}

/**
 * Takes exports off the network, and flushes their devices. (tgtd would end by itself, but Debian's unit has it go
 * offline first, and initiators take that for an error of the disk.)
 *
 * Hosts must hear what makes them try again. Of iSCSI that is that nobody listens: tgtd closes what it has just accepted
 * while it has no target, and when it ends, LIO whatever logs in on a portal while any portal group on it ends, and an
 * open-iscsi that meets this between two of its steps never logs in again (open-iscsi/open-iscsi#387; tried). So portals
 * go first; where others are on them, too, LIO then says that the target is not there for now. Of a port of nvmet's that
 * has nothing more it is that the connection is refused, but of one that has another's subsystem that there is no such
 * subsystem, and they give up for good. So such a port keeps ours, which are flushed. So is what this host itself has
 * attached: its file systems may be unmounted after this.
 *
 * Whatever waits for a device, each has a process of its own: one that does not answer holds up no other.
 */
export const SHUTDOWN_SCRIPT = `#!/bin/sh
# pulumi-blockhost: stops serving when the host shuts down, and flushes.
dir=\${0%/*}
# The state directory may not be written any more.
command exec 9>>"$dir/lock" && flock -w 10 9
cd /sys/kernel/config 2>/dev/null || cd /
attached=" $(cat /sys/class/iscsi_session/*/targetname /sys/class/nvme/*/subsysnqn 2>/dev/null | tr '\\n' ' ')"
lines() { grep -hs -e '^#bh target ' -e '^#bh declared ' -e '^#bh roots ' -e '^#bh device ' "$dir"/exports/*/*; }
ours=" $(lines | grep -v '^#bh declared ' | tr '\\n' ' ')"
set --
for port in nvmet/ports/*; do
    found=
    for link in "$port"/subsystems/*; do
        name=\${link##*/}
        case $attached in *" $name "*) continue 2 ;; esac
        case $ours in *" subsystems/$name "*) found="$found $link" ;; *) continue 2 ;; esac
    done
    set -- "$@" $found
done
[ $# = 0 ] || rm -f -- "$@"
began=$(date +%s)
# Waits for a process, but no longer than until so many seconds after the beginning.
await() {
    while kill -0 "$1" 2>/dev/null && [ $(($(date +%s) - began)) -lt "$2" ]; do
        sleep 0.2 2>/dev/null || sleep 1
    done
}
set --
for portal in target/iscsi/*/tpgt_*/np/*; do
    name=\${portal#target/iscsi/}
    name=\${name%%/*}
    case $attached in *" $name "*) continue ;; esac
    case $ours in *" iscsi/$name "*)
        rmdir -- "$portal" 9>&- 2>/dev/null &
        set -- "$@" $!
        ;;
    esac
done
for process; do await "$process" 10; done
disable() {
    for root in $1; do
        case $root in iscsi/*) ;; *) continue ;; esac
        case $attached in *" \${root#iscsi/} "*) continue ;; esac
        for group in "target/$root"/tpgt_*/enable; do
            [ ! -e "$group" ] || echo 0 > "$group"
        done
    done
}
# The kernel may wait without end for a login that does not go on.
stop() {
    disable "$1" &
    await $! 20
    sync -- "$2"
}
# A tgtd that does not answer is given up after 25 seconds in all, so that there is time to flush what it has served.
tgt() {
    left=$((began + 25 - $(date +%s)))
    [ "$left" -gt 0 ] && timeout "$left" tgtadm -C "$port" --lld iscsi "$@" </dev/null
}
# Connections first: while a command is under way tgtd refuses to delete its target, whatever is forced.
end() {
    while connections=$(tgt --mode conn --op show --tid "$1" 2>/dev/null); do
        printf '%s\\n' "$connections" | while read -r word number; do
            case $word in
                Session:) sid=$number ;;
                Connection:) tgt --mode conn --op delete --tid "$1" --sid "$sid" --cid "$number" ;;
            esac
        done
        ! tgt --mode target --op delete --force --tid "$1" 2>/dev/null || break
        sleep 0.2 2>/dev/null || sleep 1
    done
}
# Closes our targets of the tgtd with this control port. What an initiator calls itself is in the list, too, and might
# look like a target: what is there twice is none.
close() {
    shown=$(tgt --mode target --op show) || return
    printf '%s\\n' "$shown" | {
        mine= others= seen=' ' twice=' '
        while read -r word tid name; do
            [ "$word" = Target ] || continue
            case $seen in *" $tid "* | *" $name "*) twice="$twice$tid $name " ;; esac
            seen="$seen$tid $name "
            case $attached in *" $name "*) others=1; continue ;; esac
            case $ours in *" $name "*) mine="$mine $tid$name" ;; *) others=1 ;; esac
        done
        [ -n "$mine" ] || return
        [ -n "$others" ] || tgt --mode portal --op show | while read -r word portal; do
            tgt --mode portal --op delete --param "portal=\${portal%,*}"
        done
        for one in $mine; do
            case $twice in *" \${one%%:*}: "* | *" \${one#*:} "*) continue ;; esac
            end "\${one%%:*}" &
        done
        wait
    }
}
stop_tgtd() {
    port=$1
    close
    printf %s "$served" | {
        while IFS= read -r line; do
            case $line in "$port "*) sync -- "\${line#* }" & ;; esac
        done
        wait
    }
}
lines | {
    root= port= served=
    while IFS= read -r line; do
        case $line in
            '#bh declared '*'"controlPort":'*) port=\${line#*'"controlPort":'} port=\${port%%[!0-9]*} ;;
            '#bh roots '*) root=\${line#'#bh roots '} ;;
            '#bh device '*)
                device=\${line#'#bh device '}
                if [ -n "$port" ]; then
                    served="$served$port $device
"
                else
                    stop "$root" "$device" 9>&- &
                fi
                root= port=
                ;;
        esac
    done
    for port in $(printf %s "$served" | cut -d ' ' -f 1 | sort -u); do stop_tgtd "$port" 9>&- & done
    wait
}`;
