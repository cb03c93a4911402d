import { createHash } from "node:crypto";
import { type Sh, sh } from "../sh";
import { GUARD_FAILED } from "./plan";

/**
 * What names of targets are new by. A host's epoch ends when an export is removed there, and when the host restarts, so
 * what is made of it (the beginning of an export's generation, and with that the name of its target) is new for each
 * making, and still is known before: previews show it.
 *
 * It is one line of `<stateDirectory>/epoch`: the kernel's boot id, and a word that each removal exchanges; without a
 * file, or with one of another boot, the boot id alone. So nothing has to be flushed.
 */
function file(stateDirectory: string): string {
    return `${stateDirectory}/epoch`;
}

const BOOT = "/proc/sys/kernel/random/boot_id";

/** Sets `bh_e`. */
function read(stateDirectory: string): Sh {
    return sh`bh_b= bh_e= bh_w=; read -r bh_b < ${BOOT}
[ ! -e ${file(stateDirectory)} ] || read -r bh_e bh_w < ${file(stateDirectory)}
[ "$bh_e" = "$bh_b" ] || bh_w=
bh_e="$bh_b $bh_w"`;
}

export function observeEpoch(stateDirectory: string): Sh {
    return sh`${read(stateDirectory)}
echo "$bh_e"`;
}

/** As {@link observeEpoch} tells it. */
export function parseEpoch(output: string): string {
    return output.trim();
}

/** Ends the plan, to observe and plan again, when it is another one than was observed. */
export function guardEpoch(stateDirectory: string, seen: string): Sh {
    const line = seen.includes(" ") ? seen : `${seen} `;
    return sh`${read(stateDirectory)}
[ "$bh_e" = ${line} ] || { echo "an export has been removed meanwhile" >&2; exit ${GUARD_FAILED}; }`;
}

/**
 * Begins another one. Comes before what ends it, under the lock.
 *
 * @param by What there is only once: the generation of the export that goes.
 */
export function endEpoch(stateDirectory: string, by: string): Sh {
    const word = createHash("sha256").update(`blockhost epoch ${by}`).digest("hex").slice(0, 16);
    return sh`bh_b=; read -r bh_b < ${BOOT}
printf '%s %s\\n' "$bh_b" ${word} > ${file(stateDirectory)} || exit`;
}

/**
 * The beginning of the generation of what is going to be made there under a name: 8 hexadecimal digits.
 *
 * @param place What else the name is in: state directory, protocol, portals. (Hosts that were copied while they ran have
 *     the boot id of one.)
 */
export function foretell(epoch: string, place: readonly string[], name: string): string {
    const words = JSON.stringify([epoch, ...place, name]);
    return createHash("sha256").update(`blockhost target ${words}`).digest("hex").slice(0, GENERATION_DIGITS);
}

/** Digits of a generation that are in the name of a target. */
export const GENERATION_DIGITS = 8;
