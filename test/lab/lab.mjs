// @ts-check
/**
 * A lab: storage hosts with real kernels, each a machine in QEMU, and two networks between them.
 *
 * Everything that a lab is lives in its directory, so that any number of them run side by side, and another process
 * can use one that runs (`attachLab`).
 */
import { randomUUID } from "node:crypto";
import {
    copyFileSync,
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { killMarked, processesMarked } from "../../tools/embedded-host/processes.mjs";
import { atEnd, removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { StepFailed } from "../../tools/prepare/progress.mjs";
import { prune, touch } from "./cache.mjs";
import { createDisk, createOverlay } from "./disks.mjs";
import { LabHost } from "./host.mjs";
import { buildImage, imageAt } from "./image/index.mjs";
import { diskNames, diskSize, hostNames } from "./layout.mjs";
import { markVariable } from "./machine.mjs";
import { dataDisk, rootDisk } from "./qemu.mjs";
import { bootedHost } from "./snapshot.mjs";
import { startSwitch } from "./switch.mjs";

/** @typedef {import("./layout.mjs").HostName} HostName */

/** A unix socket's path is not longer; what is below a lab's directory takes 20 characters of it. */
const longestDirectory = 107 - 20;

/**
 * What is kept of a lab in its directory.
 *
 * @typedef {object} LabRecord
 * @property {string} mark value of BLOCKHOST_LAB in the environment of its processes
 * @property {string} image directory of the image that its hosts are made from
 * @property {HostName[]} hosts
 * @property {boolean} [started] all of it was there once
 */

/**
 * @typedef {object} LabOptions
 * @property {readonly HostName[]} [hosts] default all
 * @property {string} [directory] default a temporary one; must not exist, or be empty
 * @property {boolean} [keep] leave it running when this process ends
 * @property {boolean} [boot] boot the hosts, in place of going on from the saved state of hosts that have booted
 * @property {import("../../tools/prepare/progress.mjs").Say} [say]
 */

/** @typedef {Awaited<ReturnType<typeof startLab>>} Lab */

/** @param {LabOptions} [options] */
export async function startLab(options = {}) {
    const keep = options.keep ?? false;
    const names = [...(options.hosts ?? hostNames)];
    const image = await buildImage(options.say ?? (() => {}));
    touch(image.directory);
    const directory =
        options.directory === undefined ? temporaryDirectory("lab") : resolve(options.directory);
    if (directory.length > longestDirectory || /[',\\]/.test(directory)) {
        throw new StepFailed(
            `${directory}: unix sockets cannot be made in there.`,
            "name a directory with a shorter, simpler path.",
        );
    }
    const file = join(directory, "lab.json");
    // It goes as a whole when the lab is stopped.
    if (existsSync(directory) && readdirSync(directory).length > 0) {
        throw new StepFailed(
            `${directory} is not empty${existsSync(file) ? ": there is a lab in it" : ""}.`,
            "name a directory that does not exist yet.",
        );
    }
    mkdirSync(directory, { recursive: true });
    /** @type {LabRecord} */
    const record = { mark: randomUUID(), image: image.directory, hosts: names };
    writeFileSync(file, JSON.stringify(record));

    const stop = async () => {
        await killMarked(record.mark, markVariable);
        if (options.directory === undefined) removeDirectory(directory);
        else rmSync(directory, { recursive: true, force: true });
    };
    const forget = atEnd(stop);
    try {
        const switches = switchesIn(directory);
        const env = { PATH: process.env["PATH"], [markVariable]: record.mark };
        for (const path of Object.values(switches)) await startSwitch({ directory: path, keep, env });
        const hosts = await Promise.all(
            names.map((name) =>
                startHost({ name, image, lab: directory, record, keep, boot: options.boot ?? false }),
            ),
        );
        writeFileSync(file, JSON.stringify({ ...record, started: true }));
        prune();
        if (keep) forget();
        return describeLab(directory, hosts, async () => {
            forget();
            await stop();
        });
    } catch (error) {
        forget();
        await stop();
        throw error;
    }
}

/**
 * A lab that runs already, started by another process with `keep`.
 *
 * @param {string} directory
 */
export function attachLab(directory) {
    const file = join(directory, "lab.json");
    if (!existsSync(file)) throw new StepFailed(`There is no lab in ${directory}.`, "npm run lab");
    /** @type {LabRecord} */
    const record = JSON.parse(readFileSync(file, "utf8"));
    const image = imageAt(record.image);
    const hosts = record.hosts.map(
        (name) =>
            new LabHost({
                name,
                directory: join(directory, name),
                image,
                switches: switchesIn(directory),
                mark: record.mark,
                keep: true,
            }),
    );
    return describeLab(directory, hosts, () => stopLab(directory));
}

/**
 * What there is of a lab in a directory: `on` while its processes run, `broken` where starting it was cut short or this
 * machine went down under it.
 *
 * @param {string} directory
 * @returns {"none" | "on" | "broken"}
 */
export function labState(directory) {
    const file = join(directory, "lab.json");
    if (!existsSync(file)) return "none";
    /** @type {LabRecord} */
    const record = JSON.parse(readFileSync(file, "utf8"));
    return record.started && processesMarked(record.mark, markVariable).length > 0 ? "on" : "broken";
}

/** Ends what there is of a lab in a directory, and removes it. @param {string} directory */
export async function stopLab(directory) {
    /** @type {LabRecord} */
    const record = JSON.parse(readFileSync(join(directory, "lab.json"), "utf8"));
    await killMarked(record.mark, markVariable);
    rmSync(directory, { recursive: true, force: true });
}

/**
 * @param {string} directory
 * @param {LabHost[]} list
 * @param {() => Promise<void>} end
 */
function describeLab(directory, list, end) {
    const byName = new Map(list.map((host) => [host.name, host]));
    const disconnect = () => list.forEach((host) => host.disconnect());
    return {
        directory,
        hosts: list,
        /** @param {HostName} name */
        host(name) {
            const host = byName.get(name);
            if (!host) throw new Error(`this lab has no host ${name}`);
            return host;
        },
        /** Drops the connections kept to its hosts, so that this process can end. */
        disconnect,
        /** Ends all its processes and removes its directory. */
        async stop() {
            disconnect();
            await end();
        },
    };
}

/** @param {string} directory of a lab */
function switchesIn(directory) {
    return { storage: join(directory, "net1"), storage2: join(directory, "net2") };
}

/**
 * @param {{ name: HostName, image: import("./image/index.mjs").Image, lab: string, record: LabRecord, keep: boolean,
 *     boot: boolean }} options
 */
async function startHost({ name, image, lab, record, keep, boot }) {
    const directory = join(lab, name);
    const common = { name, image, switches: switchesIn(lab), mark: record.mark };
    mkdirSync(directory);
    const saved = boot
        ? undefined
        : await bootedHost(image, name, async (work) => {
              const host = new LabHost({ ...common, directory: work, keep: false });
              await host.create(diskNames);
              return host;
          });
    if (saved) touch(dirname(saved.root));
    await createOverlay(rootDisk(directory), saved?.root ?? image.root, saved ? "qcow2" : "raw");
    const [first = "", ...others] = diskNames;
    await createDisk(dataDisk(directory, first), diskSize);
    for (const disk of others) copyFileSync(dataDisk(directory, first), dataDisk(directory, disk));
    const host = new LabHost({ ...common, directory, keep });
    await host.create(diskNames, saved?.state);
    return host;
}
