import { describe } from "vitest";
import { lioTarget } from "../../provider/targets/lio";
import { describeExports } from "../contract/exports";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import { describeKernelTarget } from "./support/kernelSuite";
import { iscsiExports } from "./support/labExports";
import { DEVICES, labShell, makeDevices } from "./support/labShell";
import { lioSuite } from "./support/lioSuite";

/** iSCSI exports by a real kernel's LIO. */

describe.each(["lvm", "file"] as const)("LIO over %s", (pool) => {
    describeExports(async () => iscsiExports(await labOf("a"), lioTarget, pool));
});

describe("LIO's objects", () => {
    let lab: Lab | undefined;
    describeKernelTarget(
        lioSuite({
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
            portal: "10.77.1.1:3260",
            other: "[fd77:1::1]:3260",
        }),
    );
});
