import { isIPv4, isIPv6 } from "node:net";

/** Where initiators reach a host. */
export interface Portal {
    /** Address in its shortest form, IPv6 without brackets. */
    readonly address: string;
    readonly port: number;
    readonly family: 4 | 6;
}

/** Reads `10.0.0.5:3260` or `[fd00::5]:3260`; `undefined`: it is neither. */
export function parsePortal(text: string): Portal | undefined {
    const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    if (!(port >= 1 && port <= 65_535)) return undefined;
    if (plain !== undefined) return isIPv4(plain) ? { address: plain, port, family: 4 } : undefined;
    if (bracketed === undefined || !isIPv6(bracketed)) return undefined;
    return { address: shortestIPv6(bracketed), port, family: 6 };
}

/**
 * What keeps a text from being the portal of a target; `undefined`: nothing. One for all addresses is none: clients are
 * given the very address.
 */
export function portalProblem(text: string): string | undefined {
    const portal = parsePortal(text);
    if (portal === undefined)
        return 'must be an address and a port from 1 to 65535: "10.0.0.5:3260" or "[fd00::5]:3260"';
    if (!isWildcard(portal.address)) return undefined;
    return "stands for all addresses of the host: name those that clients connect to, each as a portal";
}

export function isWildcard(address: string): boolean {
    return address === "0.0.0.0" || address === "::";
}

export function formatPortal({ address, port, family }: Portal): string {
    return family === 6 ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}

/** The same portal always in the same spelling; anything else as it is. */
export function normalizePortal(text: string): string {
    const portal = parsePortal(text);
    return portal === undefined ? text : formatPortal(portal);
}

/** True when something that listens on `listener` is reached at `portal`. */
export function covers(listener: Portal, portal: Portal): boolean {
    if (listener.port !== portal.port || listener.family !== portal.family) return false;
    return listener.address === portal.address || isWildcard(listener.address);
}

/** The spelling of RFC 5952. */
export function shortestIPv6(address: string): string {
    return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
