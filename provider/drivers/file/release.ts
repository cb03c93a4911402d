import { BlockhostError } from "../../errors";
import { type Mark, describeOwner, encodeMark, sameOwner } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { requireData, requirePool, requireReady, sameObject } from "./check";
import { prepare } from "./pool";
import { safetyOf } from "./remove";
import { settleRevert } from "./revert";
import { type Context, guard, plan, removeMarks, setMark } from "./steps";
import { dropWork } from "./work";

/**
 * Takes our mark off and leaves the data where it is, under the same name; so too for a volume's safety snapshot (F7:
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
    // A stopped revert may have left two names for one file.
    if (found.mark.phase === "reverting" && found.sizeBytes !== undefined) {
        return settleRevert(context, requireData(context, name, found));
    }
    requireReady(name, found.mark);
    const safety = safetyOf(context, found);
    const objects = safety === undefined ? [found] : [found, safety];
    const names = objects.map((object) => object.name);
    const steps = [
        ...prepare(context, found.mark),
        guard(context, { marked: objects }),
        dropWork(context, name, found.mark.generation),
        removeMarks(context, [...names].reverse()),
    ];
    return plan(context, names, steps);
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
    if (found?.mark === undefined) {
        throw new BlockhostError(
            "not-found",
            `"${name}" in pool "${context.pool.name}" carries no owner mark`,
            {
                hint: "run `pulumi refresh` to see how things stand",
            },
        );
    }
    const rightful = [from, to].some(
        (mark) =>
            sameOwner(mark.owner, found.mark?.owner ?? to.owner) &&
            mark.generation === found.mark?.generation,
    );
    if (!rightful) {
        throw new BlockhostError("not-ours", `"${name}" is of ${describeOwner(found.mark.owner)}`);
    }
    const safety = context.facts.objects.get(`${name}.safety`);
    const kept =
        safety?.mark?.kind === "safety" &&
        safety.mark.generation === found.mark.generation &&
        sameOwner(safety.mark.owner, from.owner) &&
        !sameOwner(from.owner, to.owner)
            ? { object: safety, mark: safety.mark }
            : undefined;
    const changed = encodeMark(found.mark) !== encodeMark(to);
    if (!changed && kept === undefined) return NOTHING;
    const objects = kept === undefined ? [found] : [found, kept.object];
    const steps = [
        ...prepare(context, to),
        guard(context, { marked: objects }),
        ...(kept === undefined
            ? []
            : [setMark(context, kept.object.name, { ...kept.mark, owner: to.owner })]),
        ...(changed ? [setMark(context, name, to)] : []),
    ];
    return plan(
        context,
        objects.map((object) => object.name),
        steps,
    );
}
