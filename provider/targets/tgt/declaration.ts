import { portalsNamed } from "../portals";
import type { Declaration, ExportFacts } from "../types";
import type { TgtExport, TgtRef } from "./model";

/** What an export declares, from its boot file's header. All initiators of an export have the same credentials. */
export function declaration(target: TgtRef, facts: ExportFacts): Declaration {
    const { declared } = facts as TgtExport;
    const chap = {
        ...(declared.incoming === undefined ? {} : { chap: declared.incoming.user }),
        ...(declared.outgoing === undefined ? {} : { mutualChap: declared.outgoing.user }),
    };
    return {
        initiators: declared.initiators.map((name) => ({ name, ...chap })),
        addresses: declared.addresses,
        portals: portalsNamed(target, declared.portals),
        readOnly: declared.readOnly,
        discard: declared.discard,
    };
}
