import { normalizeIscsiName } from "./iqn";
import type { ConnectionProperties, ExportFacts, ExportWanted } from "./types";

/**
 * Connection properties with what os-brick has no place for and passes over, and an `Attachment` needs: the unit's
 * serial number, by which its device is known to be the right one, and the credentials of mutual CHAP.
 */
export function attachable(
    { driver_volume_type, data }: ConnectionProperties,
    { initiators }: ExportWanted,
    { serial }: ExportFacts,
): ConnectionProperties {
    const mutual = new Map(
        initiators.flatMap(({ name, mutualChap }) =>
            mutualChap === undefined
                ? []
                : [
                      [
                          normalizeIscsiName(name),
                          {
                              auth_username_in: mutualChap.username,
                              auth_password_in: mutualChap.password.value,
                          },
                      ] as const,
                  ],
        ),
    );
    const own = data["auth_by_initiator"] as Readonly<Record<string, object>> | undefined;
    const first = initiators.find(({ chap }) => chap !== undefined)?.name;
    return {
        driver_volume_type,
        data: {
            ...data,
            serial,
            ...(first === undefined ? {} : mutual.get(normalizeIscsiName(first))),
            ...(own === undefined
                ? {}
                : {
                      auth_by_initiator: Object.fromEntries(
                          Object.entries(own).map(([who, auth]) => [who, { ...auth, ...mutual.get(who) }]),
                      ),
                  }),
        },
    };
}
