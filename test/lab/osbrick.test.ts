import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lioTarget } from "../../provider/targets/lio";
import { nvmetTarget } from "../../provider/targets/nvmet";
import { CHAP, Client } from "../support/client";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import { blockDevice } from "./support/blockDevice";
import { type KernelBackend, iscsiToKernel, nvmetExports } from "./support/labExports";
import { bringPackages } from "./support/pythonPackages";

/** OpenStack's os-brick, unmodified, attaches exports by what `Export.connection` says, and nothing else. */

const KINDS = [
    {
        protocol: "iscsi",
        connector: "ISCSI",
        helper: "lio",
        port: 3260,
        portals: "target_portals",
        of: (lab: Lab) => iscsiToKernel(lab, lioTarget, "lvm"),
    },
    {
        protocol: "nvme-tcp",
        connector: "NVMEOF",
        helper: "nvmet",
        port: 4420,
        portals: "portals",
        of: (lab: Lab) => nvmetExports(lab, nvmetTarget, "lvm"),
    },
] as const;

/** `connect` prints what os-brick knows of the device; `disconnect` is given that again. */
const SCRIPT = `
import json, sys
sys.path.insert(0, sys.argv[1])
from os_brick import privileged
privileged.default.set_client_mode(False)
from oslo_concurrency import lockutils
lockutils.set_defaults(lock_path="/run/brick")
from os_brick.initiator.connector import InitiatorConnector
given = json.load(open("/run/brick.json"))
one = InitiatorConnector.factory(given["connector"], "", device_scan_attempts=5)
if sys.argv[2] == "connect":
    print(json.dumps(one.connect_volume(given["data"])))
else:
    one.disconnect_volume(given["data"], given["device"])
`;

describe.each(KINDS)("os-brick over $protocol", ({ protocol, connector, helper, port, portals, of }) => {
    let lab: Lab;
    let backend: KernelBackend;
    let packages: string;
    let client: Client;

    beforeAll(async () => {
        lab = await labOf("a", "c");
        backend = await of(lab);
        packages = await bringPackages(lab.host("c"), "os-brick==7.1.1");
        const target = { helper, portals: lab.host("a").portals(port) };
        client = new Client(backend.host, { configuration: { targets: { [protocol]: target } } });
    });
    afterAll(async () => {
        await client.close();
        await lab.stop();
    });

    const onClient = async (script: string) =>
        (await lab.host("c").run(script, { timeoutMs: 250_000 })).stdout.trim();
    const brick = (action: string, given: unknown) =>
        onClient(`umask 077
cat > /run/brick.json <<'BH_GIVEN'
${JSON.stringify(given)}
BH_GIVEN
cat > /run/brick.py <<'BH_SCRIPT'
${SCRIPT}
BH_SCRIPT
python3 /run/brick.py ${packages} ${action}`);
    const left = () => onClient(`iscsiadm -m session 2>/dev/null; ls /sys/class/nvme 2>/dev/null; :`);

    test.each(["one portal", "two portals"])(
        "over %s connects, reads and writes, and disconnects",
        { timeout: 600_000 },
        async (count) => {
            const volume = await client.volume("brick");
            await backend.fill(volume.path, 0x17);
            await onClient(`modprobe nvme-tcp; systemctl start iscsid
[ -s /etc/nvme/hostnqn ] || { mkdir -p /etc/nvme && nvme gen-hostnqn > /etc/nvme/hostnqn; }`);
            // os-brick has no place for keys of NVMe in-band authentication.
            const initiator =
                protocol === "iscsi"
                    ? {
                          iqn: await onClient("sed -n 's/^InitiatorName=//p' /etc/iscsi/initiatorname.iscsi"),
                          chap: CHAP,
                      }
                    : { nqn: await onClient("cat /etc/nvme/hostnqn") };
            const all = lab.host("a").portals(port);
            const exported = await client.export("brick-x", "brick", {
                protocol,
                initiators: [initiator],
                ...(count === "one portal" ? { portals: all.slice(0, 1) } : {}),
            });
            const { data } = exported.connection;
            // Of one iSCSI portal it is `target_portal` alone.
            expect((data as Record<string, unknown[]>)[portals]?.length ?? 1).toBe(
                count === "one portal" ? 1 : 2,
            );
            const device = JSON.parse(await brick("connect", { connector, data })) as { path: string };
            const { holds, write } = blockDevice(onClient, device.path);
            expect(await holds(0, 4096, 0x17)).toBe(true);
            await write(0, 4096, 0x71);
            expect(await backend.firstByte(volume.path)).toBe(0x71);
            await brick("disconnect", { connector, data, device });
            expect(await left()).toBe("");
            await client.delete(exported);
            await client.delete(volume);
        },
    );
});
