import { STORAGE_STOPS, attachmentWorld } from "./attachmentWorld";
import { CASES } from "./cases";
import { lvmExportFaults } from "./lvm";

for (const protocol of ["iscsi", "nvme-tcp"] as const) {
    lvmExportFaults(
        `attachments over ${protocol}`,
        () => attachmentWorld(protocol),
        CASES.attachments,
        STORAGE_STOPS,
    );
}
