import { hasContent, raw, sh, type Sh } from "../sh";
import { BOOT } from "./epoch";
import type { Plan } from "./plan";
import { runDirectory } from "./runDirectory";

/**
 * Files of the state directory that were being written when a run was cut short: `.<name>.new` among boot files, and
 * `<name>.new` beside them. They may hold secrets, so they go with the next run, whatever that is for.
 */
function files(stateDirectory: string): Sh {
    return sh`${`${stateDirectory}/exports`}/*/.*.new ${stateDirectory}/attachments/.*.new ${stateDirectory}/*.new`;
}

/**
 * A line, `0 <boot id>` while a run has work to be flushed at its end, `1 <boot id>` when it has done so. Where it stays 0,
 * that run was cut short before it did, and what it has done counts as done only when all is flushed. It is overwritten in
 * place, which takes no process, and no space once it is there.
 *
 * After a power cut it may say what it said before. Nothing is lost by that, as files are or are not on the disk by then,
 * but some may be there that a run had emptied: the first run after a boot looks at all of them.
 */
function flushedFile(stateDirectory: string): string {
    return `${stateDirectory}/flushed`;
}

/** Something was left to be flushed. */
function unflushed(stateDirectory: string): Sh {
    const file = flushedFile(stateDirectory);
    return sh`{ [ -e ${file} ] && { v=; read -r v w < ${file}; [ "$v" != 1 ]; }; } 2>/dev/null`;
}

function noteFlushed(stateDirectory: string, flushed: 0 | 1): Sh {
    return sh`{ read -r v < ${BOOT}; echo "${flushed} $v" 1<> ${flushedFile(stateDirectory)}; } 2>/dev/null`;
}

/** Comes before the plans of a run that {@link flush} ends. */
export function willFlush(stateDirectory: string): Sh {
    const file = flushedFile(stateDirectory);
    return sh`bh_all= v= w= b=
if [ -e ${file} ]; then
    { read -r v w < ${file}; read -r b < ${BOOT}; } 2>/dev/null
    [ "$v $w" = "1 $b" ] || bh_all=yes
fi
${noteFlushed(stateDirectory, 0)}`;
}

/** Shell function: removes those of its arguments that are files without content, by one process. */
const DROP = sh`bh_drop() {
    for f; do shift; [ ! -f "$f" ] || [ -L "$f" ] || ${hasContent(raw('"$f"'))} || set -- "$@" "$f"; done
    [ $# = 0 ] || rm -f -- "$@"
}`;

/** Boot files, and notes that go with them, which a run that was cut short had emptied, or had only begun. */
function emptied(stateDirectory: string): Sh {
    return sh`${`${stateDirectory}/exports`}/*/* ${`${stateDirectory}/attachments`}/* ${runDirectory(stateDirectory)}/*/*`;
}

/**
 * Flushes the files and directories that come as arguments, with one process; with what an earlier run has left, all.
 * Where that fails, each is tried alone, so that it can be told which it was. Files that have been emptied are removed.
 */
export function flush(stateDirectory: string): Sh {
    return sh`${DROP}
bh_flush() {
    bh_drop "$@" || return
    [ -z "$bh_all" ] || bh_drop ${emptied(stateDirectory)} || return
    for f; do shift; [ ! -e "$f" ] || set -- "$@" "$f"; done
    if [ -n "$bh_all" ]; then sync -f ${stateDirectory} || return
    elif [ $# -gt 0 ] && ! sync -- "$@" 2>/dev/null; then
        for f; do sync -- "$f" || echo "undone $f"; done
        return 1
    fi
    ${noteFlushed(stateDirectory, 1)} || :
}
bh_flush "$@"`;
}

/** Prints a line where there is any; another run may be just writing it. */
export function observeLeftovers(stateDirectory: string): Sh {
    return sh`! ${unflushed(stateDirectory)} || echo leftovers
for file in ${files(stateDirectory)}; do [ ! -e "$file" ] || { echo leftovers; break; }; done`;
}

/** Under the lock, so nobody is writing one. */
export function clearLeftovers(stateDirectory: string): Plan {
    const script = sh`${DROP}
! ${unflushed(stateDirectory)} || { bh_drop ${emptied(stateDirectory)} && sync -f ${stateDirectory} && ${noteFlushed(stateDirectory, 1)}; } || exit
for file in ${files(stateDirectory)}; do [ ! -e "$file" ] || rm -f -- "$file" || exit; done`;
    return {
        steps: [{ label: "clear away what a run that was cut short was writing", script }],
        touched: {},
    };
}
