import type { ObjectFacts, PoolFacts } from "../../host/facts";
import { describeOwner } from "../../host/mark";
import type { Adoptable, PoolRef } from "../types";
import { objectOfReference, unsoundness } from "./adopt";
import { fileOfObject } from "./layout";
import type { FileOptions } from "./options";

/** All data files of the pool, sorted by reference, with the reason why one cannot be adopted (F7: get_manageable_volumes). */
export function adoptable(_pool: PoolRef<FileOptions>, facts: PoolFacts): Adoptable[] {
    return [...facts.objects.values()]
        .filter((object) => object.extra?.["type"] !== undefined && object.extra["type"] !== "d")
        .map(describe)
        .sort((a, b) => (a.reference < b.reference ? -1 : a.reference > b.reference ? 1 : 0));
}

function describe(object: ObjectFacts): Adoptable {
    const { mark } = object;
    const unreadable = object.extra?.["unreadableMark"];
    const reason =
        mark !== undefined
            ? "already managed"
            : unreadable !== undefined
              ? `its owner mark cannot be read: ${unreadable}`
              : unsoundness(object);
    return {
        reference: fileOfObject(object.name),
        kind: mark === undefined || mark.kind === "volume" ? "volume" : "snapshot",
        sizeBytes: object.sizeBytes ?? 0,
        safeToManage: reason === undefined,
        ...(reason === undefined ? {} : { reason }),
        ...(mark === undefined ? {} : { managedBy: describeOwner(mark.owner) }),
        extra: { path: object.path },
    };
}

export function resolveReference(
    _pool: PoolRef<FileOptions>,
    facts: PoolFacts,
    reference: string,
): string | undefined {
    const object = objectOfReference(reference);
    return facts.objects.has(object) ? object : undefined;
}
