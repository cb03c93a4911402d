import { BlockhostError } from "../errors";
import { type HostFacts, type ObjectFacts, exportsOf } from "../host/facts";
import { NOTHING, type Plan } from "../host/plan";
import type { HostConfig } from "../host/config";
import { bootFile, placeOf } from "../targets/boot";
import type { ExportFacts, Protocol } from "../targets/types";
import type { UsablePool } from "./common";

/** Who depends on an object, or uses it now. */

/** Initiators that are logged in to exports of an object, and what else is known to have it open. */
export function usersOf(config: HostConfig, facts: HostFacts, object: ObjectFacts): string[] {
    return sessionsOn(config, facts, object, "any");
}

/**
 * Initiators with a session on the object, as a user would name them.
 *
 * @param when `growth`: only those that would notice the device growing.
 */
export function sessionsOn(
    config: HostConfig,
    facts: HostFacts,
    object: ObjectFacts,
    when: "growth" | "any",
): string[] {
    return exportsOf(facts, object.path).flatMap(({ protocol, facts: one }) => {
        const target = config.targets.get(protocol as Protocol);
        if (when === "growth" && target?.target.growth === "online") return [];
        return one.sessions.map(
            (session) => `initiator ${session.initiator} (export ${protocol}/${one.name})`,
        );
    });
}

/**
 * @throws BlockhostError `in-use` naming every snapshot and export that depends on the object.
 */
export function refuseDependants(
    facts: HostFacts,
    pool: UsablePool,
    object: ObjectFacts,
    what: string,
): void {
    const snapshots = [...pool.facts.objects.values()]
        .filter(({ mark }) => mark?.kind === "snapshot" && mark.extra["origin"] === object.name)
        .map(({ name }) => `snapshot "${name}"`);
    const exports = exportsOf(facts, object.path).map(
        ({ protocol, facts: one }) => `export "${protocol}/${one.name}"`,
    );
    const foreign = [...facts.targets.values()].flatMap((target) => {
        const by = target.foreign.get(object.path);
        return by === undefined ? [] : [by];
    });
    const all = [...snapshots, ...exports, ...foreign];
    if (all.length === 0) return;
    throw new BlockhostError("in-use", `${what} still has dependants: ${all.join(", ")}`, {
        hint: 'delete these first (in one program: pass the resource itself as `volume` or `source`, so that Pulumi knows the order), or keep the data with `onDelete: "retain"`',
    });
}

/** Whether a revert has closed an export of an object that is whole, and left it so. */
export function hasClosed(facts: HostFacts, object: ObjectFacts): boolean {
    return (
        object.mark?.phase === "ready" &&
        exportsOf(facts, object.path).some(({ facts: one }) => one.closed === true)
    );
}

/** Opens the exports of an object that a revert has closed, and that a later round, or a run cut short, has left so. */
export function openExports(config: HostConfig, facts: HostFacts, object: ObjectFacts): Plan {
    const closed = ({ closed = false }: ExportFacts) => closed;
    return reopenExports(config, facts, object, object.sizeBytes ?? 0, true, closed).open;
}

/** Steps around a change of an object's size or content, for every export that has it open. */
export function reopenExports(
    config: HostConfig,
    facts: HostFacts,
    object: ObjectFacts,
    sizeBytes: number,
    exchanged: boolean,
    which: (one: ExportFacts) => boolean = () => true,
): { close: Plan; open: Plan } {
    const close: Plan["steps"][number][] = [];
    const open: Plan["steps"][number][] = [];
    const touched: Record<string, string[]> = {};
    const flush: string[] = [];
    for (const { protocol, facts: one } of exportsOf(facts, object.path)) {
        const configured = config.targets.get(protocol as Protocol);
        const targetFacts = facts.targets.get(protocol);
        if (configured === undefined || targetFacts === undefined || !which(one)) continue;
        const context = { target: configured.ref, facts: targetFacts, host: facts };
        const steps = configured.target.reopen(context, { name: one.name, sizeBytes, exchanged });
        close.push(...steps.close);
        open.push(...steps.open);
        (touched[protocol] ??= []).push(one.name);
        flush.push(bootFile(placeOf(configured.ref, one.name)));
    }
    if (close.length === 0 && open.length === 0) return { close: NOTHING, open: NOTHING };
    return {
        close: { steps: close, touched: {} },
        open: { steps: open, touched: { targets: touched }, flush },
    };
}
