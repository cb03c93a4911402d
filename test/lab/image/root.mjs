// @ts-check
import {
    chmodSync,
    copyFileSync,
    cpSync,
    mkdirSync,
    readFileSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../../tools/command.mjs";
import { keyPairIn } from "../../../tools/embedded-host/keys.mjs";
import { hostNumbers } from "../layout.mjs";
import { packages } from "./packages.mjs";
import { aptSettings, aptSources, release } from "./sources.mjs";

export const guestFiles = fileURLToPath(new URL("../guest", import.meta.url));

const rootSize = "3G";

/** Never of use here, or started by the tests themselves where they want them. */
const masked = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "drbd.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fio.service",
    "fstrim.timer",
    "getty@tty1.service",
    "mdadm-shutdown.service",
    "mdcheck_continue.timer",
    "mdcheck_start.timer",
    "mdmonitor-oneshot.timer",
    "multipathd.service",
    "multipathd.socket",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "nvmefc-boot-connections.service",
    "nvmf-autoconnect.service",
    "open-iscsi.service",
    "rtslib-fb-targetctl.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "ssh.socket",
    "systemd-journal-flush.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysusers.service",
    "systemd-sysctl.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
    "targetclid.service",
    "targetclid.socket",
    "tgt.service",
    "uuidd.socket",
];

/**
 * Makes a Debian system in a directory, from this machine's own mirror.
 *
 * @param {string} root
 * @param {string} directory for what is in between
 * @param {(line: string) => void} onLine
 */
export async function makeTree(root, directory, onLine) {
    const codename = release();
    const sources = aptSources(codename).map((text, index) => {
        const file = join(directory, `apt-${index}${/^Types:/im.test(text) ? ".sources" : ".list"}`);
        writeFileSync(file, text);
        return file;
    });
    const settings = join(directory, "apt.conf");
    writeFileSync(settings, await aptSettings());
    const without = ["doc", "info", "locale", "lintian", "man"].map((name) => `/usr/share/${name}/*`);
    await run(
        "nice",
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--skip=cleanup/apt",
            '--aptopt=APT::Install-Recommends "false"',
            `--aptopt=${settings}`,
            "--dpkgopt=force-unsafe-io",
            ...without.map((path) => `--dpkgopt=path-exclude=${path}`),
            `--include=${packages.join(",")}`,
            codename,
            root,
            ...sources,
        ],
        { onLine },
    );
    rmSync(join(root, "var", "cache", "apt"), { recursive: true, force: true });
    rmSync(join(root, "var", "lib", "apt", "lists"), { recursive: true, force: true });
}

/**
 * Makes a storage host of a Debian system: the files in `guest`, users, keys, services.
 *
 * @param {string} root
 * @param {string} keys directory for the key with which to get in; host keys are kept there, too
 */
export async function furnish(root, keys) {
    cpSync(guestFiles, root, { recursive: true });
    chmodSync(join(root, "etc", "sudoers.d", "lab"), 0o440);
    for (const user of ["storage", "plain"]) {
        await run("chroot", [root, "useradd", "--create-home", "--shell", "/bin/bash", user]);
        // Without PAM, sshd lets nobody in whose password is locked by "!".
        await run("chroot", [root, "usermod", "--password", "*", user]);
    }
    keyPairIn(join(keys, "client_key"));
    copyFileSync(join(keys, "client_key.pub"), join(root, "etc", "ssh", "authorized_keys"));
    chmodSync(join(root, "etc", "ssh", "authorized_keys"), 0o644);
    for (const [name, number] of Object.entries(hostNumbers)) {
        const { publicKey, privateKey } = keyPairIn(join(keys, `host_key_${name}`));
        writeFileSync(join(keys, `known_hosts_${name}`), `lab-${name} ${publicKey}\n`);
        const directory = join(root, "etc", "lab", name);
        mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, "number"), `${number}\n`);
        writeFileSync(join(directory, "ssh_host_ed25519_key"), privateKey, { mode: 0o600 });
        writeFileSync(join(directory, "ssh_host_ed25519_key.pub"), `${publicKey}\n`);
    }
    mkdirSync(join(root, "etc", "nvme"), { recursive: true });
    writeFileSync(join(root, "etc", "hosts"), hostsFile());
    writeFileSync(join(root, "etc", "fstab"), "");
    // The kernel's command line says it. Without the file systemd would take this for a first boot, and enable everything.
    writeFileSync(join(root, "etc", "machine-id"), "");
    rmSync(join(root, "etc", "hostname"), { force: true });

    const units = join(root, "etc", "systemd", "system");
    for (const unit of masked) link("/dev/null", join(units, unit));
    for (const [unit, target] of [
        ["lab-host.service", "sysinit.target"],
        ["lab-ready.service", "multi-user.target"],
    ]) {
        mkdirSync(join(units, `${target}.wants`), { recursive: true });
        link(`/etc/systemd/system/${unit}`, join(units, `${target}.wants`, `${unit}`));
    }
    link("/usr/lib/systemd/system/multi-user.target", join(units, "default.target"));
}

/** @param {string} target @param {string} path */
function link(target, path) {
    rmSync(path, { force: true });
    symlinkSync(target, path);
}

function hostsFile() {
    const lines = Object.entries(hostNumbers).flatMap(([name, number]) => [
        `10.77.1.${number} ${name}`,
        `fd77:1::${number} ${name}`,
    ]);
    return ["127.0.0.1 localhost", "::1 localhost", ...lines, ""].join("\n");
}

/**
 * Packs the tree into an ext4 file system, with a journal: hosts lose their power here.
 *
 * @param {string} root
 * @param {string} file
 */
export async function packTree(root, file) {
    await run("mke2fs", ["-q", "-t", "ext4", "-L", "lab", "-d", root, file, rootSize]);
}

/** Versions of what went into the tree, one `package version` a line. @param {string} root */
export function manifest(root) {
    const status = readFileSync(join(root, "var", "lib", "dpkg", "status"), "utf8");
    return status
        .split("\n\n")
        .map((stanza) => `${/^Package: (.*)$/m.exec(stanza)?.[1]} ${/^Version: (.*)$/m.exec(stanza)?.[1]}`)
        .filter((line) => !line.startsWith("undefined"))
        .sort()
        .join("\n");
}
