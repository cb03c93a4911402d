// @ts-check
/**
 * File systems of their own for tests: XFS for reflinks, small ones to run full. Loop-mounted from a sparse image in a
 * temporary directory (tmpfs needs no image); needs root.
 */
import {
    mkdirSync,
    mkdtempSync,
    readFileSync,
    realpathSync,
    rmSync,
    truncateSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../command.mjs";
import { atEnd } from "../lifetime.mjs";

const prefix = "blockhost-mount-";
const MiB = 1024 * 1024;

/** @typedef {"xfs" | "ext4" | "tmpfs"} FilesystemType */

/**
 * How each is made, and the size below which its mkfs refuses.
 *
 * @type {Record<Exclude<FilesystemType, "tmpfs">, { mkfs: string[], leastMiB: number }>}
 */
const kinds = {
    xfs: { mkfs: ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"], leastMiB: 300 },
    ext4: { mkfs: ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0"], leastMiB: 1 },
};

/**
 * @typedef {object} Filesystem
 * @property {string} directory where it is mounted
 * @property {() => Promise<void>} close unmounts it and removes everything
 */

/**
 * @param {{ type: FilesystemType, sizeMiB: number }} options
 * @returns {Promise<Filesystem>}
 */
export async function mountFilesystem({ type, sizeMiB }) {
    await unmountLeftovers();
    // The process id in the name tells whose it was, should this process be killed.
    const parent = mkdtempSync(join(realpathSync(tmpdir()), `${prefix}${process.pid}-`));
    const directory = join(parent, "mounted");
    mkdirSync(directory);
    const close = async () => {
        forget();
        await unmount(directory);
        rmSync(parent, { recursive: true, force: true });
    };
    const forget = atEnd(close);
    try {
        if (type === "tmpfs") {
            await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", directory]);
        } else {
            const { mkfs, leastMiB } = kinds[type];
            if (sizeMiB < leastMiB) throw new RangeError(`${type} needs ${leastMiB} MiB at least`);
            const image = join(parent, "image");
            writeFileSync(image, "");
            truncateSync(image, sizeMiB * MiB);
            const [program = "", ...args] = mkfs;
            await run(program, [...args, image]);
            // A loop device set up by mount goes with the mount.
            await run("mount", ["-t", type, "-o", "loop", image, directory]);
        }
    } catch (error) {
        await close();
        throw error;
    }
    return { directory, close };
}

/** An XFS with reflinks. @param {{ sizeMiB?: number }} [options] */
export function mountXfs({ sizeMiB = 512 } = {}) {
    return mountFilesystem({ type: "xfs", sizeMiB });
}

/** What test processes that were killed have left mounted. */
async function unmountLeftovers() {
    for (const directory of mountedDirectories()) {
        const pid = new RegExp(`/${prefix}(\\d+)-[^/]*/mounted$`).exec(directory)?.[1];
        if (pid === undefined || isAlive(Number(pid))) continue;
        await unmount(directory);
        rmSync(join(directory, ".."), { recursive: true, force: true });
    }
}

/** @param {string} directory */
async function unmount(directory) {
    if (!mountedDirectories().includes(directory)) return;
    const { status } = await run("umount", [directory], { tolerate: true });
    // Busy: it goes as soon as the last file in it is closed.
    if (status !== 0) await run("umount", ["--lazy", directory], { tolerate: true });
}

function mountedDirectories() {
    return readFileSync("/proc/mounts", "utf8")
        .split("\n")
        .map((line) => line.split(" ")[1] ?? "")
        .filter((directory) => directory.includes(prefix));
}

/** @param {number} pid */
function isAlive(pid) {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
}
