import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import type { Plan } from "../../host/plan";
import { claimSpace } from "../capacity";
import {
    ownObject,
    refuseHalfAdopted,
    requireReadable,
    requireName,
    requirePool,
    requireSource,
} from "./check";
import { cloneThin } from "./cloneThin";
import { cowBytes, cowCommand } from "./cow";
import { activation } from "./create";
import { DEFAULTS, isThin } from "./options";
import { finishDeletion, removeHalfMade } from "./remove";
import { type Context, guard, plan, step, watch } from "./steps";

/**
 * A point-in-time copy of a volume, read-only, at once and whoever uses the volume (F2: create_snapshot). Of a thin
 * volume it is one of its own; of a thick one it keeps what is overwritten there, in space set aside for it.
 *
 * @throws BlockhostError `exists` (of another volume), `no-space`, `not-ours`, `not-found`, `conflict`, `invalid` (name).
 */
export function snapshot(
    context: Context,
    want: { name: string; mark: Mark; volume: string; inUse: boolean },
): Plan {
    requirePool(context);
    requireName(context, want.name);
    const { name, volume } = want;
    const found = ownObject(context, name, want.mark);
    if (found?.mark?.phase === "deleting") return finishDeletion(context, found);
    if (found?.mark !== undefined && found.mark.phase !== "creating") {
        requireSameOrigin(found, found.mark, volume);
        return activation(context, found);
    }
    refuseHalfAdopted(found);
    if (found !== undefined) return removeHalfMade(context, found);
    const generation = context.facts.objects.get(volume)?.mark?.generation ?? "";
    const extra = { ...want.mark.extra, origin: volume, origingen: generation };
    const mark: Mark = { ...want.mark, phase: "ready", extra };
    if (isThin(context.pool.options)) {
        return cloneThin(context, { name, mark, source: volume, readOnly: true }, undefined);
    }
    const source = requireSource(context, volume, undefined);
    requireReadable(source);
    const space = cowBytes(
        context,
        source.sizeBytes,
        context.pool.options.snapshotPercent ?? DEFAULTS.snapshot,
    );
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin: false,
        provisionedBytes: space,
        allocatedBytes: space,
    });
    const take = step(
        `take "${name}" from "${volume}"`,
        guard(context, { same: [source], free: [name] }),
        cowCommand(context, { name, origin: volume, cowBytes: space, mark }),
    );
    return plan(context, [name], [take], { claims: [claim], timeout: 120_000, ...watch(context, volume) });
}

function requireSameOrigin(found: ObjectFacts, mark: Mark, volume: string): void {
    const origin = mark.extra["origin"];
    if (origin === volume) return;
    throw new BlockhostError(
        "exists",
        `"${found.name}" exists already: it is a snapshot of "${origin ?? "?"}", not of "${volume}"`,
        { hint: "give the resource another `name`" },
    );
}
