import { parsePortal } from "../portal";
import { portalsOf } from "../portals";
import type { ConnectionProperties, Dhchap, ExportFacts, ExportWanted } from "../types";
import { NAMESPACE, namespaceIdentity, type NvmetRef } from "./model";

/**
 * What os-brick's NVMe-oF connector takes. F5: initialize_connection; source: os-brick 7.1.1,
 * os_brick/initiator/connectors/nvmeof.py `NVMeOFConnProps`. It has no place for keys: they are in `dhchap_key` and
 * `dhchap_ctrl_key` (of the first host that has any), and in `auth_by_initiator` with several hosts, which os-brick passes
 * over.
 * Whoever hands it on treats it as a secret.
 */
export function connection(target: NvmetRef, want: ExportWanted, facts: ExportFacts): ConnectionProperties {
    const portals = portalsOf(target, want).flatMap((text) => {
        const portal = parsePortal(text);
        return portal === undefined ? [] : [[portal.address, String(portal.port), "tcp"]];
    });
    const { uuid, nguid } = namespaceIdentity(want.mark.generation);
    const first = want.initiators.find(({ dhchap }) => dhchap !== undefined)?.dhchap;
    return {
        driver_volume_type: "nvmeof",
        data: {
            target_nqn: facts.targetName,
            portals,
            vol_uuid: uuid,
            volume_nguid: nguid.replaceAll("-", ""),
            ns_id: NAMESPACE,
            volume_id: want.name,
            ...(first === undefined ? {} : keys(first)),
            ...(first === undefined || want.initiators.length < 2
                ? {}
                : {
                      // Of those without keys, too: the first one's are not theirs.
                      auth_by_initiator: Object.fromEntries(
                          want.initiators.map(({ name, dhchap }) => [
                              name,
                              dhchap === undefined ? {} : keys(dhchap),
                          ]),
                      ),
                  }),
            access_mode: "rw",
            discard: true,
            encrypted: false,
            cacheable: false,
        },
    };
}

function keys({ key, controllerKey }: Dhchap) {
    return {
        dhchap_key: key.value,
        ...(controllerKey === undefined ? {} : { dhchap_ctrl_key: controllerKey.value }),
    };
}
