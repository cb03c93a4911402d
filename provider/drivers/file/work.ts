import { BlockhostError } from "../../errors";
import type { UnitFacts } from "../../host/facts";
import { IN_USE, type Step } from "../../host/plan";
import { stopUnit } from "../../host/units";
import { joined, sh } from "../../sh";
import { WORK } from "./layout";
import { type Context, step } from "./steps";

/** Long work of this driver: units named `<job>-<object>-<generation>[-<id>]`, copies in `.blockhost/work`. */

export function unitDirectory(context: Context, unit: string): string {
    return `${context.pool.stateDirectory}/units/${unit}`;
}

/**
 * Units of an object that are under way and that nobody needs any more.
 *
 * (The engine shows an operation only those failed units that it waited for itself.)
 */
function runningUnits(context: Context, name: string, generation: string, keep?: string): string[] {
    return [...context.host.units.values()]
        .filter((unit) => unit.state === "running" && unit.name !== keep)
        .map((unit) => unit.name)
        .filter((unit) => unit.includes(`-${name}-${generation}`));
}

/** Ends an object's long work and removes its unfinished copies; a stop half-way is made good by doing it again. */
export function dropWork(context: Context, name: string, generation: string): Step {
    const stops = runningUnits(context, name, generation).map(
        (unit) => sh`( ${stopUnit(context.pool.stateDirectory, unit)} ) || exit
`,
    );
    return step(
        context,
        `clear away unfinished work of "${name}"`,
        sh`${joined(stops)}for unit in ${unitDirectory(context, "")}*-${name}-${generation}*; do
    [ -d "$unit" ] || continue
    flock -w 10 "$unit/lock" rm -rf -- "$unit" || exit
done
for path in ${`${WORK}/${name}`}~*; do
    [ -e "$path" ] || continue
    rm -f -- "$path" || exit
done`,
    );
}

/**
 * A unit's failure as an error; the next operation starts it again.
 *
 * @throws BlockhostError `in-use`, `no-space`, `command-failed`.
 */
export function requireNotFailed(unit: UnitFacts | undefined, doing: string): void {
    if (unit?.state !== "failed") return;
    const details = { step: doing, exitStatus: unit.exitStatus, stderr: unit.log };
    if (unit.exitStatus === IN_USE) {
        throw new BlockhostError("in-use", `${doing}: the source was written meanwhile`, {
            ...details,
            hint: "detach it from its clients, then run the same again",
        });
    }
    if (/No space left on device|Disk quota exceeded/.test(unit.log)) {
        throw new BlockhostError("no-space", `${doing}: the pool's file system is full`, {
            ...details,
            hint: "free space on the host or grow the pool, then run the same again: it begins anew",
        });
    }
    throw new BlockhostError("command-failed", `${doing} failed`, {
        ...details,
        hint: "mend what the host complains of, then run the same again: it begins anew",
    });
}
