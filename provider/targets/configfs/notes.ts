import { runDirectory } from "../../host/runDirectory";
import { raw, type Sh, sh } from "../../sh";
import type { TargetRef } from "../types";

/**
 * What the kernel has open and does not tell: the identity of the file or device behind an export, and its size as
 * initiators see it. It is noted when the device is opened, in a directory that goes with the kernel's objects when the
 * host restarts.
 */

export function noteDirectory(target: Pick<TargetRef, "stateDirectory" | "protocol">): string {
    return `${runDirectory(target.stateDirectory)}/${target.protocol}`;
}

/**
 * Shell functions. `identify PATH…`: `block major:minor bytes path` or `file dev:ino bytes path` of each that is there.
 * `block MAJOR:MINOR PATH` prints the same of that block device. `still KIND MAJOR:MINOR PATH`: what was noted is still
 * what is at the path, if that can be told without a process, of which `identify` takes one.
 */
export const IDENTIFY = raw(`block() {
    bytes=0; read -r bytes < "/sys/dev/block/$1/size"
    echo "block $1 $((bytes * 512)) $2"
}
still() { [ "$1" = block ] && [ "$3" -ef "/dev/block/$2" ]; }
identify() {
    while IFS='|' read -r kind id major minor bytes path; do
        case $kind in
            '') ;;
            block*) block $((0x$major)):$((0x$minor)) "$path" ;;
            *) echo "file $id $bytes $path" ;;
        esac
    done <<BH_DEVICES
$(stat -L -c '%F|%d:%i|%t|%T|%s|%n' -- "$@" 2>/dev/null)
BH_DEVICES
}`);

/**
 * Shell functions: `note` notes identity and size of `$device`, `forget` leaves an empty note, `noted` prints what was
 * noted.
 *
 * @param identity Shell text that prints it, where the kernel tells it: `identify` starts a process.
 */
export function noteFunction(target: TargetRef, name: string, identity?: Sh): Sh {
    const file = noteFile(target, name);
    return sh`${identity === undefined ? sh`${IDENTIFY}\n` : raw("")}forget() {
    [ -d ${noteDirectory(target)} ] || mkdir -p -m 0700 ${noteDirectory(target)} || return
    : > ${file}
}
note() { forget && { ${identity ?? raw('identify "$device"')}; } > ${file}; }
noted() { v=; [ ! -e ${file} ] || IFS= read -r v < ${file}; echo "$v"; }`;
}

export function noteFile(target: TargetRef, name: string): string {
    return `${noteDirectory(target)}/${name}`;
}

/** A device as {@link IDENTIFY} shows it. */
export interface Device {
    /** `block 253:4` or `file 65024:1234`. */
    readonly id: string;
    readonly bytes: number;
    readonly path: string;
}

export function parseDevice(line: string): Device | undefined {
    const [, id, bytes, path] = /^((?:block|file) \d+:\d+) (\d+) (.*)$/.exec(line) ?? [];
    return id === undefined || path === undefined ? undefined : { id, bytes: Number(bytes), path };
}
