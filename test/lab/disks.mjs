// @ts-check
import { run } from "../../tools/command.mjs";

/** An empty disk, which takes space as it is written. @param {string} file @param {string} size as qemu-img takes it */
export async function createDisk(file, size) {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", file, size]);
}

/**
 * A disk that begins as another one is, which has to stay as it is.
 *
 * @param {string} file
 * @param {string} base
 * @param {"raw" | "qcow2"} format of the base
 */
export async function createOverlay(file, base, format) {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", format, file]);
}
