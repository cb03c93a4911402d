import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { ownObject, refuseHalfAdopted, requireName, requirePool } from "./check";
import { createFrom } from "./createFrom";
import { finishDeletion } from "./remove";
import type { Context } from "./steps";

/** A snapshot's mark says of which volume, and of which making of it, it is. */
function withOrigin(mark: Mark, volume: string, generation: string): Mark {
    return { ...mark, phase: "ready", extra: { ...mark.extra, origin: volume, origingen: generation } };
}

/**
 * A point-in-time copy of a volume, read-only on the host (F2: create_snapshot). At once where files can share extents,
 * also while initiators write; else a copy, refused while they are logged in.
 *
 * @throws BlockhostError `exists` (of another volume), `in-use`, `no-space`, `not-ours`, `not-found`, `conflict`.
 */
export function snapshot(
    context: Context,
    want: { name: string; mark: Mark; volume: string; inUse: boolean },
): Plan {
    requirePool(context);
    requireName(want.name);
    const { name, volume, inUse } = want;
    const found = ownObject(context, name, want.mark);
    if (found?.mark?.phase === "deleting") return finishDeletion(context, found);
    if (found?.mark !== undefined && found.mark.phase !== "creating") {
        requireSameOrigin(found, found.mark, volume);
        return NOTHING;
    }
    refuseHalfAdopted(found);
    const generation = context.facts.objects.get(volume)?.mark?.generation ?? "";
    const mark = withOrigin(want.mark, volume, generation);
    return createFrom(context, { name, mark, source: volume, inUse, readOnly: true }, found);
}

function requireSameOrigin(found: ObjectFacts, mark: Mark, volume: string): void {
    if (found.sizeBytes === undefined) {
        throw new BlockhostError(
            "not-found",
            `"${found.name}" has lost its data: ${found.path} is not there`,
            {
                hint: "restore the file on the host, or delete the resource and create it anew",
            },
        );
    }
    const origin = mark.extra["origin"];
    if (origin === volume) return;
    throw new BlockhostError(
        "exists",
        `"${found.name}" exists already: it is a snapshot of "${origin ?? "?"}", not of "${volume}"`,
        { hint: "give the resource another `name`" },
    );
}
