import { BlockhostError } from "../../errors";
import { type Mark, describeOwner, encodeMark, sameOwner } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { requireData, requirePool, requireReady, sameObject } from "./check";
import { safetyOf } from "./remove";
import { settleRevert } from "./revert";
import { type Context, dropMark, guardStep, plan, setMark, step } from "./steps";

/**
 * Takes our mark off and leaves the volume where it is, under the same name; so too for its safety snapshot (F7:
 * unmanage). What carries no mark is released already.
 *
 * @throws BlockhostError `not-ours`, `conflict` (half-made or half-deleted).
 */
export function release(context: Context, want: { name: string; mark: Mark }): Plan {
    requirePool(context);
    const { name } = want;
    const present = context.facts.objects.get(name);
    if (
        present === undefined ||
        (present.mark === undefined && present.extra?.["unreadableMark"] === undefined)
    ) {
        return NOTHING;
    }
    const found = sameObject(context, name, want.mark);
    if (found?.mark === undefined) return NOTHING;
    if (found.mark.kind === "volume" && found.mark.phase === "reverting") {
        return settleRevert(context, requireData(context, name, found));
    }
    requireReady(name, found.mark);
    const safety = safetyOf(context, found);
    const objects = safety === undefined ? [found] : [safety, found];
    const steps = [
        guardStep(context, { same: objects }),
        step("remove the owner mark", ...objects.map((object) => dropMark(context, object))),
    ];
    return plan(
        context,
        objects.map((object) => object.name),
        steps,
    );
}

/**
 * Rewrites the mark (and the owner of a safety snapshot), nothing else: a resource was renamed by an alias.
 *
 * @throws BlockhostError `not-ours` (neither `from` nor `to`), `not-found`.
 */
export function remark(context: Context, want: { name: string; from: Mark; to: Mark }): Plan {
    requirePool(context);
    const { name, from, to } = want;
    const found = context.facts.objects.get(name);
    const mark = found?.mark;
    if (found === undefined || mark === undefined) {
        throw new BlockhostError(
            "not-found",
            `"${name}" in pool "${context.pool.name}" carries no owner mark`,
            { hint: "run `pulumi refresh` to see how things stand" },
        );
    }
    const rightful = [from, to].some(
        (one) => sameOwner(one.owner, mark.owner) && one.generation === mark.generation,
    );
    if (!rightful) throw new BlockhostError("not-ours", `"${name}" is of ${describeOwner(mark.owner)}`);
    const safety = safetyOf(context, found);
    const keeps = safety?.mark !== undefined && !sameOwner(safety.mark.owner, to.owner) ? safety : undefined;
    const changed = encodeMark(mark) !== encodeMark(to);
    if (!changed && keeps === undefined) return NOTHING;
    const objects = keeps === undefined ? [found] : [keeps, found];
    const steps = [
        guardStep(context, { same: objects }),
        step(
            `mark "${name}"`,
            ...(keeps?.mark === undefined
                ? []
                : [setMark(context, keeps, { ...keeps.mark, owner: to.owner })]),
            ...(changed ? [setMark(context, found, to)] : []),
        ),
    ];
    return plan(
        context,
        objects.map((object) => object.name),
        steps,
    );
}
