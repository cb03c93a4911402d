import { vi } from "vitest";
import { STORAGE_STOPS, attachmentWorld } from "./attachmentWorld";
import { CASES } from "./cases";
import { faultMatrix } from "./matrix";
import { MOMENTS, STOPS } from "./stops";

const { between, inside, transit } = STOPS;

vi.setConfig({ testTimeout: 3_600_000 });

for (const protocol of ["iscsi", "nvme-tcp"] as const) {
    faultMatrix(
        `attachments over ${protocol}`,
        () => attachmentWorld(protocol),
        CASES.attachments,
        [...STORAGE_STOPS, ...between, ...inside, ...transit, ...MOMENTS],
        { slow: true },
    );
}
