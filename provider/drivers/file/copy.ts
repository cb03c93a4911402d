import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { GUARD_FAILED, IN_USE, type Plan, type Step } from "../../host/plan";
import { startUnit } from "../../host/units";
import { type Sh, lines, raw, sh } from "../../sh";
import { INLINE_BYTES, copyBytes } from "./bytes";
import { dataFile, digest, poolDirectory, workFile } from "./layout";
import { probeReflink } from "./pool";
import { type Context, step } from "./steps";
import { requireNotFailed, unitDirectory } from "./work";

/** One object's data to be copied for another: at once where files can share extents, else byte by byte. */
export interface Copy {
    /** Object that the copy is for. */
    readonly name: string;
    readonly generation: string;
    readonly job: "copy" | "revert";
    /** Tells apart copies for the same object (another source, another revert). */
    readonly salt: string;
    readonly source: ObjectFacts & { readonly sizeBytes: number };
    /** Initiators are logged in to the source. */
    readonly inUse: boolean;
}

/** What is left to do until a complete copy lies in the work directory. */
export interface CopyState {
    /** Path of the copy once the steps are done. */
    readonly file: string;
    /** Steps that make it; empty when it is there. */
    readonly steps: readonly Step[];
    /** Unit to wait for first; what comes after the copy cannot be planned yet. */
    readonly waitFor?: string;
    readonly timeout?: number;
}

/** `unknown` where the note is missing: then finding out is the only step there is. */
export function reflinkAbility(context: Context): "yes" | "no" | "unknown" {
    const noted = context.facts.extra["reflink"];
    return noted === "yes" || noted === "no" ? noted : "unknown";
}

export function findOutReflink(context: Context): Step {
    return step(context, "find out whether files can share extents", probeReflink());
}

/**
 * Shares a file's extents with another (`FICLONE`: a point in time, however large, also of a file in use). Where the
 * note says that this is possible and it is not (the pool has moved to another file system), corrects the note and asks
 * for a new plan.
 */
export function reflink(from: string, to: string): Sh {
    return sh`cp -f --reflink=always -- ${from} ${to} || {
    status=$?
    ${probeReflink()}
    [ "$able" = yes ] || exit ${GUARD_FAILED}
    exit $status
}`;
}

/**
 * Plans a copy into the work directory. Its name holds what it is a copy of, so a complete copy that is found can be
 * used by whoever asks for the same.
 *
 * @throws BlockhostError `in-use` where only a byte by byte copy is possible and the source is being used.
 */
export function copyToWork(context: Context, copy: Copy, found: ObjectFacts | undefined): CopyState {
    const id = `${copy.job}-${digest(`${copy.salt}\n${copy.source.name}\n${copy.source.mark?.generation ?? ""}`)}`;
    const part = workFile(copy.name, id, "part");
    const done = workFile(copy.name, id, "done");
    if (found?.extra?.["done"]?.split(" ").includes(id) === true) return { file: done, steps: [] };
    const from = dataFile(copy.source.name);
    if (reflinkAbility(context) === "yes") {
        // Cheap to do again, so it needs no name that says it is complete.
        const script = sh`umask 077
true > ${part} || exit
${reflink(from, part)}`;
        return { file: part, steps: [step(context, `share ${from}`, script)], timeout: 300_000 };
    }
    refuseInUse(context, copy);
    const name = `${copy.job}-${copy.name}-${copy.generation}-${id.slice(id.indexOf("-") + 1)}`;
    const unit = context.host.units.get(name);
    const label = `copy ${from}`;
    requireNotFailed(unit, label);
    if (unit?.state === "running") return { file: done, steps: [], waitFor: name };
    const bytes = copy.source.allocatedBytes ?? copy.source.sizeBytes;
    if (bytes <= INLINE_BYTES) {
        return {
            file: done,
            steps: [step(context, label, copyScript(from, part, done, ""))],
            timeout: 300_000,
        };
    }
    const report = `${unitDirectory(context, name)}/bytes`;
    const start = startUnit(context.pool.stateDirectory, {
        name,
        label: `start to ${label}`,
        script: lines(sh`cd ${poolDirectory(context)} || exit`, copyScript(from, part, done, report)),
        progress: sh`cat ${report}`,
        totalBytes: bytes,
    });
    return { file: done, steps: [start], waitFor: name };
}

/**
 * A copy is of one point in time only if the source stays as it is, so its size and time of last change are compared.
 * The pause makes a write during the copy fall into another tick of the clock that stamps files.
 */
function copyScript(from: string, part: string, done: string, report: string): Sh {
    const stamp = sh`stat -c '%s %.9Y' -- ${from}`;
    return sh`umask 077
rm -f -- ${part} ${done}
before=$(${stamp}) || exit
sleep 0.05
${copyBytes(from, part, report)} || { rm -f -- ${part}; exit 1; }
if [ "$(${stamp})" != "$before" ]; then
    rm -f -- ${part}
    echo "${raw(from)} was written while it was being copied, so the copy is of no one point in time" >&2
    exit ${IN_USE}
fi
mv -T -- ${part} ${done}`;
}

export function refuseInUse(context: Context, copy: { source: ObjectFacts; inUse: boolean }): void {
    if (!copy.inUse) return;
    throw new BlockhostError(
        "in-use",
        `"${copy.source.name}" is in use, and the file system of pool "${context.pool.name}" can only copy it byte by byte: the copy would not be of one point in time`,
        {
            hint: "detach it from its clients first, or keep the pool on a file system that can share extents (XFS with reflink=1, btrfs)",
        },
    );
}

/** A plan that ends with a wait, or the whole of it. */
export function timeoutOf(state: CopyState): Partial<Plan> {
    return {
        ...(state.waitFor === undefined ? {} : { waitFor: state.waitFor }),
        ...(state.timeout === undefined ? {} : { timeout: state.timeout }),
    };
}
