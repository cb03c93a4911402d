import { existsSync } from "node:fs";
import type { HostName } from "../layout.mjs";
import { attachLab, type Lab, startLab } from "../lab.mjs";

/**
 * A pristine lab for a test; or the one that `BLOCKHOST_LAB` names the directory of, as other tests have left it, to try
 * something many times.
 */
export async function labOf(...hosts: HostName[]): Promise<Lab> {
    const directory = process.env["BLOCKHOST_LAB"];
    if (directory === undefined || !existsSync(directory)) return startLab({ hosts });
    const lab = attachLab(directory);
    return Object.assign(lab, {
        stop: () => {
            lab.disconnect();
            return Promise.resolve();
        },
    });
}
