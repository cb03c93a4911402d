import { describe, expect, test } from "vitest";
import { nvmetTarget } from "../../provider/targets/nvmet";
import { describeExports } from "../contract/exports";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { deriveDhchapKey } from "../../provider/targets/dhchap";
import { Client } from "../support/client";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import { describeKernelTarget } from "./support/kernelSuite";
import { nvmetExports } from "./support/labExports";
import { DEVICES, labShell, makeDevices } from "./support/labShell";
import { connectNvme } from "./support/nvmeInitiator";
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

test("a key that one export gives a host no more keeps the other closed, and goes with that one", async () => {
    const lab = await labOf("a", "c");
    const backend = await nvmetExports(lab, nvmetTarget, "file");
    const client = new Client(backend.host);
    const nqn = "nqn.2024-01.com.example:shared";
    const key = deriveDhchapKey("a secret of more than thirty-two bytes", "shared");
    const declared = { protocol: backend.protocol, initiators: [{ nqn, dhchap: { key } }] };
    /** Whether it is let in. */
    const letsIn = async ({ connection: { data } }: ExportState, secret: { key?: string }) => {
        const portals = data["portals"] as [string, string, string][];
        const [address = "", port = ""] = portals[0] ?? [];
        const to = { portal: `${address}:${port}`, subsystem: String(data["target_nqn"]) };
        const uuid = String(data["vol_uuid"]);
        const connected = await connectNvme(lab.host("c"), { ...to, uuid, host: nqn, ...secret }).catch(
            () => undefined,
        );
        await connected?.disconnect();
        return connected !== undefined;
    };
    try {
        for (const name of ["k1", "k2"]) await client.volume(name);
        let one = await client.export("k1-x", "k1", declared);
        const two = await client.export("k2-x", "k2", declared);
        one = await client.changeExport(one, { initiators: [{ nqn }] });
        expect(one.drift).toEqual([]);
        expect(await letsIn(two, {})).toBe(false);
        expect(await letsIn(two, { key })).toBe(true);
        await client.delete(two);
        expect(await letsIn(one, {})).toBe(true);
        expect((await exportLifecycle.read(client.context, one))?.state.drift).toEqual([]);
        await client.delete(one);
    } finally {
        await client.close();
        await lab.stop();
    }
});
