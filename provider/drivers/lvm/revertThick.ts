import { BlockhostError } from "../../errors";
import type { Plan, Step } from "../../host/plan";
import { claimSpace, showBytes } from "../capacity";
import { bringBack } from "./bytes";
import { cowSnapshots, requireReadable } from "./check";
import { cowBytes, cowCommand } from "./cow";
import { safetyOf } from "./remove";
import type { RevertWanted } from "./revert";
import { begunMark, isSafetyOf, pendingOf, requireSnapshot, safetyMark, settledMark } from "./revertMarks";
import {
    type Context,
    type Data,
    changeMark,
    guard,
    guardStep,
    plan,
    removeCommand,
    safetyName,
    setMark,
    step,
    watch,
} from "./steps";
import { dropWork, hasWork, workState } from "./work";

/**
 * What differs from the snapshot is written back into the volume (merging it instead would use it up):
 *
 *     volume: reverting → old safety snapshot away → snapshot of the volume, with room for all of it, as safety snapshot →
 *     write back what differs, as long work where the volume is large → volume: ready
 *
 * Blocks that differ have been kept by the snapshot already, so that writing them takes none of its space.
 */
export function revertThick(context: Context, want: RevertWanted, volume: Data): Plan {
    const { name } = want;
    const token = want.mark.extra["token"] ?? "";
    const snapshot = requireSnapshot(context, want.snapshot, volume);
    [volume, snapshot].forEach(requireReadable);
    const safety = safetyOf(context, volume);
    const present = isSafetyOf(safety, token);
    requireRoomInOthers(context, volume, snapshot);
    const names = [name, safetyName(name)];
    const space = cowBytes(context, volume.sizeBytes, 100);
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name: safetyName(name),
        thin: false,
        provisionedBytes: safety === undefined ? space : 0,
        allocatedBytes: safety === undefined ? space : 0,
    });
    const begun = volume.mark.phase === "reverting" ? volume.mark : begunMark(volume, token, snapshot.name);
    const work = workState(context, {
        job: "revert",
        name,
        generation: volume.mark.generation,
        label: `write back what "${snapshot.name}" holds`,
        bytes: volume.sizeBytes,
        script: (report) => bringBack(snapshot.path, volume.path, report),
    });
    const rest = { claims: [claim], timeout: 300_000, ...watch(context, snapshot.name) };
    if (work.waitFor !== undefined && work.steps.length === 0) {
        return plan(context, names, [], { ...rest, waitFor: work.waitFor });
    }
    const begin: Step[] = [
        step(
            `mark "${name}" as reverting`,
            guard(context, {
                closed: [volume],
                same: safety === undefined ? [snapshot] : [snapshot, safety],
                free: safety === undefined ? [safetyName(name)] : [],
            }),
            setMark(context, volume, begun),
        ),
        ...(safety === undefined || present
            ? []
            : [step("remove the previous safety snapshot", removeCommand(context, safety))]),
        ...(present
            ? []
            : [
                  step(
                      `keep what "${name}" holds as "${safetyName(name)}"`,
                      cowCommand(context, {
                          name: safetyName(name),
                          origin: name,
                          cowBytes: space,
                          mark: safetyMark(volume, token),
                      }),
                  ),
              ]),
        ...work.steps,
    ];
    if (work.waitFor !== undefined) return plan(context, names, begin, { ...rest, waitFor: work.waitFor });
    const steps = [
        ...begin,
        ...(hasWork(context, name, volume.mark.generation)
            ? [dropWork(context, name, volume.mark.generation)]
            : []),
        step(`mark "${name}" as ready`, changeMark(context, name, begun, settledMark(begun, token))),
    ];
    return plan(context, names, steps, rest);
}

/**
 * Other snapshots of the volume have to keep what is overwritten: at most what this one has kept.
 *
 * @throws BlockhostError `no-space` where one could overflow.
 */
function requireRoomInOthers(context: Context, volume: Data, snapshot: Data): void {
    const part = (object: Data | { extra?: Readonly<Record<string, string>> }) =>
        Number(object.extra?.["cow"] ?? 0) * (Number(object.extra?.["data"] ?? 0) / 100);
    const needed = part(snapshot) + (volume.sizeBytes - snapshot.sizeBytes);
    for (const other of cowSnapshots(context, volume)) {
        if (other.name === snapshot.name || other.name === safetyName(volume.name)) continue;
        const cow = Number(other.extra?.["cow"] ?? 0);
        if (cow >= cowBytes(context, other.sizeBytes ?? 0, 100) || cow - part(other) > needed) continue;
        throw new BlockhostError(
            "no-space",
            `snapshot "${other.name}" of the same volume could overflow: it may have to keep ${showBytes(needed)} more`,
            {
                hint: `give it more space on the host (\`lvextend -L +${String(Math.ceil(needed / 2 ** 20))}M ${other.path.slice(5)}\`), or delete it`,
            },
        );
    }
}

/** See `settleRevert`: what was written back is taken back from the safety snapshot. */
export function settleThick(context: Context, volume: Data): Plan {
    const { name, mark } = volume;
    const { generation } = mark;
    const names = [name, safetyName(name)];
    const safety = safetyOf(context, volume);
    const clear = hasWork(context, name, generation) ? [dropWork(context, name, generation)] : [];
    const isDone = context.host.units.get(`lvm-revert-${name}-${generation}`)?.state === "done";
    if (safety === undefined || !isSafetyOf(safety, pendingOf(mark)) || isDone) {
        const token = isDone ? pendingOf(mark) : mark.extra["token"];
        const half = safety?.mark?.phase === "creating" ? [safety] : [];
        const steps = [
            guardStep(context, { same: [volume, ...half] }),
            ...half.map((object) =>
                step("remove the safety snapshot that was not finished", removeCommand(context, object)),
            ),
            ...clear,
            step(`mark "${name}" as ready`, setMark(context, volume, settledMark(mark, token))),
        ];
        return plan(context, names, steps);
    }
    const work = workState(context, {
        job: "undo",
        name,
        generation,
        label: `take back what was written to "${name}"`,
        bytes: volume.sizeBytes,
        script: (report) => bringBack(safety.path, volume.path, report),
    });
    if (work.waitFor !== undefined && work.steps.length === 0)
        return plan(context, names, [], { waitFor: work.waitFor });
    const begin = [
        guardStep(context, { closed: [volume], same: [safety] }),
        ...(work.done ? [] : clear),
        ...work.steps,
    ];
    if (work.waitFor !== undefined) return plan(context, names, begin, { waitFor: work.waitFor });
    const steps = [
        ...begin,
        step("remove the safety snapshot", removeCommand(context, safety)),
        ...(work.done ? clear : []),
        step(`mark "${name}" as ready`, setMark(context, volume, settledMark(mark, mark.extra["token"]))),
    ];
    return plan(context, names, steps, { timeout: 300_000 });
}
