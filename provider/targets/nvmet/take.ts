import { joined, raw, type Sh, sh } from "../../sh";
import { GUARD_FAILED } from "../../host/plan";
import type { Live } from "../configfs/model";
import { TAKING } from "../configfs/shell";
import { parsePortal } from "../portal";
import { hexPorts, socketPattern } from "../configfs/sections";
import { unsetLast } from "./keys";
import { NAMESPACE, nqnOf, type NvmetDeclared, type NvmetExport, type NvmetRef, ROOT } from "./model";
import { madeDirectory } from "./observe";
import { ARRIVED, ASKS, connected, LEFT, portalsOf, tcpPorts, TOLD } from "./own";

/**
 * What takes objects of an export away; all of it runs in nvmet's directory. A subsystem that leaves its ports ends its
 * connections; hosts hold their I/O back and try again every ten seconds, for ten minutes.
 */
export function leavePorts(declared: NvmetDeclared): Sh {
    return sh`${TAKING}
${tell(TOLD.asks, declared)}
unlink ports/*/subsystems/${nqnOf(declared)} || exit
${tell(TOLD.left, declared)}`;
}

/**
 * The kernel's log tells who came, not who went. So that those who did do not count for ever, it is to tell that, too: of
 * whom had come before it was asked whether anybody is there.
 */
function tell(what: string, declared: NvmetDeclared): Sh {
    return sh`{ echo ${`<6>${what}${nqnOf(declared)}`} >> /dev/kmsg; } 2>/dev/null`;
}

/** Of an export that has had no connection: those who had one before the last host was ceased to admit have gone. */
export function noteIdle(declared: NvmetDeclared, live: Live): Sh {
    const portals = portalsOf(declared, live);
    return sh`${tell(TOLD.asks, declared)}
${portals.length === 0 ? raw("") : sh`${anyConnection(portals)} || `}${tell(TOLD.left, declared)}`;
}

/** Leaves one port, if the export is the only one there: what is to be done then would take it from the others, too. */
export function leavePort(declared: NvmetDeclared, path: string): Sh {
    const others = `other subsystems are on it: take all off by hand (rm ${ROOT}/${path}/subsystems/*), which ends their connections, then run the same again`;
    return sh`${TAKING}
for l in ${path}/subsystems/*; do
    [ ! -L "$l" ] || [ "\${l##*/}" = ${nqnOf(declared)} ] || { echo ${`nvmet lets a port be changed only while nothing is on it. Somebody has changed ${path}, and ${others}`} >&2; exit 1; }
done
unlink ${path}/subsystems/${nqnOf(declared)} || exit`;
}

/** Ends connections and closes the device, whose identity can then change. */
export function closeNamespace(declared: NvmetDeclared): Sh {
    const enable = `${declared.subsystem}/namespaces/${String(NAMESPACE)}/enable`;
    return sh`${leavePorts(declared)}
[ ! -e ${enable} ] || printf 0 > ${enable} || exit`;
}

/**
 * The subsystem and all that is its own, with one process for links and one for directories.
 *
 * @param idle Shell text that sets "$@" to what shall go with it.
 */
export function removeSubsystem(declared: NvmetDeclared, idle: Sh = raw("set --")): Sh {
    return sh`${TAKING}
n=${declared.subsystem}
unlink ports/*/"$n" "$n"/allowed_hosts/* "$n"/allowed_hosts/.[!.]* || exit
for e in "$n"/namespaces/*/enable; do [ ! -e "$e" ] || printf 0 > "$e" || exit; done
${idle}
remove "$n"/namespaces/* "$n" "$@" || [ ! -d "$n" ] || exit`;
}

/** All of it, and what it leaves to nobody. */
export function takeDown(target: NvmetRef, before: NvmetExport, others: readonly NvmetExport[]): Sh {
    return sh`${removeSubsystem(before.declared, idle(target, before))}
${FORGET}${unsetLast(target, before, others, true)}`;
}

/** Takes away what a change has left to nobody. */
export function sweep(target: NvmetRef, before: NvmetExport, others: readonly NvmetExport[]): Sh {
    return sh`${idle(target, before)}
[ $# = 0 ] || rmdir -- "$@" 2>/dev/null
${FORGET}${unsetLast(target, before, others, false)}`;
}

/**
 * Sets "$@" to hosts and ports that we made and that nothing links to any more. Those that this export has or had are
 * looked at, and, as far as all was read, those that nothing linked to then: an earlier run may have been cut short before
 * it came to them; and notes of what is gone.
 */
function idle(target: NvmetRef, before: NvmetExport): Sh {
    return sh`made=${madeDirectory(target)}
set --
for d in ${sharedHosts(before)} ports/*; do
    [ -e "$made/$d" ] || continue
    for l in "$d"/subsystems/* subsystems/*/allowed_"$d"; do [ ! -L "$l" ] || continue 2; done
    set -- "$@" "$d"
done
for f in "$made"/hosts/* "$made"/ports/*; do d=\${f#"$made/"}; [ ! -e "$f" ] || [ -d "$d" ] || set -- "$@" "$d"; done`;
}

/** The kernel keeps those that somebody has linked to meanwhile. */
const FORGET = raw(`for d; do shift; [ -d "$d" ] || set -- "$@" "$made/$d"; done
[ $# = 0 ] || rm -f -- "$@"`);

function sharedHosts({ declared, live: { tree } }: NvmetExport): string[] {
    const admitted = (subsystem: string) => tree.children(`${subsystem}/allowed_hosts`);
    const linked = new Set(tree.children("subsystems").flatMap((name) => admitted(`subsystems/${name}`)));
    const idle = tree.children("hosts").filter((name) => !linked.has(name));
    const names = new Set([...declared.initiators, ...admitted(declared.subsystem), ...idle]);
    return [...names].map((name) => `hosts/${name}`);
}

/**
 * Ends the script, to observe and plan again, if a host other than those that are known has connected since. That is seen
 * in the kernel's log, where that goes back far enough to tell who was there before.
 */
export function guard({ declared, sessions, live }: NvmetExport): Sh {
    // In a name, only dots mean something to a regular expression.
    const nqn = nqnOf(declared).replaceAll(".", "[.]");
    const arrived = `${ARRIVED}${nqn} for NQN `;
    if (sessions.length === 0) {
        // Without any connection to its ports there is nothing to read the log for, which takes longer. In the log, those
        // that have gone again are as well.
        const pattern = new RegExp(arrived);
        const seen = live.sections.lines("log").filter((line) => pattern.test(line)).length;
        // Nobody is connected on a port that nvmet does not have; what else listens there is not our concern.
        const there = new Set(tcpPorts(live.tree).map(({ portal }) => portal));
        const portals = portalsOf(declared, live).filter((portal) => there.has(portal));
        if (portals.length === 0) return raw("");
        return sh`! ${anyConnection(portals)} || [ "$(dmesg 2>/dev/null | grep -cE ${arrived})" = ${seen} ] || exit ${GUARD_FAILED}`;
    }
    if (live.sections.derived(connected) === undefined) return raw("");
    const names = [...new Set(sessions.map(({ initiator }) => initiator))];
    const passes = joined(names.map((name) => sh`${name}) ;; `));
    const told = `s/${arrived}([^ ,]+).*/\\3/p; s/${ASKS}${nqn}$/?/p; s/${LEFT}${nqn}$/-/p`;
    return sh`dmesg 2>/dev/null | sed -nE ${told} | {
    before= other=
    while IFS= read -r h; do
        case \${h%.} in '?') before=$before$other other= ;; -) before= ;; ${passes}*) other=1 ;; esac
    done
    [ -z "$before$other" ]
} || exit ${GUARD_FAILED}`;
}

/** Whether there is any connection on ports, whatever listens there. */
function anyConnection(portals: readonly string[]): Sh {
    const ports = portals.flatMap((portal) => parsePortal(portal)?.port ?? []);
    return sh`grep -sqE ${socketPattern(hexPorts(ports), "01")} /proc/net/tcp /proc/net/tcp6`;
}
