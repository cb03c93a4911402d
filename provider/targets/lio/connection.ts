import type { KernelExport } from "../configfs/model";
import { portalsOf } from "../configfs/model";
import { normalizeIscsiName } from "../iqn";
import type { Chap, ConnectionProperties, ExportFacts, ExportWanted } from "../types";
import { LUN, type LioRef } from "./model";

/**
 * What os-brick's iSCSI connector takes. F5: initialize_connection; source: Cinder,
 * cinder/volume/targets/iscsi.py `_get_iscsi_properties`. With several initiators the credentials are the first one's,
 * and those of all are in `auth_by_initiator`, which os-brick passes over. Holds CHAP passwords: whoever hands it on
 * treats it as a secret.
 */
export function connection(target: LioRef, want: ExportWanted, facts: ExportFacts): ConnectionProperties {
    const portals = portalsOf(target, want);
    const { readOnly, discard } = (facts as Partial<KernelExport>).declared ?? want;
    const several = portals.length > 1;
    const withChap = want.initiators.flatMap(({ name, chap }) =>
        chap === undefined ? [] : [[name, chap] as const],
    );
    const first = withChap[0]?.[1];
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
            ...(first === undefined ? {} : auth(first)),
            ...(withChap.length < 2
                ? {}
                : {
                      auth_by_initiator: Object.fromEntries(
                          withChap.map(([name, chap]) => [normalizeIscsiName(name), auth(chap)]),
                      ),
                  }),
            access_mode: readOnly ? "ro" : "rw",
            discard,
            encrypted: false,
            cacheable: false,
        },
    };
}

function auth({ username, password }: Chap) {
    return { auth_method: "CHAP", auth_username: username, auth_password: password.value };
}
