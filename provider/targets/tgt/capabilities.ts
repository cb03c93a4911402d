import { CHAP_SECRET_MAX_LENGTH } from "../chap";
import type { TargetCapabilities } from "../types";

/**
 * What tgt can do. Source: tgt 1.0.85, usr/target.c (`account_ctl`, `account_lookup`), usr/iscsi/chap.c,
 * usr/iscsi/iscsid.c (`login_start`), usr/sbc.c.
 */
export const capabilities: TargetCapabilities = {
    // Accounts are bound to a target, not to an initiator.
    perInitiatorChap: false,
    mutualChap: "per-target",
    // By address in place of names: whoever matches either list is admitted.
    addresses: true,
    readOnly: true,
    discard: true,
    // Read into a buffer of 256 bytes with its end mark.
    maxSecretLength: CHAP_SECRET_MAX_LENGTH,
};
