import { initiatorOf } from "../clients/connection";
import type { Host } from "../host/host";
import type { ExportFacts, Protocol, Session } from "../targets/types";
import type { Context } from "./types";

/**
 * Of initiators that may be connected to an export, as far as its own host can tell, those that have gone: by what they
 * say themselves, where they are hosts of the configuration. It is for NVMe/TCP, whose kernel target has no list of who
 * is connected: a client whose attachment this very run has detached, and that stays connected to another export of the
 * host, is not told from one that uses both.
 *
 * @returns whether a session seen after that is one of them; not when that initiator has come once more meanwhile.
 */
export async function departed(
    context: Context,
    protocol: Protocol,
    { targetName, sessions }: Pick<ExportFacts, "targetName" | "sessions">,
): Promise<(session: Session) => boolean> {
    const maybe = new Map(
        sessions.flatMap(({ initiator, arrivals }): [string, number][] =>
            arrivals === undefined ? [] : [[initiator, arrivals]],
        ),
    );
    const gone = new Map<string, boolean>();
    const ask = async (host: Host) => {
        // Who it is stays the same; what it is connected to has to be looked at anew.
        const before = (await host.facts(context)).client;
        const name = before === undefined ? undefined : initiatorOf(before, protocol);
        if (name === undefined || !maybe.has(name)) return;
        const { client } = await host.look(context);
        const connected = client?.paths.some((path) => path.target === targetName) ?? true;
        gone.set(name, !connected && gone.get(name) !== false);
    };
    const opened = context.hosts.opened();
    // A host that does not answer says nothing.
    if (maybe.size > 0) await Promise.allSettled(opened.map(ask));
    if (gone.size < maybe.size) await Promise.allSettled(othersThan(context, opened).map(ask));
    return ({ initiator, arrivals }) =>
        gone.get(initiator) === true && arrivals !== undefined && maybe.get(initiator) === arrivals;
}

/** Hosts of the configuration that this process has not needed yet; not those whose configuration is wrong. */
function othersThan(context: Context, opened: readonly Host[]): Host[] {
    const names = new Set(opened.map(({ config }) => config.name));
    return context.hosts.names().flatMap((name) => {
        if (names.has(name)) return [];
        try {
            return [context.hosts.get(name)];
        } catch {
            return [];
        }
    });
}
