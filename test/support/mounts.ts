import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** File systems that tests mount for themselves; needs root, and fails without. `plain`: a directory. */

export type FileSystem =
    "plain" | "tmpfs" | "xfs" | "xfs-without-reflink" | "ext4" | "ext4-without-journal" | "btrfs";

const MAKE: Partial<Record<FileSystem, readonly string[]>> = {
    xfs: ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "xfs-without-reflink": ["mkfs.xfs", "-q", "-m", "reflink=0"],
    ext4: ["mkfs.ext4", "-q"],
    "ext4-without-journal": ["mkfs.ext4", "-q", "-O", "^has_journal"],
    btrfs: ["mkfs.btrfs", "-q"],
};

export interface Mounted {
    readonly directory: string;
    /** What it was made on, where it has a file system of its own. */
    readonly image?: string;
    unmount(): void;
}

/** @param megabytes size of the file system; XFS and btrfs need 300 or more. */
export function mount(kind: FileSystem, megabytes: number): Mounted {
    const root = mkdtempSync(join(tmpdir(), "blockhost-mount-"));
    const directory = join(root, "mnt");
    mkdirSync(directory);
    const clear = () => {
        rmSync(root, { recursive: true, force: true });
    };
    if (kind === "plain") return { directory, unmount: clear };
    const image = join(root, "image");
    const [make, ...options] = MAKE[kind] ?? [];
    try {
        if (make === undefined) {
            run("mount", "-t", "tmpfs", "-o", `size=${String(megabytes)}m`, "blockhost-test", directory);
        } else {
            run("truncate", "-s", `${String(megabytes)}M`, image);
            run(make, ...options, image);
            run("mount", "-o", "loop", image, directory);
        }
    } catch (error) {
        clear();
        throw error;
    }
    return { ...mounted(directory, clear), ...(make === undefined ? {} : { image }) };
}

/**
 * The file system as it would be found after a power cut at this moment: a copy of what its device holds, mounted, so
 * that its journal is replayed.
 */
export function mountCopy({ image }: Mounted): Mounted {
    if (image === undefined) throw new Error("only what has an image can be copied");
    const root = mkdtempSync(join(tmpdir(), "blockhost-mount-"));
    const directory = join(root, "mnt");
    mkdirSync(directory);
    const clear = () => {
        rmSync(root, { recursive: true, force: true });
    };
    try {
        const copy = join(root, "image");
        run("cp", "--sparse=always", image, copy);
        const type = execFileSync("blkid", ["-o", "value", "-s", "TYPE", copy], { encoding: "utf8" }).trim();
        // A second file system of one identity at a time: XFS has to be told, btrfs has to be given another.
        if (type === "btrfs") run("btrfstune", "-f", "-m", copy);
        run("mount", "-o", type === "xfs" ? "loop,nouuid" : "loop", copy, directory);
    } catch (error) {
        clear();
        throw error;
    }
    return mounted(directory, clear);
}

function mounted(directory: string, clear: () => void): Mounted {
    return {
        directory,
        unmount() {
            run("umount", directory);
            clear();
        },
    };
}

function run(command: string, ...args: string[]): void {
    execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}
