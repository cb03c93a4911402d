import type { ObjectFacts } from "../../host/facts";
import { type Mark, sameOwner } from "../../host/mark";
import { type Plan, isEmpty } from "../../host/plan";
import { BlockhostError } from "../../errors";
import { requireData, requirePool, sameObject } from "./check";
import { activation } from "./create";
import { isThin } from "./options";
import { settleThick, revertThick } from "./revertThick";
import { revertThin, settleThin } from "./revertThin";
import { pendingOf } from "./revertMarks";
import type { Context, Data } from "./steps";

export interface RevertWanted {
    readonly name: string;
    /** The volume's mark as it shall be when done; `extra.token` says which revert was the last. */
    readonly mark: Mark;
    readonly snapshot: string;
}

/**
 * Puts a volume back to a snapshot, at its present size, and keeps what it held as `<name>.safety` until the next revert
 * or its deletion (F3: revert_to_snapshot). See `revertThin.ts` and `revertThick.ts`.
 *
 * @throws BlockhostError `in-use`, `no-space`, `not-found`, `not-ours`, `invalid`, `conflict`.
 */
export function revert(context: Context, want: RevertWanted): Plan {
    requirePool(context);
    const { name } = want;
    const volume = requireData(context, name, sameObject(context, name, want.mark));
    const token = want.mark.extra["token"] ?? "";
    if (volume.mark.phase === "ready" && volume.mark.extra["token"] === token)
        return activation(context, volume);
    if (volume.mark.phase !== "reverting" && volume.mark.phase !== "ready")
        throw notNow(name, volume.mark.phase);
    refuseStranger(context, volume);
    const pending = pendingOf(volume.mark);
    // Another one was begun: that has to be ended before this can begin.
    if (pending !== undefined && pending !== token) return settleRevert(context, volume);
    if (isThin(context.pool.options)) return revertThin(context, want, volume);
    // What a thick volume goes back to is written into it, through its device.
    const up = activation(context, volume);
    return isEmpty(up) ? revertThick(context, want, volume) : up;
}

/**
 * Ends a revert that was stopped half-way and that nobody asks for any more: where the volume has its new content already
 * it counts as done, else all that there is of it goes, and the volume is as it was.
 */
export function settleRevert(context: Context, volume: Data): Plan {
    return isThin(context.pool.options) ? settleThin(context, volume) : settleThick(context, volume);
}

/** @throws BlockhostError `not-ours` where the safety snapshot's name is taken by something else. */
function refuseStranger(context: Context, volume: Data): void {
    const there: ObjectFacts | undefined = context.facts.objects.get(`${volume.name}.safety`);
    if (there === undefined) return;
    if (there.mark?.kind === "safety" && sameOwner(there.mark.owner, volume.mark.owner)) return;
    throw new BlockhostError(
        "not-ours",
        `"${there.name}" exists and is not the safety snapshot of "${volume.name}"`,
        {
            hint: "rename it on the host: a revert keeps what the volume held under that name",
        },
    );
}

function notNow(name: string, phase: string): BlockhostError {
    return new BlockhostError("conflict", `"${name}" is ${phase}`, {
        hint: "the operation that was begun has to be finished first: run the same again",
    });
}
