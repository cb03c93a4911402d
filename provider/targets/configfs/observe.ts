import { hasContent, joined, raw, type Sh, sh } from "../../sh";
import { bootDirectory } from "../boot";
import { bootUnitFiles, UNIT_HEADER } from "../bootUnit";
import { UNIT_DIRECTORY } from "../systemd";
import { normalizePortal, parsePortal } from "../portal";
import type { TargetRef } from "../types";
import { IDENTIFY, noteDirectory } from "./notes";
import { hexPorts, socketPattern } from "./sections";
import { CONFIGFS } from "./shell";

/**
 * The parts of an observation that LIO and nvmet share. It is a shell script with few processes, whatever the number of
 * exports, since a process takes longer than all else that is read of one export; its output is in sections, each after
 * a line `== name`. Attributes come as `grep -Z` prints them, with their path before them, so no value can begin a
 * section. Secrets are hashed on the host and never leave it.
 *
 *     == boot      `B name` a boot file, `E name` one that cannot be read
 *     == lines     `name:#bh …` of boot files' headers; `/proc/net/tcp: …` sockets on the wanted ports
 *     == module    `missing NAME` of each that is neither loaded nor loadable, then `loaded` or `loadable`
 *     == tree      `d path` an object, `l path<TAB>path` a link and what it leads to
 *     == values    `path<NUL>line`
 *     == secrets   `SHA-256  path`
 *     == devices   `block major:minor bytes path` or `file dev:ino bytes path` of declared devices
 *     == notes     `name<NUL>…`
 *     == owners    `inode process command` of those that a process has
 *     == addresses lines of /proc/net/fib_trie and if_inet6; none where sockets may listen on others'
 *     == unit      `installed` or `missing`; nothing where systemd does not run the host
 *     == end
 */
export interface ObservedTree {
    /** Directory of the subsystem below /sys/kernel/config. */
    readonly root: string;
    /** Modules that it needs beside configfs, in order, each with the directory or file that shows it is there. */
    readonly modules: readonly Module[];
    /** Shell text that sets "$@" to what is to be read of the subsystem; `$roots` are the exports' own objects. */
    readonly choose: Sh;
    /** Shell text that shows, by `show PATH…`, which objects and links there are in "$@"; what is none of either is left out. */
    readonly objects: Sh;
    /** Names of attributes to read. */
    readonly attributes: readonly string[];
    /** Directories of which no attributes are read. */
    readonly prune: readonly string[];
    /** Shell words: what may have secret attributes, and for each, `$d`, patterns of their paths. */
    readonly secrets: { readonly of: Sh; readonly paths: Sh };
    /** Connections on the wanted ports are read, too, and, where there are any, what this shell text prints. */
    readonly whereConnected?: Sh;
    /** Shell text that adds to `$ports`, a regular expression of hexadecimal ports, in the subsystem's directory. */
    readonly ports?: Sh;
    /** More sections. */
    readonly more?: Sh;
}

interface Module {
    readonly name: string;
    readonly shownBy: string;
}

/** The kernel makes the directory; boot files load what is missing, and mount it. */
const CONFIGFS_MODULE: Module = { name: "configfs", shownBy: CONFIGFS };

/** Wanted ports of a target. */
function portsOf(target: TargetRef): number[] {
    const ports = target.portals.map((portal) => parsePortal(normalizePortal(portal))?.port);
    return [...new Set(ports)].filter((port) => port !== undefined);
}

export function observeTree(target: TargetRef, tree: ObservedTree, only?: readonly string[]): Sh {
    const directory = bootDirectory(target.stateDirectory, target.protocol);
    const notes = noteDirectory(target);
    const files = only === undefined ? raw("*") : sh`${[...only]}`;
    const includes = tree.attributes.map((name) => `--include=${name}`);
    const excludes = tree.prune.map((name) => `--exclude-dir=${name}`);
    const root = `${CONFIGFS}/${tree.root}`;
    const states = tree.whereConnected !== undefined ? (["0A", "01"] as const) : (["0A"] as const);
    const sockets = states.map((state) => raw(`-e "${socketPattern("$ports", state)}"`));
    return sh`LC_ALL=C; export LC_ALL
${IDENTIFY}
${SHOW}
ports=${hexPorts(portsOf(target))}
${tree.ports === undefined ? raw("") : sh`if cd ${root} 2>/dev/null; then ${tree.ports}; fi`}
roots= sockets= connected=
set --
echo '== boot'
if [ -d ${directory} ]; then
    cd ${directory} && [ -r . ] || { echo 'F the directory cannot be read'; exit 0; }
    set -- ${files}
    for f; do shift; [ -f "$f" ] && ${hasContent(raw('"$f"'))} && set -- "$@" "$f"; done
    for f; do if [ -r "$f" ]; then echo "B $f"; else echo "E $f"; fi; done
fi
echo '== lines'
found=$(grep -asHE -e '^#bh ' ${joined(sockets, " ")} -- "$@" /proc/net/tcp /proc/net/tcp6)
printf '%s\\n' "$found"
echo '== notes'
for f; do
    [ ! -s ${notes}/"$f" ] || while IFS= read -r line; do printf '%s\\0%s\\n' "$f" "$line"; done < ${notes}/"$f"
done
set --
echo '== devices'
set -f; IFS='
'
for line in $found; do
    f=\${line%%:*} line=\${line#*:}
    case $line in
        '#bh roots '*) roots="$roots \${line#'#bh roots '}" ;;
        '#bh device '*) device=\${line#'#bh device '} kind= id=
            [ ! -s ${notes}/"$f" ] || IFS=' ' read -r kind id rest < ${notes}/"$f"
            if still "$kind" "$id" "$device"; then block "$id" "$device"; else set -- "$@" "$device"; fi ;;
        '#bh '*) ;;
        *' 01 '*) connected=1 ;;
        *) sockets="$sockets$line$IFS" ;;
    esac
done
set +f; unset IFS
${
    tree.whereConnected === undefined
        ? raw("")
        : sh`if [ -n "$connected" ]; then
    ${tree.whereConnected}
    # Whoever is in what was just read has a socket now, too.
    echo '== lines'
    grep -asHE ${joined(sockets, " ")} -- /proc/net/tcp /proc/net/tcp6
fi`
}
echo '== devices'
[ $# = 0 ] || identify "$@"
echo '== module'
${moduleLines([CONFIGFS_MODULE, ...tree.modules])}
if cd ${root} 2>/dev/null; then
    ${tree.choose}
    if [ $# -gt 0 ]; then
        echo '== tree'
        ${tree.objects}
        echo '== values'
        grep -arsZH ${includes} ${excludes} '' "$@"
    fi
    echo '== secrets'
    ${hashes(tree.secrets)}
fi
${only === undefined ? OWNERS : raw("")}
${tree.more ?? raw("")}
${unitLine(target)}
echo '== end'`;
}

/** Run in the subsystem's directory. Links are followed by the shell itself: of few exports, a process takes longer than all of it. */
const SHOW = raw(`show() {
    top=$PWD
    for e; do
        if [ -L "$e" ]; then
            if cd -P "./$e" 2>/dev/null; then printf 'l %s\\t%s\\n' "$e" "\${PWD#"$top/"}"; cd "$top"; fi
        elif [ -d "$e" ]; then printf 'd %s\\n' "$e"; fi
    done
}`);

/** Many initiators have more paths than a process takes as arguments; one process less where there are few. */
function hashes({ of, paths }: ObservedTree["secrets"]): Sh {
    return sh`first=1
    for d in ${of}; do
        [ -z "$first" ] || { set --; first=; }
        set -- "$@" ${paths}
        [ $# -lt 500 ] || { printf '%s\\0' "$@" | xargs -r -0 sha256sum -- 2>/dev/null; set --; }
    done
    [ -n "$first" ] || [ $# = 0 ] || sha256sum -- "$@" 2>/dev/null`;
}

function moduleLines(modules: readonly Module[]): Sh {
    const each = modules.map(
        ({ name, shownBy }) =>
            sh`[ -e ${shownBy} ] || { loaded=; modprobe -nq ${name} 2>/dev/null || echo missing ${name}; }\n`,
    );
    return sh`loaded=1
${joined(each)}[ -n "$loaded" ] && echo loaded || echo loadable`;
}

/** A listening socket that belongs to no process is the kernel's own. To find that out takes a look at every process. */
const OWNERS = raw(`echo '== owners'
set --
while read -r _ _ _ state _ _ _ _ _ inode _; do
    [ "$state" != 0A ] || set -- "$@" -o -lname "socket:\\\\[$inode\\\\]"
done <<BH_SOCKETS
$sockets
BH_SOCKETS
if [ $# -gt 0 ]; then
    shift
    find /proc/[0-9]*/fd \\( "$@" \\) -printf '%l %p\\n' 2>/dev/null | while read -r socket path; do
        pid=\${path#/proc/}; pid=\${pid%%/*}
        IFS= read -r command < "/proc/$pid/comm" && echo "$socket $pid $command"
    done
fi
echo '== addresses'
# Where sockets may listen on addresses of others, too, they tell nothing.
nonlocal=
for f in /proc/sys/net/ipv4/ip_nonlocal_bind /proc/sys/net/ipv6/ip_nonlocal_bind; do
    v=; { read -r v < $f; } 2>/dev/null
    [ "$v" != 1 ] || nonlocal=1
done
if [ -z "$nonlocal" ]; then
    grep -sB1 'host LOCAL' /proc/net/fib_trie
    grep -s . /proc/net/if_inet6
fi`);

function unitLine(target: TargetRef): Sh {
    const { file, link, others } = bootUnitFiles(target.stateDirectory);
    return sh`echo '== unit'
if [ -d /run/systemd/system ] && [ -w ${UNIT_DIRECTORY} ]; then
    line=; [ ! -e ${file} ] || IFS= read -r line < ${file}
    [ -L ${link} ] || line=
    for file in ${[...others]}; do [ -e "$file" ] || line=; done
    [ "$line" = ${UNIT_HEADER} ] && echo installed || echo missing
fi`;
}
