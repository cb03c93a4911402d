// @ts-check
/**
 * Executables that are built from Go modules, once, each pinned by a go.mod of ours. Kept in the cache, in a directory
 * named after everything that goes into them, so that a changed pin is another directory.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.mjs";
import { atEnd } from "../lifetime.mjs";
import { cacheDirectory } from "../paths.mjs";
import { findExecutable, isExecutable } from "../prepare/executables.mjs";
import { withLock } from "../prepare/lock.mjs";
import { StepFailed } from "../prepare/progress.mjs";

/**
 * @typedef {object} GoTool
 * @property {string} name of the executable
 * @property {string} module the folder of its go.mod
 * @property {string[]} [also] folders of other modules that go.mod replaces
 * @property {string} target package path to build, or `.`
 * @property {string} version for the directory's name
 * @property {string[]} flags of `go build`
 * @property {string} title as in "The Pulumi CLI"
 * @property {string} otherwise what to do where it cannot be built: "install … or"
 */

/** @param {GoTool} tool @returns {string} where it is, or is going to be */
export function goToolDirectory({ name, module, also = [], flags, version }) {
    const hash = createHash("sha256");
    const sources = readdirSync(module).filter((file) => file.endsWith(".go"));
    for (const file of ["go.mod", "go.sum", ...sources.sort()]) hash.update(readFileSync(join(module, file)));
    for (const folder of also) {
        const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
        for (const file of files.filter((one) => /\.go$|(^|\/)go\.(mod|sum)$/.test(one)))
            hash.update(readFileSync(join(folder, file)));
    }
    hash.update([process.platform, process.arch, ...flags].join("\n"));
    return join(cacheDirectory(), `${name}-${version}-${hash.digest("hex").slice(0, 16)}`);
}

/** @param {GoTool} tool @returns {string | undefined} its directory, if it is built */
export function findGoTool(tool) {
    const directory = goToolDirectory(tool);
    return isExecutable(join(directory, tool.name)) ? directory : undefined;
}

/**
 * @param {GoTool} tool
 * @param {import("../prepare/progress.mjs").Say} say
 * @returns {Promise<string>} its directory
 */
export async function buildGoTool(tool, say) {
    const directory = goToolDirectory(tool);
    await withLock(
        directory,
        async () => {
            if (!existsSync(directory)) await build(tool, directory, say);
        },
        () => say("waiting for another process that builds it"),
    );
    return directory;
}

/**
 * @param {GoTool} tool
 * @param {string} directory
 * @param {import("../prepare/progress.mjs").Say} say
 */
async function build({ name, module, target, flags, title, otherwise }, directory, say) {
    if (!findExecutable("go")) {
        throw new StepFailed(
            `${title} is neither on PATH nor can it be built: there is no Go.`,
            `${otherwise} Go 1.25 or newer, then run this again.`,
        );
    }
    const unfinished = `${directory}.${process.pid}`;
    const remove = () => rmSync(unfinished, { recursive: true, force: true });
    const forget = atEnd(remove);
    mkdirSync(unfinished, { recursive: true });
    let compiled = 0;
    try {
        await run("go", ["build", "-v", ...flags, "-o", join(unfinished, name), target], {
            cwd: module,
            env: { ...process.env, GOFLAGS: "", GOWORK: "off" },
            // -v names each package once it is compiled.
            onLine: (line) =>
                say(
                    line.startsWith("go: downloading")
                        ? "downloading modules"
                        : `${++compiled} packages compiled`,
                ),
        });
        renameSync(unfinished, directory);
    } catch (error) {
        throw new StepFailed(
            `${title} could not be built.`,
            `see that the Go module proxy can be reached (\`go env GOPROXY\`), or ${otherwise.replace(/ or$/, "")}, then run this again.`,
            error,
        );
    } finally {
        forget();
        remove();
    }
}
