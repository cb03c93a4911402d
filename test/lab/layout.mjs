// @ts-check
/** What every lab looks like: hosts, networks, disks. */

/** Hosts by name, with the last part of their addresses. a and b serve storage, c uses it; nothing else sets them apart. */
export const hostNumbers = Object.freeze({ a: 1, b: 2, c: 3 });

/** @typedef {keyof typeof hostNumbers} HostName */

export const hostNames = /** @type {HostName[]} */ (Object.keys(hostNumbers));

/**
 * Addresses on the two networks between the hosts.
 *
 * @param {HostName} name
 */
export function addressesOf(name) {
    const number = hostNumbers[name];
    return {
        ipv4: [`10.77.1.${number}`, `10.77.2.${number}`],
        ipv6: [`fd77:1::${number}`, `fd77:2::${number}`],
    };
}

/**
 * Networks of a host: `outside` leads to the forwarded ports on this machine's loopback, the others to the other hosts.
 */
export const networks = Object.freeze(
    /** @type {const} */ ({ outside: "eth0", storage: "eth1", storage2: "eth2" }),
);

/** @typedef {keyof typeof networks} NetworkName */

/** Ports of a host that are reached from outside from the start: SSH, iSCSI, NVMe/TCP. */
export const forwardedPorts = Object.freeze([22, 3260, 4420]);

/** Data disks that a host starts with, all of one size. */
export const diskNames = Object.freeze(["disk1", "disk2", "disk3", "disk4"]);
export const diskSize = "4G";

export const memory = "768M";

/**
 * The stable name of a data disk on its host. Its serial number says which host it belongs to.
 *
 * @param {string} host
 * @param {string} disk
 */
export function diskPath(host, disk) {
    return `/dev/disk/by-id/scsi-SQEMU_QEMU_HARDDISK_${diskSerial(host, disk)}`;
}

/** @param {string} host @param {string} disk */
export function diskSerial(host, disk) {
    return `lab-${host}-${disk}`;
}
