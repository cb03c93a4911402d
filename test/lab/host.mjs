// @ts-check
/** One host of a lab: a machine, and how to get at the system that runs on it. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keyPairIn } from "../../tools/embedded-host/keys.mjs";
import { FaultyDisk } from "./faultyDisk.mjs";
import { addressesOf, diskPath } from "./layout.mjs";
import { Machine } from "./machine.mjs";
import { ScriptFailed, connectTo, runScript } from "./ssh.mjs";

/** Under emulation, with other machines beside it. */
const connectTimeoutMs = 120_000;
const scriptTimeoutMs = 120_000;

export class LabHost {
    /** @type {import("ssh2").Client | undefined} */
    #client;
    /** @type {Promise<import("ssh2").Client> | undefined} */
    #connecting;

    /** @param {import("./machine.mjs").MachineOptions} options */
    constructor(options) {
        const { keys } = options.image;
        this.machine = new Machine(options);
        this.name = options.name;
        this.address = "127.0.0.1";
        this.user = "root";
        /** Addresses on the networks between the hosts, `ipv4` and `ipv6`, one each a network. */
        this.addresses = addressesOf(options.name);
        /** Gets in as root, as `storage` (sudo without a password) and as `plain` (no sudo). */
        this.privateKeyFile = join(keys, "client_key");
        /** Knows the host as `lab-<name>`. */
        this.knownHostsFile = join(keys, `known_hosts_${options.name}`);
        /** `SHA256:…` */
        this.hostKey = keyPairIn(join(keys, `host_key_${options.name}`)).fingerprint;
    }

    /** SSH port on 127.0.0.1. */
    get port() {
        return this.portTo(22);
    }

    /** @param {number} port of the host @returns {number} the port of 127.0.0.1 that leads to it */
    portTo(port) {
        const own = this.machine.record().ports[port];
        if (own === undefined) throw new Error(`host ${this.name}: port ${port} is not forwarded`);
        return own;
    }

    /** Forwards one more port. @param {number} port of the host @returns {Promise<number>} the port of 127.0.0.1 */
    forward(port) {
        return this.machine.forward(port);
    }

    /**
     * An entry of `blockhost:hosts`.
     *
     * @template {Readonly<Record<string, unknown>>} [More=Record<string, never>]
     * @param {More} [more]
     * @returns {{ address: string, port: number, user: string, hostKey: string, privateKeyFile: string, connectTimeout: number } & More}
     */
    configuration(more) {
        const { address, port, user, hostKey, privateKeyFile } = this;
        const own = { address, port, user, hostKey, privateKeyFile, connectTimeout: connectTimeoutMs };
        return { ...own, .../** @type {More} */ (more) };
    }

    /** Names of the data disks that are plugged in. */
    get disks() {
        return this.machine.record().disks;
    }

    /** The stable path of a data disk on the host. @param {string} disk */
    diskPath(disk) {
        return diskPath(this.name, disk);
    }

    /** Whether it has power. */
    isOn() {
        return this.machine.isOn();
    }

    /**
     * Starts a host whose disks are in its directory already.
     *
     * @param {readonly string[]} disks names of its data disks
     * @param {string} [state] file with the state of a host that has booted, to go on from
     */
    async create(disks, state) {
        await this.machine.create(disks, state);
        await this.#setClock();
    }

    /** The clock of a host stands still while its state is kept. */
    async #setClock() {
        await this.run(`date -u -s @${(Date.now() / 1000).toFixed(3)} >/dev/null`);
    }

    /**
     * Runs a script with `sh` as root. A status other than 0 is an error, unless tolerated.
     *
     * @param {string} script
     * @param {{ tolerate?: boolean, timeoutMs?: number }} [options]
     */
    async run(script, options = {}) {
        const client = await this.#connection();
        const limit = { timeoutMs: options.timeoutMs ?? scriptTimeoutMs };
        const result = await runScript(client, script, limit).catch((error) => {
            throw this.#crashed(error) ?? error;
        });
        if (result.status !== 0 && !options.tolerate) throw new ScriptFailed(this.name, script, result);
        return result;
    }

    async #connection() {
        return (
            this.#client ??
            (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
        );
    }

    async #connect() {
        const deadline = Date.now() + connectTimeoutMs;
        for (;;) {
            try {
                const client = await connectTo(this, connectTimeoutMs / 4);
                this.#client = client;
                client.once("close", () => {
                    if (this.#client === client) this.#client = undefined;
                });
                return client;
            } catch (error) {
                const crashed = this.#crashed(error);
                if (crashed !== undefined) throw crashed;
                if (Date.now() > deadline || !this.isOn()) throw error;
                await sleep(200);
            }
        }
    }

    /** What lies behind an error, if it is the end of the host's kernel. @param {unknown} error */
    #crashed(error) {
        const crash = this.isOn() ? this.machine.crash() : undefined;
        return crash === undefined ? undefined : new Error(crash, { cause: error });
    }

    /** Where its targets listen on the storage networks, by IPv4. @param {number} port */
    portals(port) {
        return this.addresses.ipv4.map((address) => `${address}:${port}`);
    }

    /** Drops the connection that `run` keeps. */
    disconnect() {
        this.#client?.destroy();
        this.#client = undefined;
    }

    /** Cuts the power: what was not flushed to a disk is lost. */
    async powerOff() {
        this.disconnect();
        await this.machine.powerOff();
    }

    /** Switches it on again, with the disks that are plugged in; waits until it has booted and takes connections. */
    async powerOn() {
        await this.machine.powerOn();
        await this.#settle();
    }

    /**
     * Waits until nothing is starting any more. (Exports whose device is missing are tried for three minutes.) The kernel
     * may find disks later than all else is up, and what udev finds may start more, such as LVM's activation.
     */
    async #settle() {
        await this.#setClock();
        const disks = this.machine.record().disks.map((disk) => `-b ${this.diskPath(disk)}`);
        if (disks.length > 0) await this.#waitFor(`[ ${disks.join(" -a ")} ]`);
        await this.run(
            `systemctl is-system-running --wait >/dev/null
            udevadm settle -t 60
            while systemctl list-units --plain --no-legend 'lvm-activate-*' | grep -q -e activating -e running; do sleep 0.3; done`,
            { tolerate: true, timeoutMs: 600_000 },
        );
    }

    /** Shuts it down in order and boots it again. */
    async reboot() {
        const boots = this.machine.boots();
        await this.run("systemctl start --no-block --job-mode=replace-irreversibly reboot.target");
        await this.machine.booted(boots);
        this.disconnect();
        await this.#settle();
    }

    /** Pulls a network cable: connections stay as they are and hear nothing. @param {import("./layout.mjs").NetworkName} network */
    async cutLink(network) {
        await this.machine.setLink(network, false);
    }

    /** @param {import("./layout.mjs").NetworkName} network */
    async restoreLink(network) {
        await this.machine.setLink(network, true);
    }

    /** Pulls a data disk out, in use or not, or before the host is switched on. @param {string} disk */
    async pullDisk(disk) {
        await this.machine.unplug(disk);
        if (this.isOn()) await this.#waitFor(`[ ! -e ${this.diskPath(disk)} ]`);
    }

    /**
     * Plugs a data disk in: one that was pulled, with what is on it, or a new, empty one.
     *
     * @param {string} disk `disk` and a number below 256
     * @param {{ size?: string }} [options] size of a new one
     */
    async plugDisk(disk, options = {}) {
        await this.machine.plug(disk, options.size);
        if (this.isOn()) await this.#waitFor(`[ -b ${this.diskPath(disk)} ]`);
    }

    /**
     * Puts a device above a data disk that can be made slow or broken. It has to be asked for again after a boot.
     *
     * @param {string} disk
     */
    async faultyDisk(disk) {
        const device = new FaultyDisk(this, disk);
        await device.create();
        return device;
    }

    /** @param {string} condition of the shell, which udev is about to make true */
    async #waitFor(condition) {
        await this.run(`
            tries=0
            until ${condition}; do
                tries=$((tries + 1))
                [ $tries -lt 300 ] || { echo 'still not: ${condition}' >&2; exit 1; }
                sleep 0.1
            done`);
    }
}
