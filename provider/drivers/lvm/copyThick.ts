import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import type { Plan, Step } from "../../host/plan";
import { claimSpace } from "../capacity";
import { copyBytes } from "./bytes";
import { begunAs, requireReadable, requireSource } from "./check";
import { createThick } from "./create";
import { cowBytes, cowCommand } from "./cow";
import { removeHalfMade, safetyOf } from "./remove";
import {
    type Context,
    type Data,
    changeMark,
    extendCommand,
    full,
    guard,
    guardStep,
    lvm,
    plan,
    removeCommand,
    safetyName,
    setMark,
    step,
    watch,
} from "./steps";
import { dropWork, hasWork, workState } from "./work";

export interface CopyWanted {
    readonly name: string;
    readonly mark: Mark;
    readonly sizeBytes: number;
    readonly source: string;
}

/**
 * A thick volume from another's data, byte by byte: mark as creating → (of a volume: a snapshot of it under
 * `<name>.safety`, so that the copy is of one point in time whoever writes) → copy, as long work where it is large → the
 * snapshot away → mark as ready.
 */
export function copyThick(context: Context, want: CopyWanted, found: ObjectFacts | undefined): Plan {
    const { name, sizeBytes } = want;
    const mark: Mark = { ...want.mark, generation: found?.mark?.generation ?? want.mark.generation };
    if (found !== undefined && !begunAs(found, mark)) return removeHalfMade(context, found);
    const source = requireSource(context, want.source, sizeBytes);
    requireReadable(source);
    const creating: Mark = { ...mark, phase: "creating" };
    const frozen = found === undefined ? undefined : safetyOf(context, found);
    const freezes = source.mark.kind === "volume";
    const names = freezes ? [name, safetyName(name)] : [name];
    const from = freezes ? `/dev/${context.pool.options.volumeGroup}/${safetyName(name)}` : source.path;
    const to = `/dev/${context.pool.options.volumeGroup}/${name}`;
    const work = workState(context, {
        job: "copy",
        name,
        generation: mark.generation,
        label: `copy "${want.source}"`,
        bytes: source.sizeBytes,
        script: (report) => copyBytes(from, to, report),
    });
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin: false,
        provisionedBytes: Math.max(0, sizeBytes - (found?.sizeBytes ?? 0)),
        allocatedBytes:
            Math.max(0, sizeBytes - (found?.sizeBytes ?? 0)) +
            (freezes && frozen === undefined ? cowBytes(context, source.sizeBytes, 100) : 0),
    });
    const rest = { claims: [claim], timeout: 300_000, ...watch(context, source.name) };
    if (work.waitFor !== undefined && work.steps.length === 0) {
        return plan(context, names, [], { ...rest, waitFor: work.waitFor });
    }
    const begin: Step[] = work.done
        ? [guardStep(context, { same: [source, ...(found === undefined ? [] : [found])] })]
        : [
              makeTarget(context, want, creating, source, found),
              ...freeze(context, want, creating, source, frozen, freezes),
          ];
    if (work.waitFor !== undefined) {
        return plan(context, names, [...begin, ...work.steps], { ...rest, waitFor: work.waitFor });
    }
    const leave = hasWork(context, name, mark.generation) ? [dropWork(context, name, mark.generation)] : [];
    // What was held by a run that was cut short has been exchanged for a new one by then, unless the copy is done.
    const thaw = freezes ? [thawStep(context, want, creating, work.done ? frozen : undefined)] : [];
    const ready = step(
        `mark "${name}" as ready`,
        found === undefined ? changeMark(context, name, creating, mark) : setMark(context, found, mark),
    );
    return plan(context, names, [...begin, ...work.steps, ...thaw, ...leave, ready], rest);
}

function makeTarget(
    context: Context,
    want: CopyWanted,
    creating: Mark,
    source: Data,
    found: ObjectFacts | undefined,
): Step {
    const { name, sizeBytes } = want;
    if (found === undefined) {
        return step(
            `create logical volume "${name}"`,
            guard(context, { same: [source], free: [name] }),
            createThick(context, name, sizeBytes, creating),
        );
    }
    return step(
        `take up "${name}" again`,
        guard(context, { same: [source], closed: [found] }),
        ...((found.sizeBytes ?? 0) < sizeBytes ? [extendCommand(context, name, sizeBytes)] : []),
    );
}

function freeze(
    context: Context,
    { name }: CopyWanted,
    creating: Mark,
    source: Data,
    frozen: ObjectFacts | undefined,
    freezes: boolean,
): Step[] {
    if (!freezes) return [];
    const take = cowCommand(context, {
        name: safetyName(name),
        origin: source.name,
        cowBytes: cowBytes(context, source.sizeBytes, 100),
        mark: frozenMark(creating, source.name),
    });
    const again =
        frozen === undefined ? [] : [guard(context, { same: [frozen] }), removeCommand(context, frozen)];
    return [step(`hold what "${source.name}" has now`, ...again, take)];
}

function thawStep(
    context: Context,
    { name, source }: CopyWanted,
    creating: Mark,
    frozen: ObjectFacts | undefined,
): Step {
    if (frozen !== undefined) return step("let it go", removeCommand(context, frozen));
    const text = encodeMark(frozenMark(creating, source));
    return step("let it go", removeByMark(context, safetyName(name), text));
}

function frozenMark(creating: Mark, origin: string): Mark {
    const extra = { origin, for: "copy" };
    return { ...creating, kind: "safety", phase: "ready", extra };
}

/** What an earlier step of the same plan has made, and so has no UUID in the facts. */
function removeByMark(context: Context, name: string, mark: string) {
    return lvm(context, "lvremove", "-y", "-S", `lv_tags={"${mark}"}`, full(context, name));
}
