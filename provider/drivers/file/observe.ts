import { type Sh, lines, raw, sh } from "../../sh";
import type { PoolRef } from "../types";
import { MARKS, OWN, POOL_LINK, REFLINK_LINK, WORK, dataFile, markFile, recordFile } from "./layout";
import type { FileOptions } from "./options";

/**
 * Reads a pool in at most four processes (`stat`, `find` over the pool, `find` over open files, a reader of its
 * output), however many objects it has; with `only`, in two. Changes nothing. Runs in a subshell.
 *
 * A file name may hold anything but `/` and NUL. Names with control characters (a newline could imitate our output)
 * are not listed at all; they can be neither ours nor adopted.
 *
 *     recorded                                this host remembers a pool at this directory
 *     pool missing|not-a-directory|unreadable|empty|occupied|ok
 *     dir <real directory>
 *     fs <block size> <blocks> <available blocks> <type>
 *     l <path> <target>                       symbolic link in .blockhost, or the host's record
 *     w <size> <512-byte blocks> <path>       file in work
 *     o <type> <size> <512-byte blocks> <inode> <mtime> <links> <path>
 *     u <pid><TAB><path><TAB><who>            open file
 *     end <exit status of find>
 */
export function observePool(pool: PoolRef<FileOptions>, only?: readonly string[]): Sh {
    return lines(
        sh`LC_ALL=C; export LC_ALL
dir=${pool.options.directory}
record=${recordFile(pool)}`,
        OPEN_DIRECTORY,
        only === undefined ? WHOLE_POOL : someObjects(only),
    );
}

const OPEN_DIRECTORY = raw(`[ -L "$record" ] && echo recorded || record=
if [ ! -e "$dir" ]; then echo 'pool missing'; exit 0; fi
if [ ! -d "$dir" ]; then echo 'pool not-a-directory'; exit 0; fi
if ! cd -P "$dir" 2>/dev/null || [ ! -r . ] || { [ -d ${OWN} ] && [ ! -x ${OWN} ]; }; then
    echo 'pool unreadable'; exit 0
fi
if [ ! -L ${POOL_LINK} ]; then
    [ -d ${MARKS} ] && marks=${MARKS} || marks=
    found=$(find . $marks -mindepth 1 -maxdepth 1 ! -path ./lost+found ! -path ./${OWN} -printf x -quit) || found=x
    [ -z "$found" ] && echo 'pool empty' || echo 'pool occupied'
else
    echo 'pool ok'
fi
printf 'dir %s\\n' "$PWD"
stat -f -c 'fs %S %b %a %T' . || exit
[ -L ${POOL_LINK} ] || exit 0`);

/** What `find` prints of each path; directories of others are not entered. */
const PRINT = raw(`-ignore_readdir_race \\
    -path . -o -name '*[[:cntrl:]]*' -prune \\
    -o -type l \\( -path './${OWN}/*' -o ! -path './*' \\) ! -lname '*[[:cntrl:]]*' -printf 'l %p %l\\n' \\
    -o -path './${WORK}/*' -type f -printf 'w %s %b %p\\n' \\
    -o -path './${OWN}' -o -path './${OWN}/*' -o -path './.*' -prune \\
    -o -type d -prune -printf 'o d 0 0 %i %T@ 1 %p\\n' \\
    -o -printf 'o %y %s %b %i %T@ %n %p\\n'
echo "end $?"`);

// -lname does not touch what a descriptor leads to, so a dead network file system elsewhere cannot hang this.
const OPENERS = raw(`case $PWD in
*[][*?\\\\]*) ;;
*) find /proc/[0-9]*/fd -lname "$PWD/*" ! -lname '*[[:cntrl:]]*' -printf '%h %l\\n' 2>/dev/null |
while IFS= read -r line; do
    pid=\${line%%/fd *}; pid=\${pid#/proc/}; who=
    read -r who < "/proc/$pid/comm"
    printf 'u %s\\t%s\\t%s\\n' "$pid" "\${line#*/fd }" "$who"
done 2>/dev/null
esac
for file in /sys/block/loop*/loop/backing_file; do
    [ -e "$file" ] && IFS= read -r target < "$file" || continue
    device=\${file#/sys/block/}
    case $target in "$PWD"/*) printf 'u -\\t%s\\t%s\\n' "$target" "/dev/\${device%%/*}" ;; esac
done 2>/dev/null
:`);

const WHOLE_POOL = lines(raw(`find . \${record:+"$record"} ${PRINT.text}`), OPENERS);

/** Only the files of some objects: the cost follows their number, not the pool's. */
function someObjects(names: readonly string[]): Sh {
    const candidates = names.map((name) => {
        if (name.startsWith("./")) return sh`${name}`;
        return sh`${`./${dataFile(name)}`} ${`./${markFile(name)}`} ${`./${WORK}/${name}~`}*`;
    });
    return lines(
        raw("set --"),
        sh`for path in ${raw(candidates.map((one) => one.text).join(" "))}; do
    if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "$path"; fi
done`,
        raw(`[ -L ${REFLINK_LINK} ] && set -- "$@" ./${REFLINK_LINK}
find "$@" ./${POOL_LINK} \${record:+"$record"} -maxdepth 0 ${PRINT.text}`),
    );
}
