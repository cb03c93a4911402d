import { joined, raw, type Sh, sh } from "../../sh";
import { GUARD_FAILED } from "../../host/plan";
import { TAKING } from "../configfs/shell";
import { parsePortal } from "../portal";
import { hexPorts, socketPattern } from "../configfs/sections";
import { NAMESPACE, nqnOf, type NvmetDeclared, type NvmetExport, type NvmetRef, ROOT } from "./model";
import { madeDirectory } from "./observe";
import { connected, portalsOf, tcpPorts } from "./own";

/**
 * What takes objects of an export away; all of it runs in nvmet's directory. A subsystem that leaves its ports ends its
 * connections; hosts hold their I/O back and try again every ten seconds, for ten minutes.
 */
export function leavePorts(declared: NvmetDeclared): Sh {
    return sh`${TAKING}
unlink ports/*/subsystems/${nqnOf(declared)} || exit`;
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
export function takeDown(target: NvmetRef, before: NvmetExport): Sh {
    return sh`${removeSubsystem(before.declared, idle(target, before))}
${FORGET}`;
}

/** Takes away what a change has left to nobody. */
export function sweep(target: NvmetRef, before: NvmetExport): Sh {
    return sh`${idle(target, before)}
[ $# = 0 ] || rmdir -- "$@" 2>/dev/null
${FORGET}`;
}

/**
 * Sets "$@" to hosts and ports that we made and that nothing links to any more. Those that this export has or had are
 * looked at, and, as far as all was read, those that nothing linked to then: an earlier run may have been cut short before
 * it came to them; and notes of ports that are gone.
 */
function idle(target: NvmetRef, before: NvmetExport): Sh {
    return sh`made=${madeDirectory(target)}
set --
for d in ${sharedHosts(before)} ports/*; do
    [ -e "$made/$d" ] || continue
    for l in "$d"/subsystems/* subsystems/*/allowed_"$d"; do [ ! -L "$l" ] || continue 2; done
    set -- "$@" "$d"
done
for f in "$made"/ports/*; do d=ports/\${f##*/}; [ ! -e "$f" ] || [ -d "$d" ] || set -- "$@" "$d"; done`;
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
    const pattern = ` for subsystem ${nqnOf(declared)} for NQN `;
    if (sessions.length === 0) {
        // Without any connection to its ports there is nothing to read the log for, which takes longer. In the log, those
        // that have gone again are as well.
        const seen = live.sections.lines("log").filter((line) => line.includes(pattern)).length;
        // Nobody is connected on a port that nvmet does not have; what else listens there is not our concern.
        const there = new Set(tcpPorts(live.tree).map(({ portal }) => portal));
        const portals = portalsOf(declared, live).filter((portal) => there.has(portal));
        if (portals.length === 0) return raw("");
        const ports = portals.flatMap((portal) => parsePortal(portal)?.port ?? []);
        return sh`! grep -sqE ${socketPattern(hexPorts(ports), "01")} /proc/net/tcp /proc/net/tcp6 || [ "$(dmesg 2>/dev/null | grep -cF ${pattern})" = ${seen} ] || exit ${GUARD_FAILED}`;
    }
    if (live.sections.derived(connected) === undefined) return raw("");
    const names = [...new Set(sessions.map(({ initiator }) => initiator))];
    const passes = joined(names.map((name) => sh`${name}) ;; `));
    return sh`dmesg 2>/dev/null | grep -F ${pattern} | while IFS= read -r line; do
    h=\${line##* for NQN }; h=\${h%% *}
    case \${h%.} in ${passes}*) exit 1 ;; esac
done || exit ${GUARD_FAILED}`;
}
