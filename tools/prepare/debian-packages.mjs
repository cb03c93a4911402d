// @ts-check
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { CommandFailed, run } from "../command.mjs";
import { atEnd } from "../lifetime.mjs";
import { findExecutable } from "./executables.mjs";
import { withLock } from "./lock.mjs";
import { StepFailed } from "./progress.mjs";

/**
 * What the tests and the quickstart run beside the project itself, by Debian package. A package is there when its
 * programs are, so that other distributions' packages do as well.
 *
 * @type {Record<string, () => boolean>}
 */
const packages = {
    tgt: hasPrograms("tgtd", "tgtadm"),
    "openssh-server": hasPrograms("sshd"),
    "openssh-client": hasPrograms("ssh-keygen", "ssh-agent"),
    // The transport's contract runs as another user and in another shell too.
    sudo: hasPrograms("sudo"),
    busybox: hasPrograms("busybox"),
    "libiscsi-bin": hasPrograms("iscsi-inq", "iscsi-ls", "iscsi-readcapacity16"),
    "qemu-utils": hasPrograms("qemu-io", "qemu-img"),
    "qemu-block-extra": hasQemuBlockDriver("iscsi"),
    xfsprogs: hasPrograms("mkfs.xfs"),
    e2fsprogs: hasPrograms("mkfs.ext4"),
    "btrfs-progs": hasPrograms("mkfs.btrfs"),
    // For `systemd-analyze verify`; nothing of it is started.
    systemd: hasPrograms("systemd-analyze"),
    mount: hasPrograms("mount", "losetup"),
};

/**
 * What the lab's hosts run in, and what their disk image is built with.
 *
 * @type {Record<string, () => boolean>}
 */
const labPackages = {
    "qemu-system-x86": hasPrograms("qemu-system-x86_64"),
    "qemu-utils": hasPrograms("qemu-img"),
    "vde-switch": hasPrograms("vde_switch"),
    "openssh-client": hasPrograms("ssh"),
    mmdebstrap: hasPrograms("mmdebstrap"),
    e2fsprogs: hasPrograms("mke2fs"),
    "xz-utils": hasPrograms("xz"),
};

/** Services that these packages would start or enable; the tests start their own. */
const services = { tgt: "tgt.service", "openssh-server": "ssh.service" };

const policyFile = "/usr/sbin/policy-rc.d";

/** @param {{ packages?: boolean, lab?: boolean }} needs of `prepare` */
export function missingDebianPackages(needs) {
    const wanted = Object.entries({ ...(needs.packages && packages), ...(needs.lab && labPackages) });
    return wanted.filter(([, isThere]) => !isThere()).map(([name]) => name);
}

/**
 * @param {readonly string[]} missing
 * @param {import("./progress.mjs").Say} say
 */
export async function installDebianPackages(missing, say) {
    const byHand = `install ${missing.join(" ")} by hand, then run this again.`;
    if (!findExecutable("apt-get")) {
        throw new StepFailed(`Missing here: ${missing.join(", ")} (this is not Debian).`, byHand);
    }
    if (process.getuid?.() !== 0) {
        throw new StepFailed(
            `Missing here: ${missing.join(", ")}; installing them needs root.`,
            `sudo apt-get install --no-install-recommends ${missing.join(" ")}`,
        );
    }
    await withLock("apt-get", async () => {
        try {
            await aptGet(["update"], say);
            await withoutStartingServices(() =>
                aptGet(["install", "--yes", "--no-install-recommends", ...missing], say),
            );
            await disableServices(missing);
        } catch (error) {
            if (!(error instanceof CommandFailed)) throw error;
            throw new StepFailed("The Debian packages could not be installed.", byHand, error);
        }
    });
    const stillMissing = missingDebianPackages({ packages: true, lab: true }).filter((name) =>
        missing.includes(name),
    );
    if (stillMissing.length > 0) {
        throw new StepFailed(`Still missing after installing them: ${stillMissing.join(", ")}.`, byHand);
    }
}

/** @param {string[]} args @param {import("./progress.mjs").Say} say */
function aptGet(args, say) {
    return run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
        onLine: (line) => say(line.slice(0, 60)),
    });
}

/**
 * Debian starts a service as soon as its package is there: tgtd would take port 3260 and sshd would let people in.
 * policy-rc.d is Debian's way to say no; one that is there already is somebody's decision and stays.
 *
 * @param {() => Promise<unknown>} work
 */
async function withoutStartingServices(work) {
    if (existsSync(policyFile)) {
        await work();
        return;
    }
    writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    const remove = () => rmSync(policyFile, { force: true });
    const forget = atEnd(remove);
    try {
        await work();
    } finally {
        forget();
        remove();
    }
}

/** Nor shall they start at the next boot. Only of packages that were not there before. @param {readonly string[]} installed */
async function disableServices(installed) {
    if (!existsSync("/run/systemd/system")) return;
    for (const [name, service] of Object.entries(services)) {
        if (installed.includes(name))
            await run("systemctl", ["disable", "--quiet", service], { tolerate: true });
    }
}

/** @param {...string} names */
function hasPrograms(...names) {
    return () => names.every((name) => findExecutable(name) !== undefined);
}

/** @param {string} name */
function hasQemuBlockDriver(name) {
    const directories = [
        "/usr/lib/x86_64-linux-gnu/qemu",
        "/usr/lib/aarch64-linux-gnu/qemu",
        "/usr/lib/qemu",
        "/usr/lib64/qemu",
    ];
    return () => directories.some((directory) => existsSync(`${directory}/block-${name}.so`));
}
