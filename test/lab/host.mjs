// @ts-check
/** One host of a lab: a machine in QEMU with its disks, its links and its power switch. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run as runHere } from "../../tools/command.mjs";
import { keyPairIn } from "../../tools/embedded-host/keys.mjs";
import { until } from "../../tools/embedded-host/ports.mjs";
import { spawnDaemon } from "../../tools/embedded-host/processes.mjs";
import { freeLabPort } from "./ports.mjs";
import { addressesOf, diskPath, diskSize, forwardedPorts } from "./layout.mjs";
import { blockNode, dataDisk, diskDevice, program, qemuArguments, qmpSocket } from "./qemu.mjs";
import { qmp } from "./qmp.mjs";
import { ScriptFailed, connectTo, runScript } from "./ssh.mjs";

export const markVariable = "BLOCKHOST_LAB";

/** What may take this long under emulation, with other machines beside it. */
const bootTimeoutMs = 240_000;
const scriptTimeoutMs = 120_000;

/**
 * What is kept of a host in the lab's directory.
 *
 * @typedef {object} HostRecord
 * @property {Record<string, number>} ports ports of 127.0.0.1 by the host's port that they lead to
 * @property {string[]} disks names of the data disks that are plugged in
 */

/**
 * @typedef {object} HostOptions
 * @property {import("./layout.mjs").HostName} name
 * @property {string} directory
 * @property {import("./image/index.mjs").Image} image
 * @property {Readonly<Record<string, string>>} switches directory of the switch, by network
 * @property {string} mark value of BLOCKHOST_LAB in the environment of the lab's processes
 * @property {boolean} keep it outlives this process
 */

export class LabHost {
    /** @type {import("ssh2").Client | undefined} */
    #client;
    /** @type {Promise<import("ssh2").Client> | undefined} */
    #connecting;
    #options;

    /** @param {HostOptions} options */
    constructor(options) {
        this.#options = options;
        this.name = options.name;
        this.directory = options.directory;
        this.address = "127.0.0.1";
        this.user = "root";
        /** Addresses on the networks between the hosts, `ipv4` and `ipv6`, one each a network. */
        this.addresses = addressesOf(options.name);
        this.privateKeyFile = join(options.image.keys, "client_key");
        /** Knows it as `lab-<name>`. */
        this.knownHostsFile = join(options.image.keys, `known_hosts_${options.name}`);
        /** `SHA256:…` */
        this.hostKey = keyPairIn(join(options.image.keys, `host_key_${options.name}`)).fingerprint;
    }

    /** SSH port on 127.0.0.1. */
    get port() {
        return this.portTo(22);
    }

    /** @param {number} port of the host @returns {number} the port of 127.0.0.1 that leads to it */
    portTo(port) {
        const own = this.record().ports[port];
        if (own === undefined) throw new Error(`host ${this.name}: port ${port} is not forwarded`);
        return own;
    }

    /**
     * An entry of `blockhost:hosts`.
     *
     * @param {Readonly<Record<string, unknown>>} [more]
     * @returns {Record<string, unknown>}
     */
    configuration(more = {}) {
        const { address, port, user, hostKey, privateKeyFile } = this;
        return { address, port, user, hostKey, privateKeyFile, ...more };
    }

    /** Names of the data disks that are plugged in. */
    get disks() {
        return this.record().disks;
    }

    /** The stable path of a data disk on the host. @param {string} disk */
    diskPath(disk) {
        return diskPath(this.name, disk);
    }

    /** @returns {HostRecord} */
    record() {
        return JSON.parse(readFileSync(join(this.directory, "host.json"), "utf8"));
    }

    /** @param {HostRecord} record */
    #write(record) {
        writeFileSync(join(this.directory, "host.json"), JSON.stringify(record));
    }

    /**
     * Switches a new host on, whose disks are there already.
     *
     * @param {readonly string[]} disks
     * @param {string} [state] of a host that ran already
     */
    async start(disks, state) {
        mkdirSync(this.directory, { recursive: true });
        for (let attempt = 1; ; attempt++) {
            /** @type {Record<string, number>} */
            const ports = {};
            for (const port of forwardedPorts) ports[port] = await freeLabPort();
            this.#write({ ports, disks: [...disks] });
            try {
                await this.#launch(state);
                break;
            } catch (error) {
                if (attempt === 5 || !/hostfwd|host forwarding/i.test(String(error))) throw error;
            }
        }
        if (state === undefined) await this.#booted();
        else await this.#resumed();
    }

    /** @param {string} [state] */
    async #launch(state) {
        const { image, switches, mark, keep, name } = this.#options;
        const { ports, disks } = this.record();
        const console_ = join(this.directory, "console.log");
        writeFileSync(console_, "");
        const args = qemuArguments({ name, directory: this.directory, image, disks, ports, switches }, state);
        const logFile = join(this.directory, "qemu.log");
        const log = openSync(logFile, "w");
        const start = keep ? spawn : spawnDaemon;
        const child = start(program, args, {
            stdio: ["ignore", log, log],
            env: { PATH: process.env["PATH"], [markVariable]: mark },
            detached: true,
        });
        closeSync(log);
        /** @type {string | undefined} */
        let failed;
        child.once("error", (error) => (failed = error.message));
        child.once("exit", (status, signal) => (failed = `it ended with ${signal ?? `status ${status}`}`));
        if (keep) child.unref();
        const pidFile = join(this.directory, "pid");
        writeFileSync(pidFile, `${child.pid}\n`);
        await until(
            async () => {
                if (failed !== undefined) {
                    const said = readFileSync(logFile, "utf8").slice(-1000);
                    throw new Error(`host ${name} did not start: ${failed}\n${said}`);
                }
                return qmp(qmpSocket(this.directory), async () => true).catch(() => false);
            },
            { timeoutMs: 60_000, what: `starting QEMU for host ${name}` },
        );
    }

    /** Waits until a host that boots takes connections. @param {number} [boots] which boot since it was switched on */
    async #booted(boots = 1) {
        const console_ = join(this.directory, "console.log");
        await until(
            async () => {
                if (!this.isOn()) throw new Error(`host ${this.name} went off while booting`);
                await sleep(90);
                return readFileSync(console_, "utf8").split("lab-ready").length > boots;
            },
            { timeoutMs: bootTimeoutMs, what: `booting host ${this.name}` },
        ).catch((error) => {
            throw new Error(`${error.message}\n${readFileSync(console_, "utf8").slice(-2000)}`);
        });
        await this.#setClock();
    }

    /** Waits until a host that goes on from a saved state takes connections, and tells it how late it is. */
    async #resumed() {
        await this.monitor(async (execute) => {
            // It was stopped when its state was kept, and still is.
            const loaded = async () => (await execute("query-status")).status !== "inmigrate";
            await until(loaded, { timeoutMs: 60_000, what: `reading the state of host ${this.name}` });
            await execute("cont");
        });
        await this.#setClock();
    }

    /** Its clock stood still while its state was kept. */
    async #setClock() {
        await this.run(`date -u -s @${(Date.now() / 1000).toFixed(3)} >/dev/null`);
    }

    /** Whether its QEMU runs. */
    isOn() {
        const pidFile = join(this.directory, "pid");
        if (!existsSync(pidFile)) return false;
        const pid = readFileSync(pidFile, "utf8").trim();
        try {
            const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
            return environment.includes(`${markVariable}=${this.#options.mark}\0`);
        } catch {
            return false;
        }
    }

    async #connection() {
        if (this.#client) return this.#client;
        return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)));
    }

    async #connect() {
        const deadline = Date.now() + scriptTimeoutMs;
        for (;;) {
            try {
                const client = await connectTo(this, 30_000);
                this.#client = client;
                client.on("error", () => client.end());
                client.once("close", () => {
                    if (this.#client === client) this.#client = undefined;
                });
                return client;
            } catch (error) {
                if (Date.now() > deadline || !this.isOn()) throw error;
                await sleep(200);
            }
        }
    }

    /**
     * Runs a script with `sh` as root. A status other than 0 is an error, unless tolerated.
     *
     * @param {string} script
     * @param {{ tolerate?: boolean, timeoutMs?: number }} [options]
     */
    async run(script, options = {}) {
        const client = await this.#connection();
        const result = await runScript(client, script, { timeoutMs: options.timeoutMs ?? scriptTimeoutMs });
        if (result.status !== 0 && !options.tolerate) throw new ScriptFailed(this.name, script, result);
        return result;
    }

    /**
     * Its monitor.
     *
     * @template Result
     * @param {Parameters<typeof qmp<Result>>[1]} talk
     */
    monitor(talk) {
        return qmp(qmpSocket(this.directory), talk);
    }

    /** A command of QEMU's human monitor, for what QMP lacks. An answer is a complaint. @param {string} line */
    async #human(line) {
        const answer = await this.monitor((execute) =>
            execute("human-monitor-command", { "command-line": line }),
        );
        if (answer.trim() !== "") throw new Error(`host ${this.name}: ${line}: ${answer.trim()}`);
    }

    /** Cuts the power: what was not flushed to a disk is lost. */
    async powerOff() {
        this.disconnect();
        if (!this.isOn()) return;
        const pid = Number(readFileSync(join(this.directory, "pid"), "utf8"));
        process.kill(pid, "SIGKILL");
        await until(() => !this.isOn(), { timeoutMs: 10_000, what: `ending QEMU of host ${this.name}` });
    }

    /** Switches it on again, with all disks that are plugged in; waits until it has booted. */
    async powerOn() {
        if (this.isOn()) throw new Error(`host ${this.name} is on`);
        await this.#launch();
        await this.#booted();
    }

    /** Shuts it down in order and boots it again. */
    async reboot() {
        const boots = readFileSync(join(this.directory, "console.log"), "utf8").split("lab-ready").length;
        await this.run("systemctl --no-block reboot");
        await this.#booted(boots);
    }

    /** Pulls a network cable; connections stay as they are and hear nothing. @param {import("./layout.mjs").NetworkName} network */
    async cutLink(network) {
        await this.monitor((execute) => execute("set_link", { name: `nic-${network}`, up: false }));
    }

    /** @param {import("./layout.mjs").NetworkName} network */
    async restoreLink(network) {
        await this.monitor((execute) => execute("set_link", { name: `nic-${network}`, up: true }));
    }

    /** Pulls a data disk out while the host runs, or before it is switched on. @param {string} disk */
    async pullDisk(disk) {
        const record = this.record();
        if (!record.disks.includes(disk)) throw new Error(`host ${this.name} has no disk ${disk}`);
        if (this.isOn()) {
            const id = `device-${disk}`;
            await this.monitor(async (execute, nextEvent) => {
                const gone = nextEvent(({ event, data }) => event === "DEVICE_DELETED" && data.device === id);
                await execute("device_del", { id });
                await gone;
                await execute("blockdev-del", { "node-name": disk });
            });
        }
        this.#write({ ...record, disks: record.disks.filter((name) => name !== disk) });
    }

    /**
     * Plugs a data disk in: one that was pulled, with what is on it, or a new, empty one.
     *
     * @param {string} disk `disk` and a number
     * @param {{ size?: string }} [options] size of a new one
     */
    async plugDisk(disk, options = {}) {
        const record = this.record();
        if (record.disks.includes(disk)) throw new Error(`host ${this.name} has disk ${disk} already`);
        const file = dataDisk(this.directory, disk);
        if (!existsSync(file)) await createDisk(file, options.size ?? diskSize);
        if (this.isOn()) {
            await this.monitor((execute) => execute("blockdev-add", blockNode(disk, file)));
            await this.#human(`device_add ${diskDevice(this.name, disk)}`);
            this.#write({ ...record, disks: [...record.disks, disk] });
            await this.run(`
                tries=0
                until [ -b ${this.diskPath(disk)} ]; do
                    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.1
                done`);
        } else {
            this.#write({ ...record, disks: [...record.disks, disk] });
        }
    }

    /**
     * Forwards one more port of the host, until its power is cut.
     *
     * @param {number} port
     * @returns {Promise<number>} the port of 127.0.0.1 that leads to it
     */
    async forward(port) {
        const record = this.record();
        const own = record.ports[port] ?? (await freeLabPort());
        if (record.ports[port] === undefined) {
            await this.#human(`hostfwd_add outside tcp:127.0.0.1:${own}-:${port}`);
            this.#write({ ...record, ports: { ...record.ports, [port]: own } });
        }
        return own;
    }

    /** Drops the connection that `run` keeps. */
    disconnect() {
        this.#client?.destroy();
        this.#client = undefined;
    }
}

/** @param {string} file @param {string} size */
export async function createDisk(file, size) {
    await runHere("qemu-img", ["create", "-q", "-f", "qcow2", file, size]);
}

/** A disk that begins as another one is, which stays as it is. @param {string} file @param {string} base @param {string} format */
export async function createOverlay(file, base, format) {
    await runHere("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", format, file]);
}
