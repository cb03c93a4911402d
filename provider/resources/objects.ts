import type { PlanContext, Wipe } from "../drivers/types";
import { BlockhostError } from "../errors";
import type { Host } from "../host/host";
import type { HostFacts, ObjectFacts } from "../host/facts";
import { type Mark, type Owner, describeOwner, sameOwner } from "../host/mark";
import type { Plan } from "../host/plan";
import { type UsablePool, usablePool, warnUnasked } from "./common";
import { importedObject } from "./imports";
import type { Change, Context } from "./types";

/** What volumes and snapshots have in common: both are objects of a pool with an owner mark. */

/**
 * The object in a resource's state, for a read. `undefined`: gone (the caller has proven the pool to be the right one).
 *
 * @throws BlockhostError `not-ours` when data is there under the name, but its mark was taken off: whether it is still
 * the same data only a person can tell.
 */
export function readObject(
    pool: UsablePool,
    name: string,
    generation: string,
    kind: Mark["kind"],
): ObjectFacts | undefined {
    const object = pool.facts.objects.get(name);
    if (object === undefined) return undefined;
    if (object.mark === undefined) throw unmarked(pool, name, kind);
    if (object.mark.generation !== generation || object.mark.kind !== kind) return undefined;
    // What is half-made or half-deleted is still there, data or not: only then does the next run finish it.
    return object.sizeBytes === undefined && !isIncomplete(object) ? undefined : object;
}

/** What a state says of where an object is. */
export interface Recorded {
    readonly pool: string;
    readonly poolId: string;
    readonly name: string;
    /** Empty: it was imported without a mark, and not taken over yet. */
    readonly generation: string;
    readonly adopt?: string;
}

/**
 * As {@link readObject}, also of what is not ours yet.
 *
 * @throws BlockhostError `not-ours`; `invalid`: what was imported can no longer be adopted.
 */
export function recordedObject(
    pool: UsablePool,
    { name, generation, adopt }: Recorded,
    kind: "volume" | "snapshot",
): ObjectFacts | undefined {
    return generation === ""
        ? importedObject(pool, adopt ?? name, kind)?.object
        : readObject(pool, name, generation, kind);
}

/** True for an object whose creation or deletion was cut short. */
export function isIncomplete({ mark }: ObjectFacts): boolean {
    return mark?.phase === "creating" || mark?.phase === "deleting";
}

/** What a state says of its condition; nothing where there is nothing to say. */
export interface Condition {
    /** Its creation or deletion was cut short; the next update finishes the creation. */
    readonly incomplete?: true;
    /** What is wrong with it on the host, and what to do. */
    readonly health?: readonly string[];
    /** The next update mends what is wrong. */
    readonly mendable?: true;
}

export function conditionOf({ health = [], ...object }: ObjectFacts): Condition {
    return {
        ...(isIncomplete(object) ? { incomplete: true } : {}),
        ...(health.length === 0 ? {} : { health }),
        ...(object.mendable === true ? { mendable: true } : {}),
    };
}

/** A state without what a former read said of its condition. */
export function withoutCondition<T extends Condition>(state: T): Omit<T, keyof Condition> {
    const { incomplete: _1, health: _2, mendable: _3, ...rest } = state;
    return rest;
}

/** Tells the user of what is wrong with an object, or with its pool. */
export function warnOfHealth(context: Context, pool: UsablePool, object: ObjectFacts): void {
    for (const one of pool.facts.health ?? []) context.warn(`pool "${pool.ref.name}": ${one}`);
    for (const one of object.health ?? []) context.warn(`"${object.name}": ${one}`);
}

/** @throws BlockhostError `conflict`: what is half-way in something can be neither exported nor copied. */
export function refuseUnfinished(what: string, { mark }: ObjectFacts, property: string): void {
    if (mark?.phase === "ready") return;
    throw new BlockhostError("conflict", `${what} is half-way: ${mark?.phase ?? "unmarked"}`, {
        property,
        hint: "an operation on it that was cut short has to be finished first: `pulumi up` of its own stack does that",
    });
}

/**
 * The object in a resource's state as the host has it just now, for a diff. Nothing where that cannot be told, which is
 * a warning: nothing was asked for yet.
 */
export async function liveObject(
    context: Context,
    host: Host,
    state: Recorded,
    kind: "volume" | "snapshot",
): Promise<{ facts: HostFacts; object: ObjectFacts } | undefined> {
    const what = `${kind} "${state.name}"`;
    try {
        const facts = await host.facts(context);
        const pool = usablePool(host.config, facts, state.pool, state.poolId);
        const object = recordedObject(pool, state, kind);
        if (object !== undefined) return { facts, object };
        if (state.poolId !== "")
            context.warn(`${what} is no longer on host "${host.config.name}": see \`pulumi refresh\``);
    } catch (error) {
        warnUnasked(context, error, `it could not be told how ${what} is`);
    }
    return undefined;
}

/** What has to be finished of an object that an earlier run has left half-way; nothing where it is ready. */
export function completion(kind: string, object: ObjectFacts): Change[] {
    const property = "incomplete";
    switch (object.mark?.phase) {
        case "creating":
            return [{ property, kind: "update", class: "none", reason: "its creation is finished" }];
        case "reverting":
            return [{ property, kind: "update", class: "none", reason: "a revert that was begun is ended" }];
        case "deleting":
            return [
                {
                    property,
                    kind: "update",
                    class: "data-loss",
                    reason: `an earlier run has begun to delete it: the deletion is finished, and the ${kind} made anew`,
                    wayOut: "take what is left of its data on the host first",
                },
            ];
        case "ready":
        case undefined:
            return [];
    }
}

/**
 * The object in a resource's state, for whoever is going to change or destroy it: mark and generation must match.
 * `undefined`: it is gone, and nothing else has its name.
 *
 * @throws BlockhostError `not-ours`
 */
export function ownedAs(
    pool: UsablePool,
    name: string,
    owners: readonly Owner[],
    generation: string,
    kind: Mark["kind"],
): ObjectFacts | undefined {
    const object = pool.facts.objects.get(name);
    if (object === undefined) return undefined;
    const { mark } = object;
    if (mark === undefined) throw unmarked(pool, name, kind);
    if (
        mark.kind === kind &&
        mark.generation === generation &&
        owners.some((owner) => sameOwner(owner, mark.owner))
    ) {
        return object;
    }
    const who = mark.generation === generation ? "" : " and was made at another time";
    throw new BlockhostError(
        "not-ours",
        `"${name}" in pool "${pool.ref.name}" is a ${mark.kind} of ${describeOwner(mark.owner)}${who}`,
        {
            hint: `it is not the ${kind} in the state and stays untouched; \`pulumi refresh\` brings the state up to date`,
        },
    );
}

/** True when the mark is off already: what a release leaves behind, so that asking for one again is fine. */
export function isReleased(pool: UsablePool, name: string): boolean {
    const object = pool.facts.objects.get(name);
    return object !== undefined && object.mark === undefined;
}

/**
 * The mark of an object that was finished and whose data somebody has deleted on the host. A read says that it is gone,
 * so a creation must be able to start anew: it takes the mark off (and deletes nothing) first.
 */
export function lostData(object: ObjectFacts | undefined): Mark | undefined {
    return object?.mark?.phase === "ready" && object.sizeBytes === undefined ? object.mark : undefined;
}

/** Delete (with `wipe`), or only take the mark off. */
export function planRemoval(
    facts: HostFacts,
    pool: UsablePool,
    object: ObjectFacts,
    wipe: Wipe | undefined,
): Plan {
    const context: PlanContext = { pool: pool.ref, facts: pool.facts, host: facts };
    const { name, mark } = object;
    if (mark === undefined) throw new TypeError("only a marked object can be removed");
    return wipe === undefined
        ? pool.driver.release(context, { name, mark })
        : pool.driver.remove(context, { name, mark, wipe });
}

function unmarked(pool: UsablePool, name: string, kind: string): BlockhostError {
    return new BlockhostError("not-ours", `"${name}" in pool "${pool.ref.name}" no longer carries our mark`, {
        hint: `it stays untouched. If the ${kind} was released on purpose, take it out of the state with \`pulumi state delete\`; to have it back, declare it with \`adopt\``,
    });
}
