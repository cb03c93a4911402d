// @ts-check
/**
 * A data disk that can be made slow or broken: a device-mapper device on the host between the disk and whatever uses it.
 * It goes when the host's power is cut, like everything in its memory.
 */

/** In 512-byte sectors. Keeps what is written above from being seen on the disk itself as well. */
const offset = 2048;

export class FaultyDisk {
    #host;
    #disk;
    #name;

    /** @param {import("./host.mjs").LabHost} host @param {string} disk */
    constructor(host, disk) {
        this.#host = host;
        this.#disk = host.diskPath(disk);
        this.#name = `lab-${disk}`;
        /** The device to use in place of the disk. */
        this.path = `/dev/mapper/${this.#name}`;
    }

    /** Makes the device where it is not there. */
    async create() {
        await this.#host.run(`
            dmsetup info ${this.#name} >/dev/null 2>&1 && exit 0
            modprobe -a dm-delay dm-flakey
            size=$(blockdev --getsz ${this.#disk})
            dmsetup create ${this.#name} --table "0 $((size - ${offset})) linear ${this.#disk} ${offset}"
            udevadm settle`);
    }

    /** As good as new. */
    healthy() {
        return this.#become(`linear ${this.#disk} ${offset}`);
    }

    /** Every read and write waits. @param {number} milliseconds */
    slow(milliseconds) {
        return this.#become(`delay ${this.#disk} ${offset} ${milliseconds}`);
    }

    /** Works for some seconds, then fails everything for some, and so on. @param {{ up: number, down: number }} seconds */
    flaky({ up, down }) {
        return this.#become(`flakey ${this.#disk} ${offset} ${up} ${down}`);
    }

    /** Reads, and fails to write. */
    readOnly() {
        return this.#become(`flakey ${this.#disk} ${offset} 0 3600 1 error_writes`);
    }

    /** Fails everything. */
    failing() {
        return this.#become("error");
    }

    /** Takes the device away; nothing may use it. */
    async remove() {
        await this.#host.run(`dmsetup remove ${this.#name}`);
    }

    /** @param {string} target of device-mapper with its arguments */
    async #become(target) {
        // Without waiting for what is under way, which a broken disk never finishes.
        await this.#host.run(`
            size=$(blockdev --getsz ${this.path})
            dmsetup suspend --noflush --nolockfs ${this.#name}
            dmsetup load ${this.#name} --table "0 $size ${target}"
            dmsetup resume ${this.#name}`);
    }
}
