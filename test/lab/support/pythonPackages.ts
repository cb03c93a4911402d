import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../tools/command.mjs";
import { cacheDirectory } from "../../../tools/paths.mjs";
import { withLock } from "../../../tools/prepare/lock.mjs";
import type { Lab } from "../lab.mjs";
import { dataDisk } from "../qemu.mjs";

const DISK = "disk9";

/**
 * Brings packages of PyPI into a host, which has no way to the outside: on a disk that is made once and kept in the cache
 * folder. They are for the host's own Python, Debian's 3.11.
 *
 * @param wanted `os-brick==7.1.1`
 * @returns the directory to be put into Python's path
 */
export async function bringPackages(host: ReturnType<Lab["host"]>, ...wanted: string[]): Promise<string> {
    copyFileSync(await packagesDisk(wanted), dataDisk(host.machine.directory, DISK));
    await host.plugDisk(DISK);
    await host.run(`mkdir -p /mnt/python && mount -o ro ${host.diskPath(DISK)} /mnt/python`);
    return "/mnt/python";
}

async function packagesDisk(wanted: readonly string[]): Promise<string> {
    const directory = join(cacheDirectory(), "python", wanted.join("-").replaceAll("==", "-"));
    const disk = join(directory, "disk.qcow2");
    await withLock(directory, async () => {
        if (existsSync(disk)) return;
        const work = `${directory}.new`;
        rmSync(work, { recursive: true, force: true });
        mkdirSync(work, { recursive: true });
        const tree = join(work, "tree");
        const platforms = ["manylinux2014_x86_64", "manylinux_2_28_x86_64"].flatMap((one) => [
            "--platform",
            one,
        ]);
        const binary = ["--python-version", "3.11", "--only-binary", ":all:", ...platforms];
        await run("python3", [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-cache-dir",
            "--no-compile",
            ...binary,
            "--target",
            tree,
            ...wanted,
        ]);
        const raw = join(work, "disk.raw");
        await run("mke2fs", ["-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, raw, "1G"]);
        await run("qemu-img", ["convert", "-O", "qcow2", raw, join(work, "disk.qcow2")]);
        rmSync(raw);
        rmSync(tree, { recursive: true });
        rmSync(directory, { recursive: true, force: true });
        renameSync(work, directory);
    });
    return disk;
}
