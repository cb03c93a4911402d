import { joined, raw, type Sh, sh } from "../../sh";
import { IN_USE } from "../../host/plan";
import { TAKING } from "../configfs/shell";
import type { Session } from "../types";
import { ALUA_GROUP } from "./attributes";
import { groupOf, type LioDeclared, type LioExport } from "./model";

/**
 * What takes objects of an export away; all of it runs in LIO's directory. Links go before what they lead to, and a
 * disabled portal group answers a login with "service unavailable", upon which initiators try again.
 */

/** `disconnect GROUP…`: ends all sessions of portal groups, and unlinks their LUNs. */
export const DISCONNECT = raw(`disconnect() {
    for g; do
        v=; { read -r v < "$g/enable"; } 2>/dev/null
        [ "$v" != 1 ] || printf 0 > "$g/enable" || exit
        unlink "$g"/acls/*/lun_*/* "$g"/acls/.[!.]*/lun_*/* "$g"/lun/lun_*/* || exit
    done
}`);

/**
 * Shell function `copies COMMAND`: runs it for each `$o` that is our backstore `$s` once more, on another adapter.
 * `targetcli saveconfig` writes ours down with its own, and `targetctl restore` (rtslib 2.1) makes such a copy of it, with
 * our names and serial number, which keeps us from opening the device.
 */
export function copies({ serial }: LioDeclared): Sh {
    return sh`copies() {
    for o in core/*/"\${s##*/}"; do
        [ -d "$o" ] && [ "$o" != "$s" ] || continue
        v=; IFS= read -r v < "$o/wwn/vpd_unit_serial"
        [ "\${v##*: }" != ${serial} ] || "$@"
    done
}
drop() { rmdir -- "$o" && { rmdir -- "\${o%/*}" 2>/dev/null || :; }; }`;
}

/** ALUA groups of the backstore `$s` that somebody has made keep it from being removed. */
const DROP_GROUPS = sh`for g in "$s"/alua/*; do [ "\${g##*/}" = ${ALUA_GROUP} ] || [ ! -d "$g" ] || rmdir -- "$g" || exit; done`;

/** Moves those who are in such a group back to the unit's own, as the kernel does. */
export function dropGroups({ backstore }: LioDeclared): Sh {
    return sh`s=${backstore}
${DROP_GROUPS}`;
}

/** Ends all sessions, and takes the unit away from initiators and its device from LIO. */
export function closeUnit(declared: LioDeclared): Sh {
    return sh`${TAKING}
${DISCONNECT}
s=${declared.backstore}
disconnect ${declared.target}/tpgt_*
${DROP_GROUPS}
remove "$s" || exit`;
}

/** Takes a portal group away that somebody has made in our target, unless others than those that are known are logged in there. */
export function dropPortalGroup(group: string, sessions: readonly Session[]): Sh {
    return sh`${TAKING}
${DISCONNECT}
p=${group}
${refuseOthers(raw('"$p"'), sessions)}
disconnect "$p"
remove ${contents(raw('"$p"'))} || exit`;
}

/** Patterns of all that a portal group has, and the group. */
function contents(group: Sh): Sh {
    return sh`${group}/acls/*/lun_* ${group}/acls/.[!.]*/lun_* ${group}/acls/* ${group}/acls/.[!.]* ${group}/lun/lun_* ${group}/np/* ${group}`;
}

/** Takes a LUN away from all, or from one initiator. */
export function dropLun(declared: LioDeclared, lun: string, initiator?: string): Sh {
    const group = groupOf(declared);
    const mapped = sh`${group}/acls/${initiator === undefined ? raw("*") : initiator}/${lun}`;
    const own = initiator === undefined ? sh` ${`${group}/lun/${lun}`}` : raw("");
    const ownLinks = initiator === undefined ? sh` ${`${group}/lun/${lun}`}/*` : raw("");
    return sh`${TAKING}
unlink ${mapped}/*${ownLinks} && remove ${mapped}${own} || exit`;
}

/** Ends an initiator's sessions and no longer admits it. */
export function dropInitiator(declared: LioDeclared, initiator: string): Sh {
    const acl = `${groupOf(declared)}/acls/${initiator}`;
    return sh`${TAKING}
unlink ${acl}/lun_*/* && remove ${acl}/lun_* ${acl} || exit`;
}

/** Everything, in whatever state it is. */
export function takeDown({ declared }: LioExport): Sh {
    return sh`${TAKING}
${DISCONNECT}
t=${declared.target} s=${declared.backstore}
disconnect "$t"/tpgt_*
${DROP_GROUPS}
h=\${s%/*}
for other in "$h"/*/; do [ "$other" = "$s/" ] || [ ! -d "$other" ] || h=; done
remove ${contents(raw('"$t"/tpgt_*'))} "$t" "$s" \${h:+"$h"} || exit
${copies(declared)}
copies drop || exit`;
}

/** Ends the script if others than those that are known are logged in. */
export function guard({ declared, sessions }: LioExport, cuts: "all" | readonly string[]): Sh {
    if (cuts === "all") return refuseOthers(sh`${declared.target}/tpgt_*`, sessions);
    const entries = cuts.map((name) => sh` ${`${groupOf(declared)}/acls/${name}`}`);
    return refuse(joined(entries), raw(""), sessions);
}

function refuseOthers(groups: Sh, known: readonly Session[]): Sh {
    return refuse(sh` ${groups}/acls/* ${groups}/acls/.[!.]*`, sh` ${groups}/dynamic_sessions`, known);
}

/** @param dynamic files with names of those that no entry names */
function refuse(entries: Sh, dynamic: Sh, known: readonly Session[]): Sh {
    const names = [...new Set(known.map(({ initiator }) => initiator))];
    return sh`came() {
    case $1 in ${joined(names.map((name) => sh`${name}) return ;; `))}esac
    printf 'initiator %s is logged in\\n' "$1" >&2
    exit ${IN_USE}
}
for a in${entries}; do
    v=; [ -d "$a" ] && IFS= read -r v < "$a/info" || continue
    case $v in 'No active'*) ;; *) came "\${a##*/}" ;; esac
done
for f in${dynamic}; do
    [ ! -e "$f" ] || while IFS= read -r v; do [ -z "$v" ] || came "$v"; done < "$f"
done`;
}
