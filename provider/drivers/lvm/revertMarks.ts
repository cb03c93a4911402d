import { createHash } from "node:crypto";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { BlockhostError } from "../../errors";
import { requireData } from "./check";
import type { Context, Data } from "./steps";

/** How the mark of a volume tells how far its revert has come. `token` is that of the last one that was done. */

/** Token of the revert that is under way. */
export function pendingOf(mark: Mark): string | undefined {
    return mark.phase === "reverting" ? (mark.extra["pending"] ?? "") : undefined;
}

/** The revert begins: to which snapshot, and how large the volume is. */
export function begunMark(volume: Data, token: string, snapshot: string): Mark {
    const extra = { ...volume.mark.extra, pending: token, from: snapshot, size: String(volume.sizeBytes) };
    return { ...volume.mark, phase: "reverting", extra };
}

/** The volume has its new content. */
export function mergedMark(mark: Mark): Mark {
    return { ...mark, extra: { ...mark.extra, merged: "1" } };
}

export function settledMark(mark: Mark, token: string | undefined): Mark {
    const { pending: _1, from: _2, size: _3, merged: _4, token: _5, ...extra } = mark.extra;
    return { ...mark, phase: "ready", extra: token === undefined ? extra : { ...extra, token } };
}

export function safetyMark(volume: Data, token: string): Mark {
    const extra = { origin: volume.name, origingen: volume.mark.generation, token: digest(token) };
    return {
        kind: "safety",
        owner: volume.mark.owner,
        generation: volume.mark.generation,
        phase: "ready",
        extra,
    };
}

/** There is all of a safety snapshot, and it is of the revert with this token. */
export function isSafetyOf(safety: ObjectFacts | undefined, token: string | undefined): boolean {
    return (
        token !== undefined && safety?.mark?.phase === "ready" && safety.mark.extra["token"] === digest(token)
    );
}

/** A mark is short, and a token may be long. */
function digest(token: string): string {
    return createHash("sha256").update(token).digest("hex").slice(0, 16);
}

/** @throws BlockhostError `not-found`, `conflict`, `invalid`. */
export function requireSnapshot(context: Context, snapshot: string, volume: Data): Data {
    const source = requireData(context, snapshot, context.facts.objects.get(snapshot));
    if (source.mark.phase !== "ready") {
        throw new BlockhostError("conflict", `"${snapshot}" is ${source.mark.phase}`, {
            hint: "the operation that was begun has to be finished first: run the same again",
        });
    }
    const size = Number(volume.mark.extra["size"] ?? volume.sizeBytes);
    if (source.sizeBytes > size) {
        throw new BlockhostError("invalid", `snapshot "${snapshot}" is larger than volume "${volume.name}"`, {
            hint: "make a volume from the snapshot instead",
        });
    }
    return source;
}
