// @ts-check
/** How a host of the lab is started: QEMU's arguments. */
import { join } from "node:path";
import { accelerator } from "./accelerator.mjs";
import { diskSerial, hostNumbers, memory } from "./layout.mjs";

/**
 * @typedef {object} Machine
 * @property {import("./layout.mjs").HostName} name
 * @property {string} directory
 * @property {import("./image/index.mjs").Image} image
 * @property {readonly string[]} disks names of the data disks it has
 * @property {Readonly<Record<string, number>>} ports ports of 127.0.0.1 by the host's port that they lead to
 * @property {Readonly<Record<string, string>>} switches directory of the switch, by network
 */

/**
 * @param {Machine} machine
 * @param {string} [state] file with the state of a host that ran already
 * @param {readonly string[]} [options] first ones
 * @returns {string[]}
 */
export function qemuArguments(machine, state, options = []) {
    const { name, directory, image, disks, ports, switches } = machine;
    const number = hostNumbers[name];
    const forwards = Object.entries(ports).map(([port, own]) => `hostfwd=tcp:127.0.0.1:${own}-:${port}`);
    return [
        ...options,
        ...["-name", `lab-${name}`, "-nodefaults", "-no-user-config", "-display", "none"],
        ...["-machine", "q35", ...processor[accelerator()], "-smp", "1", "-m", memory],
        ...["-kernel", image.kernel, "-initrd", image.initrd, "-append", commandLine(name, number)],
        // A saved state is the beginning of many hosts: each gets random numbers of its own.
        ...["-device", "vmgenid,guid=auto"],
        ...["-serial", `file:${join(directory, "console.log")}`],
        ...["-qmp", `unix:${qmpSocket(directory)},server=on,wait=off`],
        ...["-blockdev", JSON.stringify(blockNode("root", rootDisk(directory)))],
        ...["-device", "virtio-blk-pci,drive=root"],
        ...["-device", "virtio-scsi-pci,id=scsi"],
        ...disks.flatMap((disk) => [
            ...["-blockdev", JSON.stringify(blockNode(disk, dataDisk(directory, disk)))],
            ...["-device", diskDevice(name, disk)],
        ]),
        ...["-netdev", ["user", "id=outside", "restrict=on", "ipv6=off", ...forwards].join(",")],
        ...nic("outside", number, 0),
        ...Object.entries(switches).flatMap(([network, socket], index) => [
            ...["-netdev", `vde,id=${network},sock=${socket}`],
            ...nic(network, number, index + 1),
        ]),
        ...(state === undefined ? [] : ["-incoming", `exec:cat '${state}'`]),
    ];
}

const processor = {
    kvm: ["-accel", "kvm", "-cpu", "host,migratable=on,arch-capabilities=off"],
    tcg: ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"],
};

/** @param {string} name @param {number} number */
function commandLine(name, number) {
    return [
        ...["root=/dev/vda", "rw", "quiet", "mitigations=off", "audit=0", "console=ttyS0", "net.ifnames=0"],
        ...[`lab.host=${name}`, `systemd.hostname=${name}`],
        `systemd.machine_id=6c61620000004000800000000000000${number}`,
    ].join(" ");
}

/** @param {string} network @param {number} host @param {number} index */
function nic(network, host, index) {
    const mac = `52:54:00:6c:0${index}:0${host}`;
    return ["-device", `virtio-net-pci,netdev=${network},id=nic-${network},mac=${mac},romfile=`];
}

/**
 * A file as QEMU's block layer sees it. Nothing waits for this machine's disks: what a host has flushed is in the page
 * cache here, and that outlives its power cuts.
 *
 * @param {string} node
 * @param {string} filename
 */
export function blockNode(node, filename) {
    return {
        driver: "qcow2",
        "node-name": node,
        discard: "unmap",
        cache: { "no-flush": true },
        file: { driver: "file", filename, discard: "unmap" },
    };
}

/**
 * A data disk as a device, in the form that both `-device` and the monitor's `device_add` take.
 *
 * @param {import("./layout.mjs").HostName} host
 * @param {string} disk
 */
export function diskDevice(host, disk) {
    const number = Number(/\d+$/.exec(disk)?.[0] ?? 0);
    const wwn = `0x5b10c000000${hostNumbers[host]}${String(number).padStart(4, "0")}`;
    const serial = diskSerial(host, disk);
    return `scsi-hd,id=device-${disk},bus=scsi.0,drive=${disk},lun=${number},serial=${serial},wwn=${wwn}`;
}

/** @param {string} directory */
export function rootDisk(directory) {
    return join(directory, "root.qcow2");
}

/** @param {string} directory @param {string} disk */
export function dataDisk(directory, disk) {
    return join(directory, `${disk}.qcow2`);
}

/** @param {string} directory */
export function qmpSocket(directory) {
    return join(directory, "qmp");
}
