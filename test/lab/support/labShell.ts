import type { Lab } from "../lab.mjs";
import type { Run } from "./kernelHost";

/** A shell on a host of the lab, as root. */
export function labShell(host: ReturnType<Lab["host"]>): Run {
    return async (script, shell = "sh") => {
        const text = shell === "sh" ? script : `exec ${shell} -s <<'BH_LAB_SCRIPT'\n${script}\nBH_LAB_SCRIPT`;
        const { status, stdout, stderr } = await host.run(text, { tolerate: true });
        return { status, stdout, stderr };
    };
}

/** Two logical volumes of 64 MiB, which no pool knows of. */
export const DEVICES = ["/dev/bhtest/one", "/dev/bhtest/two"] as const;

export function makeDevices(disk: string): string {
    return `vgs bhtest >/dev/null 2>&1 || { wipefs -q -a ${disk} && vgcreate -q bhtest ${disk} &&
lvcreate -q -y --type thin-pool -L 1g -n pool bhtest && lvcreate -q -y --type thin -V 64m --thinpool pool -n one bhtest &&
lvcreate -q -y --type thin -V 64m --thinpool pool -n two bhtest; } 2>/dev/null || exit`;
}
