import { portalsNamed } from "../portals";
import type { Declaration, ExportFacts } from "../types";
import type { LioExport, LioRef } from "./model";

/** What an export declares, from its boot file's header. */
export function declaration(target: LioRef, facts: ExportFacts): Declaration {
    const { declared } = facts as LioExport;
    return {
        initiators: declared.initiators.map((name) => {
            const { user, mutual } = declared.users[name] ?? {};
            return {
                name,
                ...(user === undefined ? {} : { chap: user }),
                ...(mutual === undefined ? {} : { mutualChap: mutual }),
            };
        }),
        addresses: [],
        portals: portalsNamed(target, declared.portals),
        readOnly: declared.readOnly,
        discard: declared.discard,
    };
}
