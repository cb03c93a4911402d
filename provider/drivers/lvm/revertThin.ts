import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import type { Plan, Step } from "../../host/plan";
import { claimSpace } from "../capacity";
import { requireThinRoom } from "./check";
import { safetyOf } from "./remove";
import type { RevertWanted } from "./revert";
import {
    begunMark,
    isSafetyOf,
    mergedMark,
    pendingOf,
    requireSnapshot,
    safetyMark,
    settledMark,
} from "./revertMarks";
import {
    type Context,
    type Data,
    activate,
    changeMark,
    createCommand,
    deactivate,
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
} from "./steps";

/**
 * The snapshot is merged into the volume, which keeps its name, UUID and tags; a copy of the snapshot takes the place of
 * the one that the merge uses up:
 *
 *     volume and snapshot down → volume: reverting → old safety snapshot away → snapshot of the volume as safety snapshot
 *     → snapshot of the snapshot as `<snapshot>.safety` → merge → extend → volume: merged → rename the copy → snapshot:
 *     ready → volume: ready → all up
 *
 * Only while nobody has them open: LVM puts off the merge into an open volume, and the volume breaks if it is extended
 * before (seen). The volume is there under its name at every moment, and so in the facts is the snapshot.
 */
export function revertThin(context: Context, want: RevertWanted, volume: Data): Plan {
    const { name } = want;
    const token = want.mark.extra["token"] ?? "";
    if (isMerged(context, volume, want.snapshot)) return conclude(context, volume, want.snapshot);
    const snapshot = requireSnapshot(context, want.snapshot, volume);
    const safety = safetyOf(context, volume);
    const kept = keptOf(context, want.snapshot);
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name: safetyName(name),
        thin: true,
        provisionedBytes: safety === undefined ? volume.sizeBytes : 0,
        allocatedBytes: 0,
    });
    requireThinRoom(context);
    const begun = volume.mark.phase === "reverting" ? volume.mark : begunMark(volume, token, snapshot.name);
    const keeping: Mark = { ...snapshot.mark, phase: "reverting" };
    const size = Number(begun.extra["size"]);
    const flags = ["-s", "-an", "-kn", "-pr"];
    const present = isSafetyOf(safety, token);
    const steps: Step[] = [
        step(
            `take "${name}" and "${snapshot.name}" down`,
            guard(context, {
                closed: [volume, snapshot],
                same: [safety, kept].filter((one) => one !== undefined),
                free: [
                    ...(safety === undefined ? [safetyName(name)] : []),
                    ...(kept === undefined ? [safetyName(snapshot.name)] : []),
                ],
            }),
            deactivate(context, name),
            deactivate(context, snapshot.name),
        ),
        step(`mark "${name}" as reverting`, setMark(context, volume, begun)),
        ...(safety === undefined || present
            ? []
            : [step("remove the previous safety snapshot", removeCommand(context, safety))]),
        ...(present
            ? []
            : [
                  step(
                      `keep what "${name}" holds as "${safetyName(name)}"`,
                      createCommand(
                          context,
                          safetyName(name),
                          ...flags,
                          "--addtag",
                          encodeMark(safetyMark(volume, token)),
                          full(context, name),
                      ),
                  ),
              ]),
        ...(kept === undefined
            ? [
                  step(
                      `keep "${snapshot.name}"`,
                      createCommand(
                          context,
                          safetyName(snapshot.name),
                          ...flags,
                          "--addtag",
                          encodeMark(keeping),
                          full(context, snapshot.name),
                      ),
                  ),
              ]
            : []),
        step(
            `merge "${snapshot.name}" into "${name}"`,
            lvm(context, "lvconvert", "-y", "--merge", full(context, snapshot.name)),
        ),
        ...(snapshot.sizeBytes < size ? [step(`grow "${name}"`, extendCommand(context, name, size))] : []),
        step(`mark "${name}" as merged`, changeMark(context, name, begun, mergedMark(begun))),
        ...placeKept(context, snapshot.name, kept?.mark ?? keeping),
        step(
            `mark "${name}" as ready`,
            changeMark(context, name, mergedMark(begun), settledMark(begun, token)),
            activate(context, name, snapshot.name, safetyName(name)),
        ),
    ];
    return plan(context, touched(name, snapshot.name), steps, { claims: [claim], timeout: 120_000 });
}

function placeKept(context: Context, snapshot: string, keeping: Mark): Step[] {
    return [
        step(
            `put "${snapshot}" in place`,
            lvm(context, "lvrename", context.pool.options.volumeGroup, safetyName(snapshot), snapshot),
            changeMark(context, snapshot, keeping, { ...keeping, phase: "ready" }),
        ),
    ];
}

/** The merge has happened: the volume's mark says so, or the snapshot itself is not there any more. */
function isMerged(context: Context, volume: Data, snapshot: string): boolean {
    if (volume.mark.phase !== "reverting") return false;
    if (volume.mark.extra["merged"] !== undefined) return true;
    const found = context.facts.objects.get(snapshot);
    // Gone altogether: whether it was merged before cannot be told, so nothing of what is kept may go.
    if (found === undefined) return isSafetyOf(safetyOf(context, volume), pendingOf(volume.mark));
    return found.extra?.["keptAs"] !== undefined || found.mark?.phase === "reverting";
}

function conclude(context: Context, volume: Data, snapshot: string): Plan {
    const { name, mark } = volume;
    const found = context.facts.objects.get(snapshot);
    const safety = safetyOf(context, volume);
    const size = Number(mark.extra["size"] ?? volume.sizeBytes);
    const stands = found?.extra?.["keptAs"] !== undefined && found.mark !== undefined;
    const waits = !stands && found?.mark?.phase === "reverting";
    const merged = mergedMark(mark);
    const up = [
        name,
        ...(found === undefined ? [] : [snapshot]),
        ...(safety === undefined ? [] : [safety.name]),
    ];
    const steps: Step[] = [
        guardStep(context, { same: [volume, ...(found === undefined ? [] : [found])] }),
        ...(volume.sizeBytes < size ? [step(`grow "${name}"`, extendCommand(context, name, size))] : []),
        step(`mark "${name}" as merged`, setMark(context, volume, merged)),
        ...(stands ? placeKept(context, snapshot, found.mark) : []),
        ...(waits && found.mark !== undefined
            ? [
                  step(
                      `mark "${snapshot}" as ready`,
                      setMark(context, found, { ...found.mark, phase: "ready" }),
                  ),
              ]
            : []),
        step(
            `mark "${name}" as ready`,
            changeMark(context, name, merged, settledMark(mark, pendingOf(mark))),
            activate(context, ...up),
        ),
    ];
    return plan(context, touched(name, snapshot), steps);
}

/** See `settleRevert`. */
export function settleThin(context: Context, volume: Data): Plan {
    const { name, mark } = volume;
    const snapshot = mark.extra["from"] ?? "";
    if (isMerged(context, volume, snapshot)) return conclude(context, volume, snapshot);
    const safety = safetyOf(context, volume);
    const kept = keptOf(context, snapshot);
    const made = isSafetyOf(safety, pendingOf(mark)) ? safety : undefined;
    const going = [made, kept].filter((one) => one !== undefined);
    const found = context.facts.objects.get(snapshot);
    const steps = [
        guardStep(context, { same: [volume, ...going] }),
        ...(going.length === 0
            ? []
            : [step("remove what was kept", ...going.map((one) => removeCommand(context, one)))]),
        step(
            `mark "${name}" as ready`,
            setMark(context, volume, settledMark(mark, mark.extra["token"])),
            activate(context, name, ...(found === undefined ? [] : [snapshot])),
        ),
    ];
    return plan(context, touched(name, snapshot), steps);
}

function keptOf(context: Context, snapshot: string): ObjectFacts | undefined {
    const kept = context.facts.objects.get(safetyName(snapshot));
    return kept?.mark?.kind === "snapshot" ? kept : undefined;
}

function touched(name: string, snapshot: string): string[] {
    return [name, safetyName(name), ...(snapshot === "" ? [] : [snapshot, safetyName(snapshot)])];
}
