import type { ExportFacts, TargetFacts } from "../types";
import { unfinished } from "../boot";
import { differences } from "./compare";
import { exportsOf, type TgtExport, type TgtExtra } from "./model";
import type { LiveTarget } from "./show";

/**
 * Facts after some exports were read again. Of the others the observation tells which boot files and targets there are,
 * and which accounts are bound; whatever else was known of them stays.
 */
export function merge(before: TargetFacts, read: TargetFacts, only: readonly string[]): TargetFacts {
    const [was, now] = [before.extra, read.extra] as (TgtExtra | undefined)[];
    if (now === undefined) return read;
    const exports = new Map<string, ExportFacts>();
    for (const one of exportsOf(before)) {
        if (only.includes(one.name) || !now.boot.has(one.name)) continue;
        exports.set(one.name, read.problem === undefined ? withAccounts(one, now) : one);
    }
    for (const [name, facts] of read.exports) exports.set(name, facts);
    const unreadable = new Map(
        [...(was?.unreadable ?? [])].filter(([name]) => !only.includes(name) && now.boot.has(name)),
    );
    for (const [name, why] of now.unreadable) unreadable.set(name, why);
    return { ...read, exports, extra: { ...now, unreadable } satisfies TgtExtra };
}

/** An export that was not read again, as far as others may have changed it. */
function withAccounts(one: TgtExport, now: TgtExtra): TgtExport {
    const { live: was, ...rest } = one;
    if (was === undefined) return one;
    const brief = now.live.get(one.targetName);
    const live = brief === undefined ? undefined : bindAs(was, brief);
    if (live === was) return one;
    const found = differences(one.declared, live, one, now);
    found.push(...unfinished(one));
    return {
        ...rest,
        differences: found,
        ...(live === undefined ? { sessions: [] } : { live }),
    };
}

function bindAs(was: LiveTarget, { incoming, outgoing }: LiveTarget): LiveTarget {
    if (was.incoming.join() === incoming.join() && was.outgoing === outgoing) return was;
    const { outgoing: _, ...rest } = was;
    return { ...rest, incoming, ...(outgoing === undefined ? {} : { outgoing }) };
}
