import { raw, type Sh, sh } from "../../sh";

/**
 * Shell functions of boot files and of what is run before them. In configfs it is the processes that cost, so directories
 * and links are made and removed many at a time, and attributes are read and written by the shell itself. A value is
 * written without an end of line: LIO would take that for a part of a secret. What is as it should be is not written.
 */

export const CONFIGFS = "/sys/kernel/config";

/** `fail WORDS`; `make DIRECTORY…`, with `$mode` (`-m 0700`); `write ATTRIBUTE VALUE`; `may ATTRIBUTE VALUE`: only where the kernel has it. */
export const MAKING = raw(`mode=
fail() { echo "$*" >&2; exit 1; }
make() {
    for d; do shift; [ -d "$d" ] || set -- "$@" "$d"; done
    [ $# = 0 ] || mkdir $mode -- "$@"
}
write() {
    v=; read -r v < "$1"
    [ "$v" = "$2" ] || printf %s "$2" > "$1" || fail "the kernel does not take this value for $1"
}
may() {
    v=; { read -r v < "$1"; } 2>/dev/null
    [ "$v" = "$2" ] || [ ! -e "$1" ] || write "$@"
}`);

/** `unlink LINK…`, `remove DIRECTORY…`: of what is there; patterns that match nothing do no harm. */
export const TAKING = raw(`unlink() {
    for f; do shift; [ ! -L "$f" ] || set -- "$@" "$f"; done
    [ $# = 0 ] || rm -- "$@"
}
remove() {
    for d; do shift; [ ! -d "$d" ] || set -- "$@" "$d"; done
    [ $# = 0 ] || rmdir -- "$@"
}`);

/** Values of many attributes of one directory. */
export function mayAll(directory: Sh, attributes: Readonly<Record<string, string>>): Sh {
    const words = Object.entries(attributes).map(([name, value]) => `${name}=${value}`);
    return sh`for pair in ${words}; do may ${directory}/"\${pair%%=*}" "\${pair#*=}"; done`;
}

/** Makes the device appear, if it is not there. */
export function activate(activation: { command: string; object: string } | undefined): Sh {
    if (activation === undefined) return raw("");
    return raw(`[ -e "$device" ] || { ${activation.command} ${activation.object}; } >&2
[ -e "$device" ] || { udevadm settle; } >/dev/null 2>&1
`);
}

/** The subsystem's directory, mounted and with its modules loaded. What fails is told by the word it begins with: see explain.ts. */
export function enter(root: string, modules: readonly string[]): Sh {
    return sh`if ! cd ${root} 2>/dev/null; then
    modprobe -a ${[...modules]} || fail modules: cannot load ${[...modules]}
    [ -d ${root} ] || mount -t configfs none ${CONFIGFS} || fail configfs: cannot be mounted at ${CONFIGFS}
    cd ${root} || fail configfs: ${root} is not there although it is mounted
fi`;
}
