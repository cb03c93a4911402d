// @ts-check
/**
 * Hosts that have booted, kept in the cache folder: disk and memory. A host of a new lab goes on from there, in two
 * seconds in place of ten; what it then writes goes to files of its own.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../tools/command.mjs";
import { atEnd } from "../../tools/lifetime.mjs";
import { cacheDirectory } from "../../tools/paths.mjs";
import { withLock } from "../../tools/prepare/lock.mjs";
import { acceleratorKey } from "./accelerator.mjs";
import { createDisk, createOverlay } from "./disks.mjs";
import { diskNames, diskSize } from "./layout.mjs";
import { emulator } from "./emulator.mjs";

/**
 * @typedef {object} Snapshot
 * @property {string} root qcow2, what a new host's root disk begins as
 * @property {string} state QEMU's migration stream
 */

/**
 * @param {import("./image/index.mjs").Image} image
 * @param {import("./layout.mjs").HostName} name
 * @returns {Promise<Snapshot & { directory: string }>}
 */
async function describe(image, name) {
    const version = (await run(emulator().program, ["--version"])).stdout;
    const digest = createHash("sha256").update(image.key).update(version).update(acceleratorKey());
    for (const file of ["machine.mjs", "qemu.mjs", "snapshot.mjs"]) {
        digest.update(readFileSync(fileURLToPath(new URL(file, import.meta.url))));
    }
    const key = digest.digest("hex").slice(0, 16);
    const directory = join(cacheDirectory(), "lab", "booted", key, name);
    return { directory, root: join(directory, "root.qcow2"), state: join(directory, "state") };
}

/**
 * The snapshot of a host, taken now where there is none.
 *
 * @param {import("./image/index.mjs").Image} image
 * @param {import("./layout.mjs").HostName} name
 * @param {(directory: string) => Promise<import("./host.mjs").LabHost>} boot boots a host whose disks are in `directory`
 * @returns {Promise<Snapshot>}
 */
export async function bootedHost(image, name, boot) {
    const snapshot = await describe(image, name);
    await withLock(snapshot.directory, async () => {
        if (!existsSync(snapshot.directory)) await take(snapshot.directory, image, boot);
    });
    return snapshot;
}

/**
 * @param {string} directory
 * @param {import("./image/index.mjs").Image} image
 * @param {(directory: string) => Promise<import("./host.mjs").LabHost>} boot
 */
async function take(directory, image, boot) {
    const work = `${directory}.new`;
    const remove = () => rmSync(work, { recursive: true, force: true });
    remove();
    const forget = atEnd(remove);
    try {
        mkdirSync(work, { recursive: true });
        await createOverlay(join(work, "root.qcow2"), image.root, "raw");
        for (const disk of diskNames) await createDisk(join(work, `${disk}.qcow2`), diskSize);
        const host = await boot(work);
        try {
            // Nothing that is still starting shall be in every test's way.
            await host.run(
                "systemctl is-system-running --wait >/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches",
                {
                    tolerate: true,
                },
            );
            host.disconnect();
            await host.machine.saveState(join(work, "state"));
        } finally {
            await host.powerOff();
        }
        for (const name of ["console.log", "qemu.log", "machine.json", "pid", "qmp"]) {
            rmSync(join(work, name), { force: true });
        }
        for (const disk of diskNames) rmSync(join(work, `${disk}.qcow2`));
        mkdirSync(dirname(directory), { recursive: true });
        renameSync(work, directory);
    } finally {
        forget();
        remove();
    }
}
