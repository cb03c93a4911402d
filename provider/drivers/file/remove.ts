import type { ObjectFacts } from "../../host/facts";
import { type Mark, sameOwner } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import { SAFETY_SUFFIX } from "../../names";
import { sh } from "../../sh";
import type { Wipe } from "../types";
import { requirePool, sameObject } from "./check";
import { dataFile } from "./layout";
import { notOpen } from "./open";
import { prepare } from "./pool";
import { type Context, guard, plan, removeMarks, setMark, step } from "./steps";
import { decodeWipe, encodeWipe, wipeData } from "./wipe";
import { dropWork } from "./work";

/**
 * Deletes a volume with its safety snapshot, or a snapshot: mark as deleting → wipe as asked → data → mark, the mark
 * last (F1: delete_volume, F2: delete_snapshot, F11: volume_clear). Gone already is fine.
 *
 * @throws BlockhostError `not-ours` (no mark, another's, another generation), `in-use` (open on the host; from the step).
 */
export function remove(context: Context, want: { name: string; mark: Mark; wipe: Wipe }): Plan {
    requirePool(context);
    const found = sameObject(context, want.name, want.mark);
    return found === undefined ? NOTHING : removal(context, found, want.wipe);
}

/** Ends a deletion that was begun, as it was asked for then. */
export function finishDeletion(context: Context, found: ObjectFacts): Plan {
    return found.mark === undefined ? NOTHING : removal(context, found, decodeWipe(found.mark));
}

function removal(context: Context, found: ObjectFacts, wipe: Wipe): Plan {
    const { name, mark } = found;
    if (mark === undefined) return NOTHING;
    const safety = safetyOf(context, found);
    const objects = safety === undefined ? [found] : [found, safety];
    const names = objects.map((object) => object.name);
    const other = context.facts.objects.get(name + SAFETY_SUFFIX);
    const foreignMark = other?.mark !== undefined || other?.extra?.["unreadableMark"] !== undefined;
    const withData = objects.filter(({ sizeBytes }) => sizeBytes !== undefined);
    const files = withData.map((object) => dataFile(object.name));
    const wiping = wipeData(context, { name, generation: mark.generation, wipe }, withData);
    if (wiping.waitFor !== undefined && wiping.steps.length === 0) {
        return plan(context, names, [], { waitFor: wiping.waitFor });
    }
    const begin: Step[] = [
        ...prepare(context, mark),
        guard(context, {
            marked: objects,
            ...(safety === undefined && !foreignMark ? { unmarked: [name + SAFETY_SUFFIX] } : {}),
        }),
        ...(files.length === 0 ? [] : [notOpen(context, files)]),
        ...(mark.phase === "deleting"
            ? []
            : [
                  setMark(context, name, {
                      ...mark,
                      phase: "deleting",
                      extra: { ...mark.extra, ...encodeWipe(wipe) },
                  }),
              ]),
        ...wiping.steps,
    ];
    if (wiping.waitFor !== undefined) return plan(context, names, begin, { waitFor: wiping.waitFor });
    const steps: Step[] = [
        ...begin,
        dropWork(context, name, mark.generation),
        ...(files.length === 0
            ? []
            : [step(context, `remove ${files.join(" and ")}`, sh`rm -f -- ${files}`)]),
        removeMarks(context, [...names].reverse()),
    ];
    return plan(context, names, steps, wiping.timeout === undefined ? {} : { timeout: wiping.timeout });
}

/** The safety snapshot that a revert of this volume left; another's object of that name is let be. */
export function safetyOf(context: Context, volume: ObjectFacts): ObjectFacts | undefined {
    if (volume.mark?.kind !== "volume") return undefined;
    const safety = context.facts.objects.get(volume.name + SAFETY_SUFFIX);
    if (safety?.mark?.kind !== "safety" || !sameOwner(safety.mark.owner, volume.mark.owner)) return undefined;
    return safety;
}
