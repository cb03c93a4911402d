import type { KernelExport } from "../configfs/model";
import { normalizeIscsiName } from "../iqn";
import { chapProperties, iscsiConnection } from "../iscsiConnection";
import { portalsOf } from "../portals";
import type { ConnectionProperties, ExportFacts, ExportWanted } from "../types";
import { LUN, type LioRef } from "./model";

/**
 * With several initiators the credentials are the first one's, and those of all are in `auth_by_initiator`, which
 * os-brick passes over.
 */
export function connection(target: LioRef, want: ExportWanted, facts: ExportFacts): ConnectionProperties {
    // What is live counts, not what is assumed of it: a snapshot is read-only without being declared so.
    const { readOnly, discard } = (facts as Partial<KernelExport>).declared ?? want;
    const withChap = want.initiators.flatMap(({ name, chap }) =>
        chap === undefined ? [] : [[normalizeIscsiName(name), chapProperties(chap)] as const],
    );
    const { name } = want;
    const { targetName } = facts;
    const portals = portalsOf(target, want);
    return iscsiConnection(
        { name, targetName, portals, lun: LUN, readOnly, discard },
        {
            ...withChap[0]?.[1],
            ...(withChap.length < 2 ? {} : { auth_by_initiator: Object.fromEntries(withChap) }),
        },
    );
}
