import { createHash } from "node:crypto";
import { raw, type Sh, sh } from "../../sh";
import type { TargetRef } from "../types";

/**
 * What the kernel has open and does not tell: the identity of the file or device behind an export, and its size as
 * initiators see it. It is noted when the device is opened, in a directory that goes with the kernel's objects when the
 * host restarts.
 */

export function noteDirectory(target: Pick<TargetRef, "stateDirectory" | "protocol">): string {
    const which = createHash("sha256").update(target.stateDirectory).digest("hex").slice(0, 8);
    return `/run/blockhost-${which}/${target.protocol}`;
}

/** Shell function: `block major:minor bytes path` or `file dev:ino bytes path` of each path that is there. */
export const IDENTIFY = raw(`identify() {
    while IFS='|' read -r kind id major minor bytes path; do
        case $kind in
            '') continue ;;
            block*) kind=block id=$((0x$major)):$((0x$minor)) bytes=0
                read -r bytes < "/sys/dev/block/$id/size"; bytes=$((bytes * 512)) ;;
            *) kind=file ;;
        esac
        echo "$kind $id $bytes $path"
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
