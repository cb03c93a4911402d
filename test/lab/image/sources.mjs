// @ts-check
/** Where this machine gets its Debian packages, for a tree of its own made from the same mirror. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../tools/command.mjs";
import { StepFailed } from "../../../tools/prepare/progress.mjs";

const aptDirectory = "/etc/apt";

/** Debian's name of the release that runs here, which is also what the lab's hosts run: `bookworm`. */
export function release() {
    const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
    const codename = /^VERSION_CODENAME="?(\w+)"?$/m.exec(text)?.[1];
    if (codename === undefined || !/^ID="?debian"?$/m.test(text)) {
        throw new StepFailed(
            "The lab's hosts are made from this machine's Debian packages, and this is not Debian.",
            "run the lab on Debian 12, or in a container of it.",
        );
    }
    return codename;
}

/**
 * The entries of this machine's apt sources that belong to its Debian release, in apt's own formats: first those in
 * one-line style, then those in deb822 style.
 *
 * @param {string} codename
 * @param {string} [directory]
 * @returns {string[]} texts for one sources file each
 */
export function aptSources(codename, directory = aptDirectory) {
    const parts = join(directory, "sources.list.d");
    const files = [
        join(directory, "sources.list"),
        ...(existsSync(parts)
            ? readdirSync(parts)
                  .sort()
                  .map((name) => join(parts, name))
            : []),
    ].filter((file) => existsSync(file));
    const ofRelease = new RegExp(`\\b${codename}\\b`);

    const lines = files
        .filter((file) => file.endsWith(".list"))
        .flatMap((file) => readFileSync(file, "utf8").split("\n"))
        .filter(
            (line) => /^deb\s/.test(line) && suitesOfLine(line).some((suite) => belongs(suite, codename)),
        );
    const stanzas = files
        .filter((file) => file.endsWith(".sources"))
        .flatMap((file) => readFileSync(file, "utf8").split(/\n\s*\n/))
        .map((stanza) => stanza.replace(/^#.*\n?/gm, "").trim())
        .filter((stanza) => ofRelease.test(/^Suites:(.*)$/im.exec(stanza)?.[1] ?? ""))
        .filter((stanza) => !/^Enabled:\s*no/im.test(stanza));
    const texts = [lines.join("\n"), stanzas.join("\n\n")].filter(Boolean).map((text) => `${text}\n`);
    if (texts.length === 0) {
        throw new StepFailed(
            `apt has no source for Debian ${codename} here.`,
            "add one to /etc/apt/sources.list.d (man sources.list), then run this again.",
        );
    }
    return texts;
}

/** This machine's settings of how apt reaches its mirror: proxies, checks, retries; as lines of an apt.conf. */
export async function aptSettings() {
    const { stdout } = await run("apt-config", ["dump", "Acquire"]);
    return stdout
        .split("\n")
        .filter((line) => /^Acquire::(https?|Check-|Retries|ForceIPv)/i.test(line))
        .map((line) => `${line}\n`)
        .join("");
}

/** @param {string} line `deb [options] uri suite components…` */
function suitesOfLine(line) {
    const suite = line.replace(/\[[^\]]*\]/, "").split(/\s+/)[2];
    return suite === undefined ? [] : [suite];
}

/** @param {string} suite @param {string} codename */
function belongs(suite, codename) {
    return suite === codename || suite.startsWith(`${codename}-`);
}
