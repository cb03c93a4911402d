import { describe, vi } from "vitest";
import { type Place, steadySuite } from "../e2e/support/steadySuite";
import { POOL } from "../support/client";
import { startLab } from "./lab.mjs";
import { lvmBackend } from "./lvmBackend";

/** The life of a stack on LVM with LIO. On files with tgt: `test/e2e/steady.test.ts`. */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

async function place(kind: "thin" | "thick"): Promise<Place> {
    const backend = lvmBackend(kind, () => startLab({ hosts: ["a"] }));
    await backend.start();
    const { group, host, options, stateDirectory } = backend;
    const run = (script: string) => backend.run(script);
    const lv = (name: string) => `${group}/${name}`;
    return {
        configuration: host.configuration({
            stateDirectory,
            pools: { [POOL]: options },
            targets: {
                iscsi: { helper: "lio", portals: host.portals(3260) },
            },
        }),
        sizeOf: (name) => backend.sizeOf(name),
        resize: (name, bytes) => backend.growBehind(name, bytes),
        remove: (name) => backend.removeBehind(name),
        identity: (name) => run(`lvs --noheadings -o lv_uuid ${lv(name)}`),
        left: async () => {
            const found = await run(`lvs --noheadings -o lv_name ${group} | grep -vw pool0
                ls ${stateDirectory}/exports/iscsi ${stateDirectory}/units /sys/kernel/config/target/core 2>/dev/null | grep -vx -e alua -e '.*:'
                ls -d /sys/kernel/config/target/iscsi/iqn* 2>/dev/null
                ls /etc/systemd/system | grep blockhost; :`);
            return found.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
        },
        stop: () => backend.stop(),
    };
}

describe.each(["thin", "thick"] as const)("%s LVM,", (kind) => {
    steadySuite(() => place(kind));
});
