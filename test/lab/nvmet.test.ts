import { describe } from "vitest";
import { nvmetTarget } from "../../provider/targets/nvmet";
import { describeExports } from "../contract/exports";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import { describeKernelTarget } from "./support/kernelSuite";
import { nvmetExports } from "./support/labExports";
import { DEVICES, labShell, makeDevices } from "./support/labShell";
import { nvmetSuite } from "./support/nvmetSuite";

/** NVMe/TCP exports by a real kernel's nvmet, to another's. */

describe.each(["lvm", "file"] as const)("nvmet over %s", (pool) => {
    describeExports(async () => nvmetExports(await labOf("a", "c"), nvmetTarget, pool));
});

describe("nvmet's objects", () => {
    let lab: Lab | undefined;
    describeKernelTarget(
        nvmetSuite({
            connect: async () => {
                lab = await labOf("a");
                const run = labShell(lab.host("a"));
                await run(makeDevices(lab.host("a").diskPath("disk1")));
                return run;
            },
            disconnect: async () => {
                await lab?.stop();
            },
            devices: DEVICES,
            portal: "10.77.1.1:4420",
            other: "10.77.2.1:4420",
        }),
    );
});
