import type { ConnectionProperties, ExportFacts, ExportWanted } from "../types";
import { LUN } from "./compare";
import { portalsOf, type TgtExport, type TgtRef } from "./model";

/**
 * What os-brick's iSCSI connector takes. F5: initialize_connection; source: Cinder,
 * cinder/volume/targets/iscsi.py `_get_iscsi_properties`. All initiators of an export have the same credentials with
 * tgt, so one set of properties serves them all. Holds the CHAP password: whoever hands it on treats it as a secret.
 */
export function connection(target: TgtRef, want: ExportWanted, facts: ExportFacts): ConnectionProperties {
    const portals = portalsOf(target, want);
    const chap = want.initiators.find((initiator) => initiator.chap !== undefined)?.chap;
    // What is live counts, not what is assumed of it: a snapshot is read-only without being declared so.
    const { readOnly, discard } = (facts as Partial<TgtExport>).declared ?? want;
    const several = portals.length > 1;
    return {
        driver_volume_type: "iscsi",
        data: {
            target_discovered: false,
            target_iqn: facts.targetName,
            target_portal: portals[0],
            target_lun: LUN,
            volume_id: want.name,
            ...(several
                ? {
                      target_iqns: portals.map(() => facts.targetName),
                      target_portals: portals,
                      target_luns: portals.map(() => LUN),
                  }
                : {}),
            ...(chap === undefined
                ? {}
                : { auth_method: "CHAP", auth_username: chap.username, auth_password: chap.password.value }),
            access_mode: readOnly ? "ro" : "rw",
            discard,
            encrypted: false,
            cacheable: false,
        },
    };
}
