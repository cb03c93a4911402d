import type { Live } from "../configfs/model";
import { covers, parsePortal } from "../portal";
import type { Session } from "../types";
import { nqnOf, type NvmetDeclared } from "./model";
import { connected, peers, portalsOf } from "./own";

/**
 * Who is connected, as far as it can be told. nvmet has no list of its controllers (but in debugfs, since Linux 6.11,
 * where that is built in), and a connection does not tell which subsystem it is for. So those count that may be: hosts
 * which, by the kernel's log, have connected to the export's subsystem since the host started, as long as there is any
 * connection on its ports; and, where the log does not go back that far, whoever is connected there.
 */
export function sessions(declared: NvmetDeclared, live: Live): Session[] {
    const { sections } = live;
    const portals = portalsOf(declared, live).flatMap((portal) => parsePortal(portal) ?? []);
    const remotes = sections
        .derived(peers)
        .filter(({ local }) => {
            const here = parsePortal(local);
            return here !== undefined && portals.some((portal) => covers(portal, here));
        })
        .map(({ remote }) => remote);
    const addresses = [...new Set(remotes)];
    if (addresses.length === 0) return [];
    const log = sections.derived(connected);
    if (log === undefined)
        return addresses.map((address) => ({ initiator: `unknown (from ${address})`, address }));
    const nqn = nqnOf(declared);
    const arrivals = new Map<string, number>();
    for (const { host, subsystem } of log)
        if (subsystem === nqn) arrivals.set(host, (arrivals.get(host) ?? 0) + 1);
    const [address, ...more] = addresses;
    return [...arrivals].map(([initiator, count]) => ({
        initiator,
        arrivals: count,
        ...(address === undefined || more.length > 0 ? {} : { address }),
    }));
}
