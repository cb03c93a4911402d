// @ts-check
/**
 * The QEMU that the lab's hosts run in. Debian 12's, 7.2, emulates them half as fast as that of its backports, which is
 * unpacked into the cache folder, so that nothing of it is installed on this machine.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    renameSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandFailed, run } from "../../tools/command.mjs";
import { atEnd } from "../../tools/lifetime.mjs";
import { cacheDirectory } from "../../tools/paths.mjs";
import { findExecutable } from "../../tools/prepare/executables.mjs";
import { withLock } from "../../tools/prepare/lock.mjs";
import { accelerator } from "./accelerator.mjs";
import { touch } from "./cache.mjs";
import { aptSettings, aptSources, release } from "./image/sources.mjs";

/**
 * @typedef {object} Emulator
 * @property {string} program
 * @property {readonly string[]} options where it finds its firmware
 */

const name = "qemu-system-x86_64";
const packages = ["qemu-system-x86", "qemu-system-data", "seabios"];
/** From this major version on it is as fast. */
const fast = 10;

/** This machine's. @type {Emulator} */
const own = { program: name, options: [] };

/** @returns {Emulator | undefined} undefined: the one of backports is to be fetched first */
export function findEmulator() {
    if (accelerator() !== "tcg" || isFast()) return own;
    const directory = describe();
    const unpacked = unpackedAt(directory);
    if (existsSync(unpacked.program)) {
        touch(directory);
        return unpacked;
    }
    return failedLately(directory) ? own : undefined;
}

/** What is there to run hosts in; this machine's own where nothing was fetched. */
export function emulator() {
    return findEmulator() ?? own;
}

/** @param {import("../../tools/prepare/progress.mjs").Say} say */
export async function fetchEmulator(say) {
    const directory = describe();
    await withLock(
        directory,
        async () => {
            if (!existsSync(directory)) await fetch(directory, say);
        },
        () => say("waiting for another process that fetches it"),
    );
}

function describe() {
    const text = readFileSync(fileURLToPath(import.meta.url));
    const key = createHash("sha256").update(text).digest("hex").slice(0, 16);
    return join(cacheDirectory(), "lab", "qemu", key);
}

/** A machine that cannot reach backports is not to be held up each time. @param {string} directory */
function failedLately(directory) {
    const since = statSync(failure(directory), { throwIfNoEntry: false })?.mtimeMs;
    return since !== undefined && Date.now() - since < 86_400_000;
}

/** @param {string} directory */
function failure(directory) {
    return `${directory}.failed`;
}

function isFast() {
    if (!findExecutable(name)) return false;
    const { stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
    return Number(/version (\d+)/.exec(stdout)?.[1]) >= fast;
}

/** @param {string} directory @returns {Emulator} */
function unpackedAt(directory) {
    const firmware = ["seabios", "qemu"].flatMap((name) => ["-L", join(directory, "usr", "share", name)]);
    return { program: join(directory, "usr", "bin", name), options: firmware };
}

/** @param {string} directory @param {import("../../tools/prepare/progress.mjs").Say} say */
async function fetch(directory, say) {
    const work = `${directory}.new`;
    const remove = () => rmSync(work, { recursive: true, force: true });
    remove();
    const forget = atEnd(remove);
    try {
        const scratch = join(work, "apt");
        const apt = await privateApt(scratch);
        say("asking for what there is");
        // Other sources of this release have no backports, perhaps.
        await run("apt-get", [...apt, "update"], { tolerate: true });
        say("downloading");
        await run("apt-get", [...apt, "download", ...packages], { cwd: scratch });
        for (const file of readdirSync(scratch).filter((file) => file.endsWith(".deb"))) {
            await run("dpkg-deb", ["--extract", join(scratch, file), work]);
        }
        // Its libraries are those that Debian 12's needs; where one is not there, this says which.
        await run(unpackedAt(work).program, ["--version"]);
        rmSync(scratch, { recursive: true, force: true });
        renameSync(work, directory);
    } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        writeFileSync(failure(directory), "");
        // The same hosts run in this machine's own.
        process.stderr.write(
            `The QEMU of Debian's backports could not be had: ${error.message}\n${error.tail}\n` +
                `The lab's hosts run in this machine's own, and half as fast.\n`,
        );
    } finally {
        forget();
        remove();
    }
}

/**
 * Lists and sources of its own for apt, so that this machine's stay as they are: backports of this release, from the
 * mirror that the release itself comes from.
 *
 * @param {string} directory made here
 * @returns {Promise<string[]>} apt's options
 */
async function privateApt(directory) {
    const codename = release();
    const sources = join(directory, "sources");
    const settings = join(directory, "apt.conf");
    for (const folder of [
        sources,
        join(directory, "lists", "partial"),
        join(directory, "archives", "partial"),
    ]) {
        mkdirSync(folder, { recursive: true });
    }
    for (const [index, text] of backports(aptSources(codename), codename).entries()) {
        const ending = /^Types:/im.test(text) ? "sources" : "list";
        writeFileSync(join(sources, `${index}.${ending}`), text);
    }
    writeFileSync(
        settings,
        `${await aptSettings()}APT::Sandbox::User "root";
APT::Default-Release "${codename}-backports";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "${sources}";
Dir::State::Lists "${join(directory, "lists")}";
Dir::Cache "${directory}";
`,
    );
    return ["-q", "--config-file", settings];
}

/**
 * Sources of a release's backports, made from those of the release.
 *
 * @param {readonly string[]} texts in either of apt's formats
 * @param {string} codename
 * @returns {string[]}
 */
export function backports(texts, codename) {
    const suite = `${codename}-backports`;
    return texts
        .map((text) =>
            /^Types:/im.test(text)
                ? text
                      .split(/\n\s*\n/)
                      .filter((stanza) => suitesOf(stanza).includes(codename))
                      .map((stanza) => stanza.trim().replace(/^Suites:.*$/im, `Suites: ${suite}`))
                      .join("\n\n")
                : text
                      .split("\n")
                      .filter((line) => line.split(/\s+/).includes(codename))
                      .map((line) => line.replace(new RegExp(`(?<=\\s)${codename}(?=\\s)`), suite))
                      .join("\n"),
        )
        .filter((text) => text !== "")
        .map((text) => `${text}\n`);
}

/** @param {string} stanza */
function suitesOf(stanza) {
    return (/^Suites:(.*)$/im.exec(stanza)?.[1] ?? "").trim().split(/\s+/);
}
