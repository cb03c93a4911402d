import { createHash } from "node:crypto";
import { hasContent, lines, raw, type Sh, sh, whyNotWritten } from "../sh";
import { GUARD_FAILED } from "./plan";

/**
 * What names of targets are new by. A host's epoch ends when an export is removed there, and when the host restarts, so
 * what is made of it (the beginning of an export's generation, and with that the name of its target) is new for each
 * making, and still is known before: previews show it.
 *
 * It is the kernel's boot id and a word, the line of `<stateDirectory>/epoch`, which each removal overwrites with another.
 * So nothing has to be flushed. Where there is no file yet, it is when the directory that the state directory is in was
 * changed last; each changing run notes that, since making the state directory changes it. (So it is not the same again
 * when the state directory is lost or taken away.)
 *
 * `<stateDirectory>/epoch.made` has a line `<word> <protocol>/<name>` for each export made in it. A name that is there is
 * not made a second time: its boot file may have been lost, and no removal have ended the epoch.
 */
export interface Epoch {
    readonly boot: string;
    /** Always of one length, so that a line overwrites a line. */
    readonly word: string;
    /** `<protocol>/<name>` of what was made in it. */
    readonly made: ReadonlySet<string>;
}

/** Another line after each start of the kernel. */
export const BOOT = "/proc/sys/kernel/random/boot_id";
const WORDS = "/proc/sys/kernel/random/uuid";
const WORD_LENGTH = 36;

function file(stateDirectory: string): string {
    return `${stateDirectory}/epoch`;
}

/**
 *     <boot id> <word>      without a word: there is none yet
 *     since <time>          then only
 *     made <word> <protocol>/<name>
 *
 * @param whole with what was made
 */
export function observeEpoch(stateDirectory: string, whole: boolean): Sh {
    const made = `${file(stateDirectory)}.made`;
    return lines(
        sh`bh_b= bh_w=; read -r bh_b < ${BOOT}
[ ! -s ${file(stateDirectory)} ] || read -r bh_w < ${file(stateDirectory)}
echo "$bh_b $bh_w"
if [ -z "$bh_w" ]; then
    bh_d=${stateDirectory}; bh_d=\${bh_d%/*}
    while [ -n "$bh_d" ] && [ ! -d "$bh_d" ]; do bh_d=\${bh_d%/*}; done
    stat -c 'since %y' -- "\${bh_d:-/}"
fi`,
        // Its last line has no end.
        whole ? sh`[ ! -s ${made} ] || { sed 's/^/made /' ${made}; echo; }` : undefined,
        raw(":"),
    );
}

/** @param before What was known; what was made in the same epoch is kept of it. */
export function parseEpoch(output: string, before?: Epoch): Epoch {
    const [first = "", ...rest] = output.trimEnd().split("\n");
    const [boot = "", given = ""] = first.split(" ");
    const since = rest.find((line) => line.startsWith("since ")) ?? "";
    const word = given.length === WORD_LENGTH ? given : digest(since).slice(0, WORD_LENGTH);
    const same = before?.boot === boot && before.word === word;
    const read = rest.flatMap((line) => {
        const [key, of, name = ""] = line.split(" ");
        return key === "made" && of === word ? [name] : [];
    });
    return { boot, word, made: new Set([...(same ? before.made : []), ...read]) };
}

/** Comes before the plans of each run: what was seen stays, as long as no export is removed. */
export function keepEpoch(stateDirectory: string, { word }: Epoch): Sh {
    return sh`{ [ -s ${file(stateDirectory)} ] && ${hasContent(sh`${file(stateDirectory)}`)}; } || printf '%s\\n' ${word} > ${file(stateDirectory)}`;
}

function orExit(written: string): Sh {
    const scratch = `${written}.new`;
    return sh`{ ${whyNotWritten(scratch)} && echo ${`${written} cannot be read or written`} >&2; rm -f ${scratch}; exit 1; }`;
}

/** Ends the plan, to observe and plan again, when the epoch is another one; else notes what is made in it. */
export function useEpoch(stateDirectory: string, { boot, word }: Epoch, protocol: string, name: string): Sh {
    const noted = `${file(stateDirectory)}.made`;
    return sh`bh_b= bh_w=; read -r bh_b < ${BOOT}; read -r bh_w < ${file(stateDirectory)}
[ -n "$bh_w" ] || ${orExit(file(stateDirectory))}
[ "$bh_b $bh_w" = ${`${boot} ${word}`} ] || { echo "an export has been removed meanwhile" >&2; exit ${GUARD_FAILED}; }
printf '\\n%s %s' ${word} ${`${protocol}/${name}`} >> ${noted} || ${orExit(noted)}`;
}

/** Begins another one. Comes before what ends it, under the lock. */
export function endEpoch(stateDirectory: string): Sh {
    const epoch = file(stateDirectory);
    return sh`bh_w=; read -r bh_w < ${WORDS} || exit
if [ -s ${epoch} ]; then printf '%s\\n' "$bh_w" 1<> ${epoch}; else printf '%s\\n' "$bh_w" > ${epoch}; fi || ${orExit(epoch)}
[ ! -s ${`${epoch}.made`} ] || : > ${`${epoch}.made`}`;
}

/** Digits of a generation that are in the name of a target. */
export const GENERATION_DIGITS = 8;

/**
 * The beginning of the generation of what is going to be made there; `undefined`: it cannot be told.
 *
 * @param place What the name is in: state directory, portals. (Hosts that were copied while they ran have the boot id of
 *     one.)
 */
export function foretell(
    epoch: Epoch,
    place: readonly string[],
    protocol: string,
    name: string,
): string | undefined {
    if (epoch.boot === "" || epoch.made.has(`${protocol}/${name}`)) return undefined;
    const words = JSON.stringify([epoch.boot, epoch.word, ...place, protocol, name]);
    return digest(`blockhost target ${words}`).slice(0, GENERATION_DIGITS);
}

/** Of a {@link Plan} that ends the epoch: what is made after it in the same run cannot be foretold. */
export function epochEnds(stateDirectory: string): string {
    return `epoch/${stateDirectory}`;
}

function digest(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
