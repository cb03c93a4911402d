import { portalsNamed } from "../portals";
import type { Declaration, ExportFacts } from "../types";
import { type NvmetExport, type NvmetRef, hostKey } from "./model";

/** What an export declares, from its boot file's header. */
export function declaration(target: NvmetRef, facts: ExportFacts): Declaration {
    const { declared, secrets } = facts as NvmetExport;
    return {
        initiators: declared.initiators.map((name) => ({ name, dhchap: hostKey(name) in secrets })),
        addresses: [],
        portals: portalsNamed(target, declared.portals),
        readOnly: declared.readOnly,
        discard: declared.discard,
    };
}
