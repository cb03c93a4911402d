import { normalizePortal } from "../portal";
import type { Declaration, ExportFacts } from "../types";
import { type NvmetExport, type NvmetRef, hostKey } from "./model";

/** What an export declares, from its boot file's header. */
export function declaration(target: NvmetRef, facts: ExportFacts): Declaration {
    const { declared, secrets } = facts as NvmetExport;
    const all = target.portals.map(normalizePortal).join() === declared.portals.join();
    return {
        initiators: declared.initiators.map((name) => ({ name, dhchap: hostKey(name) in secrets })),
        addresses: [],
        portals: all ? [] : declared.portals,
        readOnly: declared.readOnly,
        discard: declared.discard,
    };
}
