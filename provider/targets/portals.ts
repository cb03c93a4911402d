import { BlockhostError } from "../errors";
import { covers, isWildcard, normalizePortal, parsePortal, shortestIPv6 } from "./portal";
import type { ExportWanted, TargetRef } from "./types";

/** Portals of an export: those it names, or all of the target. */
export function portalsOf(target: Pick<TargetRef, "portals">, want: Pick<ExportWanted, "portals">): string[] {
    return (want.portals.length > 0 ? want.portals : target.portals).map(normalizePortal);
}

/** Those that an export names, from those it has ({@link portalsOf}); empty: all of the target. */
export function portalsNamed(
    target: Pick<TargetRef, "portals">,
    portals: readonly string[],
): readonly string[] {
    return target.portals.map(normalizePortal).join() === portals.join() ? [] : portals;
}

/**
 * Refuses portals on which somebody else listens.
 *
 * @param taken Listening sockets of others: portal and who it is.
 * @throws BlockhostError `in-use`, of the property `portals`.
 */
export function refuseTaken(
    portals: readonly string[],
    taken: Iterable<readonly [portal: string, who: string]>,
): void {
    const others = [...taken];
    for (const text of portals) {
        const portal = parsePortal(text);
        for (const [other, who] of others) {
            const listener = parsePortal(other);
            if (portal === undefined || listener === undefined) continue;
            // A socket for all addresses and one for a single address exclude each other.
            if (!covers(listener, portal) && !covers(portal, listener)) continue;
            throw new BlockhostError("in-use", `portal ${text} is taken by ${who}`, {
                property: "portals",
                hint: "stop that, or configure another port under `portals`",
            });
        }
    }
}

/**
 * Refuses portals whose address the host does not have.
 *
 * @param addresses The host's own; empty: not known.
 * @throws BlockhostError `invalid`, of the property `portals`.
 */
export function refuseAddresses(portals: readonly string[], addresses: ReadonlySet<string>): void {
    if (addresses.size === 0) return;
    for (const text of portals) {
        const address = parsePortal(text)?.address;
        // No program declares one for all addresses any more (portal.ts), but the host in a state may have one.
        if (address === undefined || isWildcard(address) || addresses.has(address)) continue;
        // The whole of it is loopback.
        if (address.startsWith("127.")) continue;
        const has = [...addresses].filter(
            (one) => !one.startsWith("127.") && one !== "::1" && !one.startsWith("fe80:"),
        );
        throw new BlockhostError("invalid", `portal ${text}: the host has no address ${address}`, {
            property: "portals",
            hint: `it has ${has.join(", ") || "none but loopback"}: correct \`portals\` in the host's configuration, or give the host that address`,
        });
    }
}

/** Addresses of the host, from lines of /proc/net/fib_trie and /proc/net/if_inet6. */
export function parseAddresses(lines: readonly string[]): Set<string> {
    const found = new Set<string>();
    let last = "";
    for (const line of lines) {
        const four = /\|-- ([0-9.]+)$/.exec(line)?.[1];
        if (four !== undefined) last = four;
        else if (/\/32 host LOCAL/.test(line)) found.add(last);
        const six = /^([0-9a-f]{32}) /.exec(line)?.[1];
        if (six !== undefined) found.add(shortestIPv6((six.match(/.{4}/g) ?? []).join(":")));
    }
    return found;
}
