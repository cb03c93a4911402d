// @ts-check
/** A machine in QEMU: its processor, its disks, its cables and its power switch. What runs on it is another matter. */
import { spawn } from "node:child_process";
import {
    closeSync,
    existsSync,
    mkdirSync,
    openSync,
    readFileSync,
    readdirSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../tools/embedded-host/ports.mjs";
import { spawnDaemon } from "../../tools/embedded-host/processes.mjs";
import { createDisk } from "./disks.mjs";
import { diskSize, forwardedPorts } from "./layout.mjs";
import { freeLabPort } from "./ports.mjs";
import { emulator } from "./emulator.mjs";
import { blockNode, dataDisk, diskDevice, qemuArguments, qmpSocket } from "./qemu.mjs";
import { qmp } from "./qmp.mjs";

/** Holds the lab's mark in the environment of each of its processes, so that they are found again and no others. */
export const markVariable = "BLOCKHOST_LAB";

/** Under emulation, with other machines beside it. */
const bootTimeoutMs = 240_000;
const launchTimeoutMs = 60_000;

/** Written to the console by lab-ready.service. */
const readyWord = "lab-ready";

/**
 * What is kept of a machine in its directory.
 *
 * @typedef {object} MachineRecord
 * @property {Record<string, number>} ports ports of 127.0.0.1 by the machine's port that they lead to
 * @property {string[]} disks names of the data disks that are plugged in
 */

/**
 * @typedef {object} MachineOptions
 * @property {import("./layout.mjs").HostName} name
 * @property {string} directory
 * @property {import("./image/index.mjs").Image} image
 * @property {Readonly<Record<string, string>>} switches directory of the switch, by network
 * @property {string} mark value of BLOCKHOST_LAB in the environment of the lab's processes
 * @property {boolean} keep it outlives this process
 */

export class Machine {
    #options;

    /** @param {MachineOptions} options */
    constructor(options) {
        this.#options = options;
        this.name = options.name;
        this.directory = options.directory;
    }

    /** @returns {MachineRecord} */
    record() {
        return JSON.parse(readFileSync(this.#file("machine.json"), "utf8"));
    }

    /** @param {MachineRecord} record */
    #write(record) {
        writeFileSync(this.#file("machine.json"), JSON.stringify(record));
    }

    /** @param {string} name */
    #file(name) {
        return join(this.directory, name);
    }

    /**
     * Switches a new machine on, whose disks are in its directory already, and waits until it has booted, or runs again
     * where it goes on from a saved state.
     *
     * @param {readonly string[]} disks
     * @param {string} [state] file with the state of a machine that ran already
     */
    async create(disks, state) {
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
                // Another lab took a port meanwhile.
                if (attempt === 5 || !/host forwarding/i.test(String(error))) throw error;
            }
        }
        if (state === undefined) await this.booted(0);
        else await this.#resume();
    }

    /** Whether its QEMU runs. */
    isOn() {
        if (!existsSync(this.#file("pid"))) return false;
        const pid = readFileSync(this.#file("pid"), "utf8").trim();
        try {
            const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
            return environment.includes(`${markVariable}=${this.#options.mark}\0`);
        } catch {
            return false; // nobody has this process id any more
        }
    }

    /** Cuts the power: what it did not flush to a disk is lost. */
    async powerOff() {
        if (!this.isOn()) return;
        const pid = readFileSync(this.#file("pid"), "utf8").trim();
        process.kill(Number(pid), "SIGKILL");
        // Its memory goes first, then its files: as long as it has those, they are locked.
        await until(() => isGone(pid), { timeoutMs: 10_000, what: `ending QEMU of host ${this.name}` });
    }

    /** Switches it on again, with the disks that are plugged in, and waits until it has booted. */
    async powerOn() {
        if (this.isOn()) throw new Error(`host ${this.name} is on`);
        await this.#launch();
        await this.booted(0);
    }

    /** How often it has booted since it was switched on. */
    boots() {
        return readFileSync(this.#file("console.log"), "utf8").split(readyWord).length - 1;
    }

    /** What its kernel said as it crashed, if it has. */
    crash() {
        const text = readFileSync(this.#file("console.log"), "utf8");
        if (!text.includes("Kernel panic")) return undefined;
        const from = text.search(/BUG: |Oops: |general protection|Kernel panic/);
        return `the kernel of host ${this.name} has crashed:\n${text.slice(from, from + 4000)}`;
    }

    /** Waits until it has booted once more than it had. @param {number} before what `boots` said then */
    async booted(before) {
        const limit = { timeoutMs: bootTimeoutMs, what: `booting host ${this.name}` };
        try {
            await until(async () => {
                if (!this.isOn()) throw new Error(`host ${this.name} went off while booting`);
                await sleep(90);
                return this.boots() > before;
            }, limit);
        } catch (error) {
            const console_ = readFileSync(this.#file("console.log"), "utf8").slice(-2000);
            throw new Error(`${error instanceof Error ? error.message : error}\n${console_}`);
        }
    }

    /** @param {string} [state] */
    async #launch(state) {
        const { image, switches, mark, keep } = this.#options;
        const { name, directory } = this;
        const { ports, disks } = this.record();
        writeFileSync(this.#file("console.log"), "");
        const log = openSync(this.#file("qemu.log"), "w");
        const start = keep ? spawn : spawnDaemon;
        const { program, options } = emulator();
        const args = qemuArguments({ name, directory, image, disks, ports, switches }, state, options);
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
        child.unref();
        writeFileSync(this.#file("pid"), `${child.pid}\n`);
        await until(
            async () => {
                if (failed !== undefined) {
                    const said = readFileSync(this.#file("qemu.log"), "utf8").slice(-1000);
                    throw new Error(`host ${name} did not start: ${failed}\n${said}`);
                }
                return this.monitor(async () => true).catch(() => false);
            },
            { timeoutMs: launchTimeoutMs, what: `starting QEMU for host ${name}` },
        );
    }

    /** Lets a machine run that was stopped when its state was saved. */
    async #resume() {
        await this.monitor(async (execute) => {
            const loaded = async () => (await execute("query-status")).status !== "inmigrate";
            const what = `reading the state of host ${this.name}`;
            await until(loaded, { timeoutMs: launchTimeoutMs, what });
            await execute("cont");
        });
    }

    /**
     * Stops it and saves its state, for machines that begin as a copy of its disks.
     *
     * @param {string} file
     */
    async saveState(file) {
        await this.monitor(async (execute, nextEvent) => {
            await execute("stop");
            const capabilities = [{ capability: "events", state: true }];
            await execute("migrate-set-capabilities", { capabilities });
            await execute("migrate-set-parameters", { "max-bandwidth": 1e12 });
            const done = nextEvent(
                ({ event, data }) => event === "MIGRATION" && ["completed", "failed"].includes(data.status),
            );
            await execute("migrate", { uri: `exec:cat >'${file}'` });
            if ((await done).data.status === "failed") {
                throw new Error(`QEMU could not save the state of host ${this.name}`);
            }
        });
    }

    /**
     * A conversation with its QEMU.
     *
     * @template Result
     * @param {import("./qmp.mjs").Talk<Result>} talk
     */
    monitor(talk) {
        return qmp(qmpSocket(this.directory), talk);
    }

    /** A command of QEMU's human monitor, for what QMP lacks; an answer is a complaint. @param {string} line */
    async #human(line) {
        const answer = await this.monitor((execute) =>
            execute("human-monitor-command", { "command-line": line }),
        );
        if (answer.trim() !== "") throw new Error(`host ${this.name}: ${line}: ${answer.trim()}`);
    }

    /** Pulls or plugs a network cable. @param {import("./layout.mjs").NetworkName} network @param {boolean} up */
    async setLink(network, up) {
        await this.monitor((execute) => execute("set_link", { name: `nic-${network}`, up }));
    }

    /** @param {string} disk */
    async unplug(disk) {
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

    /** @param {string} disk @param {string} [size] of a new one */
    async plug(disk, size = diskSize) {
        const record = this.record();
        if (record.disks.includes(disk)) throw new Error(`host ${this.name} has disk ${disk} already`);
        const file = dataDisk(this.directory, disk);
        if (!existsSync(file)) await createDisk(file, size);
        if (this.isOn()) {
            await this.monitor((execute) => execute("blockdev-add", blockNode(disk, file)));
            await this.#human(`device_add ${diskDevice(this.name, disk)}`);
        }
        this.#write({ ...record, disks: [...record.disks, disk] });
    }

    /**
     * Forwards one more port, from now on.
     *
     * @param {number} port of the machine
     * @returns {Promise<number>} the port of 127.0.0.1 that leads to it
     */
    async forward(port) {
        const record = this.record();
        const known = record.ports[port];
        if (known !== undefined) return known;
        const own = await freeLabPort();
        await this.#human(`hostfwd_add outside tcp:127.0.0.1:${own}-:${port}`);
        this.#write({ ...record, ports: { ...record.ports, [port]: own } });
        return own;
    }
}

/** Whether a process has ended with all its threads. @param {string} pid */
function isGone(pid) {
    try {
        const state = /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        return state === "Z" && readdirSync(`/proc/${pid}/task`).length === 1;
    } catch {
        return true;
    }
}
