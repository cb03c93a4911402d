import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark, sameOwner } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import type { Wipe } from "../types";
import { cowSnapshots, requirePool, sameObject } from "./check";
import { type Context, guardStep, plan, removeLater, safetyName, setMark, step } from "./steps";
import { decodeWipe, encodeWipe, wipeWork } from "./wipe";
import { dropWork, hasWork } from "./work";

/**
 * Deletes a volume with its safety snapshot, or a snapshot (F1: delete_volume, F2: delete_snapshot, F11: volume_clear).
 * Those of a run go together, by one command. With wiping, the mark says `deleting` and how from before the wipe begins.
 *
 * @throws BlockhostError `not-ours` (no mark, another's, another generation), `in-use` (snapshots of somebody else's; open
 * on the host, from the step).
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

/** What was begun in another way than it is asked for by now. */
export function removeHalfMade(context: Context, found: ObjectFacts): Plan {
    return removal(context, found, { method: "none", limitBytes: 0, ionice: "idle" });
}

function removal(context: Context, found: ObjectFacts, wipe: Wipe): Plan {
    const { name, mark } = found;
    if (mark === undefined) return NOTHING;
    const safety = safetyOf(context, found) ?? keptFor(context, found);
    const objects = safety === undefined ? [found] : [found, safety];
    const names = objects.map((object) => object.name);
    refuseForeignSnapshots(context, found, objects);
    const wiping = wipeWork(context, { name, generation: mark.generation, wipe }, objects);
    if (wiping.waitFor !== undefined && wiping.steps.length === 0) {
        return plan(context, names, [], { waitFor: wiping.waitFor });
    }
    const check = guardStep(context, { closed: objects });
    const deleting: Mark = {
        ...mark,
        phase: "deleting",
        extra: { ...mark.extra, ...encodeWipe(wipe) },
    };
    const marks = wiping.steps.length > 0 && mark.phase !== "deleting";
    const begin: Step[] = [
        check,
        ...(marks ? [step(`mark "${name}" as deleting`, setMark(context, found, deleting))] : []),
        ...wiping.steps,
    ];
    if (wiping.waitFor !== undefined) return plan(context, names, begin, { waitFor: wiping.waitFor });
    const last = marks ? { ...found, extra: { ...found.extra, markText: encodeMark(deleting) } } : found;
    const steps = [
        ...begin,
        ...(hasWork(context, name, mark.generation) ? [dropWork(context, name, mark.generation)] : []),
    ];
    return plan(context, names, steps, {
        ...removeLater(context, safety === undefined ? [last] : [safety, last]),
        timeout: wiping.steps.length === 0 ? 60_000 : 300_000,
    });
}

/** LVM would remove them with the volume. */
function refuseForeignSnapshots(context: Context, found: ObjectFacts, going: readonly ObjectFacts[]): void {
    const others = cowSnapshots(context, found).filter(({ name }) => !going.some((one) => one.name === name));
    if (others.length === 0) return;
    const list = others.map(({ name }) => `"${name}"`).join(", ");
    throw new BlockhostError("in-use", `"${found.name}" still has snapshots: ${list}`, {
        hint: "they live on the volume's data, and would go with it: delete them first",
    });
}

/** The copy that was going to take a snapshot's place when a revert was cut short. */
function keptFor(context: Context, { name, mark, extra = {} }: ObjectFacts): ObjectFacts | undefined {
    if (mark?.kind !== "snapshot" || extra["keptAs"] !== undefined) return undefined;
    const kept = context.facts.objects.get(safetyName(name));
    return kept?.mark?.kind === "snapshot" && kept.mark.generation === mark.generation ? kept : undefined;
}

/** The safety snapshot of this volume; another's object of that name is let be. */
export function safetyOf(context: Context, volume: ObjectFacts): ObjectFacts | undefined {
    if (volume.mark?.kind !== "volume") return undefined;
    const safety = context.facts.objects.get(safetyName(volume.name));
    if (safety?.mark?.kind !== "safety" || !sameOwner(safety.mark.owner, volume.mark.owner)) return undefined;
    return safety;
}
