// @ts-check
/**
 * The lab's part of the cache folder: images (`image/<key>`), QEMU (`qemu/<key>`) and hosts that have booted
 * (`booted/<key>/<name>`), each under a digest of what it was made from. A change of what they are made from leaves the
 * old ones behind.
 */
import { existsSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory } from "../../tools/paths.mjs";

const keptDays = 14;

/** Says that an entry is in use. @param {string} directory */
export function touch(directory) {
    const now = new Date();
    utimesSync(directory, now, now);
}

/** Removes what nobody began to use for two weeks; what is made from it does not run any more. */
export function prune(directory = join(cacheDirectory(), "lab")) {
    const images = entries(join(directory, "image"));
    const emulators = entries(join(directory, "qemu"));
    const booted = entries(join(directory, "booted"));
    for (const path of [...images, ...emulators, ...booted.flatMap(entries)]) {
        const days = (Date.now() - statSync(path).mtimeMs) / 86_400_000;
        if (days > keptDays) rmSync(path, { recursive: true, force: true });
    }
    for (const path of booted) {
        if (entries(path).length === 0) rmSync(path, { recursive: true, force: true });
    }
}

/** @param {string} directory @returns {string[]} paths */
function entries(directory) {
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
}
