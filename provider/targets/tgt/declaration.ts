import { normalizePortal } from "../portal";
import type { Declaration, ExportFacts } from "../types";
import type { TgtExport, TgtRef } from "./model";

/** What an export declares, from its boot file's header. All initiators of an export have the same credentials. */
export function declaration(target: TgtRef, facts: ExportFacts): Declaration {
    const { declared } = facts as TgtExport;
    const chap = {
        ...(declared.incoming === undefined ? {} : { chap: declared.incoming.user }),
        ...(declared.outgoing === undefined ? {} : { mutualChap: declared.outgoing.user }),
    };
    const all = target.portals.map(normalizePortal).join() === declared.portals.join();
    return {
        initiators: declared.initiators.map((name) => ({ name, ...chap })),
        addresses: declared.addresses,
        portals: all ? [] : declared.portals,
        readOnly: declared.readOnly,
        discard: declared.discard,
    };
}
