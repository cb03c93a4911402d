// @ts-check
/**
 * What every host of the lab starts from: kernel, initrd and root file system, built from Debian packages by script
 * only and kept in the cache folder under a digest of what they are made from.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd } from "../../../tools/lifetime.mjs";
import { cacheDirectory } from "../../../tools/paths.mjs";
import { withLock } from "../../../tools/prepare/lock.mjs";
import { StepFailed } from "../../../tools/prepare/progress.mjs";
import { makeInitrd } from "./initrd.mjs";
import { findKernel, installModules, unpackKernel } from "./kernel.mjs";
import { furnish, guestFiles, makeTree, manifest, packTree } from "./root.mjs";

/**
 * @typedef {object} Image
 * @property {string} key digest of what it was made from
 * @property {string} directory
 * @property {string} kernel
 * @property {string} initrd
 * @property {string} root raw image of an ext4 file system; not to be written
 * @property {string} keys directory of `client_key`, which gets in as root, storage and plain, and of host_key_<name>
 */

/** Sources of this image, whose text is part of its key. */
const sources = [fileURLToPath(new URL(".", import.meta.url)), guestFiles];

/** @returns {Image} where the image is, or is to be */
function describe() {
    const digest = createHash("sha256").update(process.arch);
    for (const file of [
        ...sources.flatMap(filesBelow),
        fileURLToPath(new URL("../layout.mjs", import.meta.url)),
    ]) {
        digest.update(readFileSync(file)).update("\0");
    }
    return imageAt(join(cacheDirectory(), "lab", "image", digest.digest("hex").slice(0, 16)));
}

/** @param {string} directory @returns {Image} */
export function imageAt(directory) {
    return {
        key: basename(directory),
        directory,
        kernel: join(directory, "vmlinuz"),
        initrd: join(directory, "initrd"),
        root: join(directory, "root.img"),
        keys: join(directory, "keys"),
    };
}

/** The image, if it is there already. */
export function findImage() {
    const image = describe();
    return existsSync(image.directory) ? image : undefined;
}

/**
 * @param {import("../../../tools/prepare/progress.mjs").Say} say
 * @returns {Promise<Image>}
 */
export async function buildImage(say) {
    const image = describe();
    await withLock(
        image.directory,
        async () => {
            if (!existsSync(image.directory)) await build(image, say);
        },
        () => say("waiting for another process that builds it"),
    );
    return image;
}

/** @param {Image} image @param {import("../../../tools/prepare/progress.mjs").Say} say */
async function build(image, say) {
    if (process.arch !== "x64" || process.getuid?.() !== 0) {
        throw new StepFailed("The lab's image is built on x86-64, by root.", "run it there, as root.");
    }
    const work = `${image.directory}.new`;
    const remove = () => rmSync(work, { recursive: true, force: true });
    remove();
    const forget = atEnd(remove);
    try {
        const scratch = join(work, "scratch");
        const root = join(scratch, "root");
        const kernelDirectory = join(scratch, "kernel");
        mkdirSync(kernelDirectory, { recursive: true });

        say("kernel");
        const found = await findKernel();
        const kernel = await unpackKernel(found.name, kernelDirectory);
        await makeTree(root, scratch, (line) => say(line.slice(0, 60)));
        say("putting it together");
        const modules = await installModules(kernel, root);
        await furnish(root, join(work, "keys"));
        await makeInitrd({ modules, root, directory: scratch, file: join(work, "initrd") });
        writeFileSync(join(work, "packages.txt"), `${found.name} ${found.version}\n${manifest(root)}\n`);
        renameSync(kernel.image, join(work, "vmlinuz"));
        await packTree(root, join(work, "root.img"));
        rmSync(scratch, { recursive: true, force: true });
        renameSync(work, image.directory);
    } finally {
        forget();
        remove();
    }
}

/** @param {string} path @returns {string[]} files, in an order that is always the same */
function filesBelow(path) {
    return readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
        .sort();
}
