// @ts-check
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../../tools/command.mjs";
import { moduleOrder } from "./kernel.mjs";
import { initrdModules } from "./packages.mjs";

/**
 * Makes the smallest initrd that finds the root file system: a shell, some modules, one script.
 *
 * @param {{ modules: string, root: string, directory: string, file: string }} options `directory` is for what is in
 *     between
 */
export async function makeInitrd({ modules, root, directory, file }) {
    const tree = join(directory, "initrd");
    rmSync(tree, { recursive: true, force: true });
    for (const name of ["bin", "dev", "proc", "sys", "root", "modules"]) {
        mkdirSync(join(tree, name), { recursive: true });
    }
    const busybox = join(root, "usr", "bin", "busybox");
    copyFileSync(busybox, join(tree, "bin", "busybox"));
    const order = moduleOrder(modules, initrdModules).map((path, index) => {
        const name = `${String(index).padStart(2, "0")}-${path.split("/").pop()}`;
        cpSync(join(modules, path), join(tree, "modules", name));
        return name;
    });
    writeFileSync(join(tree, "init"), initScript(order), { mode: 0o755 });
    await run("sh", ["-c", `find . | "$1" cpio -o -H newc >"$2"`, "sh", busybox, file], { cwd: tree });
    rmSync(dirname(join(tree, "init")), { recursive: true, force: true });
}

/** @param {readonly string[]} modules */
function initScript(modules) {
    return `#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
for module in ${modules.join(" ")}; do
    $bb insmod /modules/$module
done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do
    $bb sleep 0.05
    tries=$((tries + 1))
done
# Replays the journal after a power cut.
$bb mount -t ext4 /dev/vda /root || exec $bb sh
$bb mount --move /dev /root/dev
$bb umount /sys /proc
exec $bb switch_root /root /sbin/init
`;
}
