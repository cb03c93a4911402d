import type { ObjectFacts, PoolFacts } from "../../host/facts";
import { describeOwner } from "../../host/mark";
import type { Adoptable, PoolRef } from "../types";
import { unsoundness, withoutGroup } from "./adopt";
import type { LvmOptions } from "./options";

/** All logical volumes of the pool, sorted by name, with the reason why one cannot be adopted (F7: get_manageable_volumes). */
export function adoptable(_pool: PoolRef<LvmOptions>, facts: PoolFacts): Adoptable[] {
    return [...facts.objects.values()]
        .filter(({ extra = {} }) => extra["member"] === "yes" && extra["keptAs"] === undefined)
        .map(describe)
        .sort((a, b) => (a.reference < b.reference ? -1 : a.reference > b.reference ? 1 : 0));
}

function describe(object: ObjectFacts): Adoptable {
    const { mark, extra = {} } = object;
    const unreadable = extra["unreadableMark"];
    const reason =
        mark !== undefined
            ? "already managed"
            : unreadable !== undefined
              ? `its owner mark cannot be read: ${unreadable}`
              : unsoundness(object);
    const isSnapshot = mark === undefined ? extra["cow"] !== undefined : mark.kind !== "volume";
    return {
        reference: object.name,
        kind: isSnapshot ? "snapshot" : "volume",
        sizeBytes: object.sizeBytes ?? 0,
        safeToManage: reason === undefined,
        ...(reason === undefined ? {} : { reason }),
        ...(mark === undefined ? {} : { managedBy: describeOwner(mark.owner) }),
        extra: {
            path: object.path,
            uuid: object.uid ?? "",
            layout: extra["layout"] ?? "",
            ...(extra["origin"] === undefined || extra["origin"] === "" ? {} : { origin: extra["origin"] }),
        },
    };
}

export function resolveReference(
    pool: PoolRef<LvmOptions>,
    facts: PoolFacts,
    reference: string,
): string | undefined {
    const name = withoutGroup(pool, reference);
    return facts.objects.has(name) ? name : undefined;
}
