import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** File systems that tests mount for themselves; needs root, and fails without. `plain`: a directory. */

export type FileSystem = "plain" | "tmpfs" | "xfs" | "xfs-without-reflink" | "ext4" | "btrfs";

const MAKE: Partial<Record<FileSystem, readonly string[]>> = {
    xfs: ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "xfs-without-reflink": ["mkfs.xfs", "-q", "-m", "reflink=0"],
    ext4: ["mkfs.ext4", "-q"],
    btrfs: ["mkfs.btrfs", "-q"],
};

export interface Mounted {
    readonly directory: string;
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
    try {
        const [make, ...options] = MAKE[kind] ?? [];
        if (make === undefined) {
            run("mount", "-t", "tmpfs", "-o", `size=${String(megabytes)}m`, "blockhost-test", directory);
        } else {
            const image = join(root, "image");
            run("truncate", "-s", `${String(megabytes)}M`, image);
            run(make, ...options, image);
            run("mount", "-o", "loop", image, directory);
        }
    } catch (error) {
        clear();
        throw error;
    }
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
