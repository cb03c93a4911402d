import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../tools/command.mjs";
import { cacheDirectory } from "../../../tools/paths.mjs";
import { withLock } from "../../../tools/prepare/lock.mjs";
import { dataDisk } from "../../lab/qemu.mjs";
import { GROUP, type Guest } from "./guest";
import type { Results } from "./results";

/** Cinder's own driver on the guest, from the Python packages, which come in on a disk: the guest has no network. */

/** Of rtslib-fb, which Cinder does not pin, nearly all of the time of an export is. */
export const CINDER = { cinder: "29.0.0", "os-brick": "7.1.1", "rtslib-fb": "2.2.4" } as const;
const DISK = "disk9";
const HERE = "/mnt/peers";

/** A disk with the packages, made once and kept in the cache folder. */
export async function packagesDisk(say: (message: string) => void): Promise<string> {
    const wanted = Object.entries(CINDER).map(([name, version]) => `${name}==${version}`);
    const directory = join(cacheDirectory(), "peers", wanted.join("-").replaceAll("==", "-"));
    const disk = join(directory, "disk.qcow2");
    await withLock(directory, async () => {
        if (existsSync(disk)) return;
        say(`installing ${wanted.join(", ")} from PyPI, once`);
        const work = `${directory}.new`;
        rmSync(work, { recursive: true, force: true });
        mkdirSync(work, { recursive: true });
        const tree = join(work, "tree");
        // The guest's Python is Debian's 3.11: wheels for that one.
        const version = [
            "--python-version",
            "3.11",
            "--only-binary",
            ":all:",
            "--platform",
            "manylinux2014_x86_64",
            "--platform",
            "manylinux_2_28_x86_64",
        ];
        await run("python3", [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-cache-dir",
            ...version,
            "--target",
            tree,
            ...wanted,
        ]);
        await run("mke2fs", [
            "-q",
            "-t",
            "ext4",
            "-O",
            "^has_journal",
            "-d",
            tree,
            join(work, "disk.raw"),
            "1G",
        ]);
        await run("qemu-img", ["convert", "-O", "qcow2", join(work, "disk.raw"), join(work, "disk.qcow2")]);
        rmSync(join(work, "disk.raw"));
        rmSync(tree, { recursive: true });
        rmSync(directory, { recursive: true, force: true });
        renameSync(work, directory);
    });
    return disk;
}

export async function bringCinder(guest: Guest, disk: string): Promise<void> {
    copyFileSync(disk, dataDisk(guest.machine.directory, DISK));
    await guest.plugDisk(DISK);
    const tool = `#!/usr/bin/python3
import sys
sys.path.insert(0, "${HERE}")
from cinder.cmd.rtstool import main
sys.exit(main())`;
    const harness = readFileSync(join(__dirname, "peer.py"), "utf8");
    await guest.run(`mkdir -p ${HERE} /var/lib/cinder /var/lock/cinder /etc/target && mount -o ro ${guest.diskPath(DISK)} ${HERE} || exit
cat >/usr/local/bin/cinder-rtstool <<'BENCH'
${tool}
BENCH
chmod +x /usr/local/bin/cinder-rtstool
cat >/root/peer.py <<'BENCH'
${harness}
BENCH`);
}

/** Everything with `n` volumes, or one more export `times` over with `beside` of others there. */
export type CinderWork = { readonly n: number } | { readonly beside: number; readonly times: number };

export async function cinderRound(guest: Guest, results: Results, work: CinderWork): Promise<void> {
    const settings = {
        volume_group: GROUP,
        lvm_type: "thin",
        target_helper: "lioadm",
        target_ip_address: "10.77.1.1",
        volume_backend_name: "bench",
        volume_clear: "none",
        lvm_suppress_fd_warnings: true,
    };
    const input = JSON.stringify({ n: 0, beside: 0, times: 0, ...work, settings });
    const { stdout } = await guest.run(
        `PYTHONPATH=${HERE} python3 -W ignore /root/peer.py <<'BENCH' 2>/run/cinder.log >/run/cinder.json || { tail -n 30 /run/cinder.log >&2; exit 1; }
${input}
BENCH
cat /run/cinder.json`,
        { timeoutMs: 14_400_000 },
    );
    for (const line of stdout.split("\n")) {
        if (!line.startsWith("{")) continue;
        const { operation, n, seconds } = JSON.parse(line) as {
            operation: string;
            n: number;
            seconds: number;
        };
        results.add("cinder", operation, n, seconds);
    }
}
