import { refuseTaken as refuseTakenBy, refuseAddresses as refuseAddressesNotIn } from "../portals";
import type { KernelExtra } from "./model";

/** Refuses portals on which a daemon listens: the kernel's would silently have no listener. */
export function refuseTaken(extra: KernelExtra, portals: readonly string[]): void {
    const daemons = extra.listeners.flatMap(({ portal, inode }) => {
        const owner = extra.owners.get(inode);
        if (owner === undefined) return [];
        const tgt = owner.startsWith("tgtd ")
            ? " (Debian starts it with its package: systemctl disable --now tgt)"
            : "";
        return [[portal, `${owner}${tgt}`] as const];
    });
    refuseTakenBy(portals, daemons);
}

/** Refuses portals whose address the host does not have. */
export function refuseAddresses(extra: KernelExtra, portals: readonly string[]): void {
    refuseAddressesNotIn(portals, extra.addresses);
}
