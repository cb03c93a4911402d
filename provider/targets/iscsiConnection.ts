import type { Chap, ConnectionProperties } from "./types";

/** Where initiators find an export's unit, and what they may do with it. */
export interface IscsiUnit {
    /** The export's name. */
    readonly name: string;
    readonly targetName: string;
    /** In the order in which initiators are to try them. */
    readonly portals: readonly string[];
    readonly lun: number;
    readonly readOnly: boolean;
    readonly discard: boolean;
}

/**
 * What os-brick's iSCSI connector takes. F5: initialize_connection; source: Cinder,
 * cinder/volume/targets/iscsi.py `_get_iscsi_properties`. Holds CHAP passwords: whoever hands it on treats it as a secret.
 *
 * @param credentials Of {@link chapProperties}, and what else only the helper has.
 */
export function iscsiConnection(
    { name, targetName, portals, lun, readOnly, discard }: IscsiUnit,
    credentials: Readonly<Record<string, unknown>>,
): ConnectionProperties {
    const several = portals.length > 1;
    return {
        driver_volume_type: "iscsi",
        data: {
            target_discovered: false,
            target_iqn: targetName,
            target_portal: portals[0],
            target_lun: lun,
            volume_id: name,
            ...(several
                ? {
                      target_iqns: portals.map(() => targetName),
                      target_portals: portals,
                      target_luns: portals.map(() => lun),
                  }
                : {}),
            ...credentials,
            access_mode: readOnly ? "ro" : "rw",
            discard,
            encrypted: false,
            cacheable: false,
        },
    };
}

/** Of an initiator without CHAP: none. */
export function chapProperties(chap: Chap | undefined): Record<string, string> {
    if (chap === undefined) return {};
    const { username, password } = chap;
    return { auth_method: "CHAP", auth_username: username, auth_password: password.value };
}
