import { describe, vi } from "vitest";
import { type Place, steadySuite } from "../e2e/support/steadySuite";
import { POOL } from "../support/client";
import { startLab } from "./lab.mjs";
import { lvmBackend } from "./lvmBackend";

/** The life of a stack on LVM with LIO and nvmet. On files with tgt: `test/e2e/steady.test.ts`. */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const TARGETS = {
    lio: { protocol: "iscsi", port: 3260 },
    nvmet: { protocol: "nvme-tcp", port: 4420 },
} as const;

async function place(kind: "thin" | "thick", helper: keyof typeof TARGETS): Promise<Place> {
    const backend = lvmBackend(kind, () => startLab({ hosts: ["a"] }));
    await backend.start();
    const { group, host, options, stateDirectory } = backend;
    const { protocol, port } = TARGETS[helper];
    const run = (script: string) => backend.run(script);
    const lv = (name: string) => `${group}/${name}`;
    return {
        configuration: host.configuration({
            stateDirectory,
            pools: { [POOL]: options },
            targets: { [protocol]: { helper, portals: host.portals(port) } },
        }),
        protocol,
        sizeOf: (name) => backend.sizeOf(name),
        resize: (name, bytes) => backend.growBehind(name, bytes),
        remove: (name) => backend.removeBehind(name),
        identity: (name) => run(`lvs --noheadings -o lv_uuid ${lv(name)}`),
        left: async () => {
            const found = await run(`lvs --noheadings -o lv_name ${group} | grep -vw pool0
                ls ${stateDirectory}/exports/${protocol} ${stateDirectory}/units /sys/kernel/config/target/core 2>/dev/null | grep -vx -e alua -e '.*:'
                ls -d /sys/kernel/config/target/iscsi/iqn* /sys/kernel/config/nvmet/*/[0-9n]* 2>/dev/null
                ls /etc/systemd/system | grep blockhost; :`);
            return found.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
        },
        stop: () => backend.stop(),
    };
}

describe.each([
    ["thin", "lio"],
    ["thick", "lio"],
    ["thin", "nvmet"],
    ["thick", "nvmet"],
] as const)("%s LVM, %s,", (kind, helper) => {
    steadySuite(() => place(kind, helper));
});
