import { CHAP_SECRET_MAX_LENGTH } from "../chap";
import type { TargetCapabilities } from "../types";

/**
 * What LIO can do. Source: Linux 6.12, drivers/target/iscsi/iscsi_target_configfs.c,
 * drivers/target/iscsi/iscsi_target_auth.c.
 */
export const capabilities: TargetCapabilities = {
    perInitiatorChap: true,
    mutualChap: "per-initiator",
    addresses: false,
    readOnly: true,
    discard: true,
    // 256 bytes with their end mark (MAX_PASS_LEN).
    maxSecretLength: CHAP_SECRET_MAX_LENGTH,
};
