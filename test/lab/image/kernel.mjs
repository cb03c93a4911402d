// @ts-check
import { cpSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../tools/command.mjs";
import { withLock } from "../../../tools/prepare/lock.mjs";
import { StepFailed } from "../../../tools/prepare/progress.mjs";
import { kernelPackage } from "./packages.mjs";

/**
 * The package that holds the kernel: the one that `linux-image-6.12-cloud-amd64` depends on now.
 *
 * @returns {Promise<{ name: string, version: string }>}
 */
export async function findKernel() {
    await withLock("apt-get", () => run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", "update"]));
    const { stdout } = await run("apt-cache", ["show", "--no-all-versions", kernelPackage], {
        tolerate: true,
    });
    const name = /^Depends:.*?\b(linux-image-[\w.+-]+)/m.exec(stdout)?.[1];
    if (name === undefined) {
        throw new StepFailed(
            `apt offers no ${kernelPackage} here.`,
            "add Debian's security archive or backports to apt's sources, then run this again.",
        );
    }
    const { stdout: shown } = await run("apt-cache", ["show", "--no-all-versions", name]);
    return { name, version: /^Version: (.*)$/m.exec(shown)?.[1] ?? "" };
}

/**
 * Downloads a kernel's package and takes it apart. Installing it would make an initrd and ask for a boot loader.
 *
 * @param {string} name
 * @param {string} directory where to; an empty directory
 * @returns {Promise<{ image: string, modules: string, release: string }>} `modules` is to become /lib/modules/<release>
 */
export async function unpackKernel(name, directory) {
    // As root, apt gives downloads to a user of its own, which cannot write here; that it does not is said on stderr.
    await run("apt-get", ["download", "-q", name], { cwd: directory });
    const archive = readdirSync(directory).find((file) => file.endsWith(".deb")) ?? "";
    const tree = join(directory, "tree");
    await run("dpkg-deb", ["--extract", join(directory, archive), tree]);
    rmSync(join(directory, archive));

    const [release = ""] = readdirSync(join(tree, "lib", "modules"));
    const modules = join(tree, "lib", "modules", release);
    // Emulated, unpacking takes most of the time of loading a module.
    await run("sh", ["-c", "find . -name '*.ko.xz' -print0 | xargs -0 -r -n 64 xz -d"], { cwd: modules });
    const image = join(directory, "vmlinuz");
    renameSync(join(tree, "boot", `vmlinuz-${release}`), image);
    return { image, modules, release };
}

/**
 * Modules with all that they depend on, in the order in which they have to be loaded. What is built into the kernel is
 * left out.
 *
 * @param {string} directory of the modules, after depmod
 * @param {readonly string[]} names
 * @returns {string[]} paths below it
 */
export function moduleOrder(directory, names) {
    const lines = readFileSync(join(directory, "modules.dep"), "utf8").trim().split("\n");
    /** @type {Map<string, { path: string, needs: string[] }>} */
    const known = new Map();
    for (const line of lines) {
        const [path = "", needs = ""] = line.split(":");
        known.set(moduleName(path), { path, needs: needs.trim().split(" ").filter(Boolean) });
    }
    const builtIn = new Set(
        readFileSync(join(directory, "modules.builtin"), "utf8").trim().split("\n").map(moduleName),
    );
    /** @type {Set<string>} */
    const order = new Set();
    /** @param {string} name */
    const add = (name) => {
        const found = known.get(name);
        if (!found) {
            if (builtIn.has(name)) return;
            throw new Error(`the kernel has no module ${name}`);
        }
        found.needs.map(moduleName).forEach(add);
        order.add(found.path);
    };
    names.forEach(add);
    return [...order];
}

/** `kernel/drivers/block/virtio_blk.ko` → `virtio_blk`. @param {string} path */
function moduleName(path) {
    return (path.split("/").pop() ?? "").replace(/\.ko.*$/, "").replaceAll("-", "_");
}

/**
 * Puts the modules where a running system looks for them.
 *
 * @param {{ modules: string, release: string }} kernel
 * @param {string} root of the system's tree
 * @returns {Promise<string>} the directory in which they are now
 */
export async function installModules(kernel, root) {
    const directory = join(root, "usr", "lib", "modules", kernel.release);
    cpSync(kernel.modules, directory, { recursive: true });
    await run("chroot", [root, "depmod", kernel.release]);
    return directory;
}
