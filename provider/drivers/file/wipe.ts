import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import type { Step } from "../../host/plan";
import { startUnit } from "../../host/units";
import { type Sh, lines, sh } from "../../sh";
import type { Wipe } from "../types";
import { INLINE_BYTES, wipeBytes } from "./bytes";
import { dataFile, poolDirectory } from "./layout";
import { type Context, step } from "./steps";
import { requireNotFailed, unitDirectory } from "./work";

/**
 * Cinder's volume_clear: overwrites data with zeros before it is deleted (F11).
 *
 * Only what the file really holds is overwritten: holes have no data, and filling them could fill the pool. Extents that
 * a snapshot or clone shares are **not** overwritten in place: the file system writes the zeros elsewhere and the
 * others keep the data, as they must; they are cleared when the last of them is wiped. Neither are blocks that the file
 * had once and gave back (discard), nor copies that a drive keeps of its own. Where that matters, encrypt.
 */
export interface WipeState {
    readonly steps: readonly Step[];
    readonly waitFor?: string;
    readonly timeout?: number;
}

export function wipeData(
    context: Context,
    target: { name: string; generation: string; wipe: Wipe },
    objects: readonly ObjectFacts[],
): WipeState {
    const { wipe } = target;
    const holding = objects.filter(({ allocatedBytes = 0 }) => allocatedBytes > 0);
    if (wipe.method !== "zero" || holding.length === 0) return { steps: [] };
    const unitName = `wipe-${target.name}-${target.generation}`;
    const unit = context.host.units.get(unitName);
    const label = `overwrite "${target.name}" with zeros`;
    requireNotFailed(unit, label);
    if (unit?.state === "done") return { steps: [] };
    if (unit?.state === "running") return { steps: [], waitFor: unitName };
    const bytes = holding.reduce((sum, { allocatedBytes = 0 }) => sum + limited(wipe, allocatedBytes), 0);
    const report = bytes <= INLINE_BYTES ? "" : `${unitDirectory(context, unitName)}/bytes`;
    const scripts = holding.map(
        ({ name }) =>
            sh`ionice ${niceness(wipe)} ${wipeBytes(dataFile(name), wipe.limitBytes, report)} || exit`,
    );
    const script = lines(...scripts);
    if (bytes <= INLINE_BYTES) return { steps: [step(context, label, script)], timeout: 300_000 };
    const start = startUnit(context.pool.stateDirectory, {
        name: unitName,
        label: `start to ${label}`,
        script: lines(sh`cd ${poolDirectory(context)} || exit`, script),
        progress: sh`cat ${report}`,
        totalBytes: bytes,
    });
    return { steps: [start], waitFor: unitName };
}

/** -t: a kernel or container that knows no I/O classes is no reason not to wipe. */
function niceness({ ionice }: Wipe): Sh {
    return ionice === "idle" ? sh`-t -c 3` : sh`-t -c 2 -n ${ionice}`;
}

function limited({ limitBytes }: Wipe, bytes: number): number {
    return limitBytes === 0 ? bytes : Math.min(limitBytes, bytes);
}

/** Kept in the mark of an object that is being deleted, so that whoever finishes it wipes as was asked. */
export function encodeWipe(wipe: Wipe): Record<string, string> {
    return wipe.method !== "zero" ? {} : { wipe: `${String(wipe.limitBytes)}.${String(wipe.ionice)}` };
}

export function decodeWipe(mark: Mark): Wipe {
    const [, limit, ionice] = /^(\d+)\.(idle|[0-7])$/.exec(mark.extra["wipe"] ?? "") ?? [];
    if (limit === undefined) return { method: "none", limitBytes: 0, ionice: "idle" };
    return { method: "zero", limitBytes: Number(limit), ionice: ionice === "idle" ? "idle" : Number(ionice) };
}
