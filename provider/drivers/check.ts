import { BlockhostError } from "../errors";
import type { ObjectFacts } from "../host/facts";
import { type Mark, describeOwner, sameOwner } from "../host/mark";
import type { PlanContext } from "./types";

/**
 * What planners of every driver check again although `provider/resources` has checked it: they are the last before the
 * host.
 */

/** @throws BlockhostError `not-found` when nothing can be said about the pool. */
export function requirePool(context: PlanContext): void {
    const { problem } = context.facts;
    if (problem !== undefined) throw new BlockhostError("not-found", problem.summary, { hint: problem.hint });
}

/**
 * The object of a name, if it is of this declaration.
 *
 * @throws BlockhostError `not-ours`: no mark, or another's; `unsupported`: a mark of
 * a newer version.
 */
export function ownObject(context: PlanContext, name: string, mark: Mark): ObjectFacts | undefined {
    const found = context.facts.objects.get(name);
    if (found === undefined) return undefined;
    const quoted = `"${name}" in pool "${context.pool.name}"`;
    const unreadable = found.extra?.["unreadableMark"];
    if (unreadable !== undefined) {
        throw new BlockhostError("unsupported", `the owner mark of ${quoted} cannot be read: ${unreadable}`);
    }
    if (found.mark === undefined) {
        throw new BlockhostError("not-ours", `${quoted} exists and carries no owner mark`, {
            hint: "it stays untouched: use another `name`, or take it over with `adopt`",
        });
    }
    if (!sameOwner(found.mark.owner, mark.owner) || found.mark.kind !== mark.kind) {
        throw new BlockhostError(
            "not-ours",
            `${quoted} is a ${found.mark.kind} of ${describeOwner(found.mark.owner)}`,
            { hint: "it stays untouched: use another `name`" },
        );
    }
    return found;
}

/**
 * As {@link ownObject}, and of the generation that the caller means: required by all that changes or destroys.
 *
 * @throws BlockhostError `not-ours` also when it has been made anew since.
 */
export function sameObject(context: PlanContext, name: string, mark: Mark): ObjectFacts | undefined {
    const found = ownObject(context, name, mark);
    if (found?.mark !== undefined && found.mark.generation !== mark.generation) {
        throw new BlockhostError(
            "not-ours",
            `"${name}" in pool "${context.pool.name}" has been made anew since (generation ${found.mark.generation}, not ${mark.generation})`,
            { hint: "run `pulumi refresh` to see how things stand" },
        );
    }
    return found;
}

/** @throws BlockhostError `not-found` when the object or its data is missing. */
export function requireData(
    context: PlanContext,
    name: string,
    found: ObjectFacts | undefined,
): ObjectFacts & { mark: Mark; sizeBytes: number } {
    const mark = found?.mark;
    const sizeBytes = found?.sizeBytes;
    if (found === undefined || mark === undefined || sizeBytes === undefined) {
        const what = found === undefined ? "does not exist" : "has lost its data";
        throw new BlockhostError("not-found", `"${name}" in pool "${context.pool.name}" ${what}`, {
            hint: "run `pulumi refresh` to see how things stand",
        });
    }
    return { ...found, mark, sizeBytes };
}

/** @throws BlockhostError `conflict` when another operation on it has not ended. */
export function requireReady(name: string, mark: Mark): void {
    if (mark.phase === "ready") return;
    throw new BlockhostError("conflict", `"${name}" is ${mark.phase}`, {
        hint: "the operation that was begun has to be finished first: run the same again",
    });
}

/**
 * The data of a half-adopted object is somebody's: neither emptied nor written over.
 *
 * @throws BlockhostError `exists`.
 */
export function refuseHalfAdopted(found: ObjectFacts | undefined): void {
    const adopted = found?.mark?.extra["adopted"];
    if (found === undefined || adopted === undefined) return;
    throw new BlockhostError("exists", `"${found.name}" is half-way through adopting "${adopted}"`, {
        hint: `declare it with \`adopt: "${adopted}"\` again to finish that, or use another \`name\``,
    });
}
