import type { TargetCapabilities } from "../types";

/** What nvmet can do. Source: Linux 6.12, drivers/nvme/target/configfs.c, auth.c, io-cmd-bdev.c. */
export const capabilities: TargetCapabilities = {
    // In-band authentication in place of CHAP; keys belong to a host, whatever it connects to.
    perInitiatorChap: false,
    mutualChap: "none",
    addresses: false,
    // A namespace opens its device for writing.
    readOnly: false,
    // Whatever the device can, always.
    discard: true,
    maxSecretLength: 0,
};
