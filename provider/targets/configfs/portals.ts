import { BlockhostError } from "../../errors";
import { covers, parsePortal } from "../portal";
import type { KernelExtra } from "./model";

/** Refuses portals on which a daemon listens: the kernel's would silently have no listener. */
export function refuseTaken(extra: KernelExtra, portals: readonly string[]): void {
    for (const text of portals) {
        const portal = parsePortal(text);
        for (const { portal: other, inode } of extra.listeners) {
            const listener = parsePortal(other);
            const owner = extra.owners.get(inode);
            if (portal === undefined || listener === undefined || owner === undefined) continue;
            // A socket for all addresses and one for a single address exclude each other.
            if (!covers(listener, portal) && !covers(portal, listener)) continue;
            const tgt = owner.startsWith("tgtd ")
                ? " (Debian starts it with its package: systemctl disable --now tgt)"
                : "";
            throw new BlockhostError("busy", `portal ${text} is taken by ${owner}`, {
                hint: `stop that${tgt}, or configure another port under \`portals\``,
            });
        }
    }
}

/** Refuses portals whose address the host does not have. */
export function refuseAddresses(extra: KernelExtra, portals: readonly string[]): void {
    if (extra.addresses.size === 0) return;
    for (const text of portals) {
        const address = parsePortal(text)?.address;
        if (
            address === undefined ||
            address === "0.0.0.0" ||
            address === "::" ||
            extra.addresses.has(address)
        )
            continue;
        if (address.startsWith("127.")) continue;
        const has = [...extra.addresses].filter(
            (one) => one !== "127.0.0.1" && one !== "::1" && !one.startsWith("fe80:"),
        );
        throw new BlockhostError("invalid", `portal ${text}: the host has no address ${address}`, {
            hint: `it has ${has.join(", ") || "none but loopback"}: correct \`portals\` in the host's configuration, or give the host that address`,
        });
    }
}
