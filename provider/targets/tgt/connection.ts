import { chapProperties, iscsiConnection } from "../iscsiConnection";
import { portalsOf } from "../portals";
import type { ConnectionProperties, ExportFacts, ExportWanted } from "../types";
import { LUN } from "./compare";
import { type TgtExport, type TgtRef } from "./model";

/** All initiators of an export have the same credentials with tgt, so one set of properties serves them all. */
export function connection(target: TgtRef, want: ExportWanted, facts: ExportFacts): ConnectionProperties {
    const chap = want.initiators.find((initiator) => initiator.chap !== undefined)?.chap;
    // What is live counts, not what is assumed of it: a snapshot is read-only without being declared so.
    const { readOnly, discard } = (facts as Partial<TgtExport>).declared ?? want;
    const { name } = want;
    const { targetName } = facts;
    const portals = portalsOf(target, want);
    return iscsiConnection({ name, targetName, portals, lun: LUN, readOnly, discard }, chapProperties(chap));
}
