import { BlockhostError } from "../../errors";
import type { UnitFacts } from "../../host/facts";
import { IN_USE, type Step } from "../../host/plan";
import { startUnit, stopUnit } from "../../host/units";
import { type Sh, lines, sh } from "../../sh";
import { INLINE_BYTES } from "./bytes";
import type { Context } from "./steps";

/** Long work of this driver: units named `lvm-<job>-<object>-<generation>`. */

export interface Work {
    readonly job: "copy" | "revert" | "undo" | "wipe";
    readonly name: string;
    readonly generation: string;
    readonly label: string;
    readonly bytes: number;
    /** Takes the path of the report file, or nothing; safe to do again. */
    readonly script: (report: string) => Sh;
}

/** What is left of it. */
export interface WorkState {
    /** Done in an earlier round; its unit is to be cleared away. */
    readonly done: boolean;
    /** Steps that do it, or start it. */
    readonly steps: readonly Step[];
    /** Unit to wait for first. */
    readonly waitFor?: string;
}

/** @throws BlockhostError when it has failed in this operation. */
export function workState(context: Context, work: Work): WorkState {
    const unitName = `lvm-${work.job}-${work.name}-${work.generation}`;
    const unit = context.host.units.get(unitName);
    requireNotFailed(unit, work.label);
    if (unit?.state === "done") return { done: true, steps: [] };
    if (unit?.state === "running") return { done: false, steps: [], waitFor: unitName };
    if (work.bytes <= INLINE_BYTES) {
        return { done: false, steps: [{ label: work.label, script: work.script("") }] };
    }
    const report = `${context.pool.stateDirectory}/units/${unitName}/bytes`;
    const start = startUnit(context.pool.stateDirectory, {
        name: unitName,
        label: `start to ${work.label}`,
        script: work.script(report),
        progress: sh`cat ${report}`,
        totalBytes: work.bytes,
    });
    return { done: false, steps: [start], waitFor: unitName };
}

/** Ends an object's long work, and clears away what it left. */
export function dropWork(context: Context, name: string, generation: string): Step {
    const mine = `-${name}-${generation}`;
    const running = [...context.host.units.values()].filter(
        (unit) => unit.state === "running" && unit.name.startsWith("lvm-") && unit.name.endsWith(mine),
    );
    return {
        label: `clear away unfinished work of "${name}"`,
        script: lines(
            ...running.map((unit) => sh`( ${stopUnit(context.pool.stateDirectory, unit.name)} ) || exit`),
            sh`for unit in ${`${context.pool.stateDirectory}/units/`}lvm-*${mine}; do
    [ -d "$unit" ] || continue
    flock -w 10 "$unit/lock" rm -rf -- "$unit" || exit
done`,
        ),
    };
}

/** True where there may be work to clear away. */
export function hasWork(context: Context, name: string, generation: string): boolean {
    const mine = `-${name}-${generation}`;
    return [...context.host.units.keys()].some((unit) => unit.startsWith("lvm-") && unit.endsWith(mine));
}

function requireNotFailed(unit: UnitFacts | undefined, doing: string): void {
    if (unit?.state !== "failed") return;
    const details = { step: doing, exitStatus: unit.exitStatus, stderr: unit.log };
    if (unit.exitStatus === IN_USE) {
        const hint = "stop what has it open, then run the same again";
        throw new BlockhostError("in-use", `${doing}: the device is open`, { ...details, hint });
    }
    throw new BlockhostError("command-failed", `${doing} failed`, {
        ...details,
        hint: "mend what the host complains of, then run the same again: it begins anew",
    });
}
