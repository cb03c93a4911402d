import { STORAGE_STOPS, attachmentWorld } from "./attachmentWorld";
import { CASES } from "./cases";
import { labFaults } from "./lab";

for (const protocol of ["iscsi", "nvme-tcp"] as const) {
    labFaults(
        `attachments over ${protocol}`,
        () => attachmentWorld(protocol),
        [...CASES.attachments, ...(protocol === "iscsi" ? CASES.multipathd : [])],
        STORAGE_STOPS,
    );
}
