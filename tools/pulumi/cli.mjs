// @ts-check
/**
 * The Pulumi CLI: the official one where it is on PATH, otherwise built from its Go module.
 *
 * What is built here is Pulumi's own source at a release's version, so the engine is the real one; only Pulumi's
 * download site is not needed. go.mod beside this file pins it.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../command.mjs";
import { atEnd } from "../lifetime.mjs";
import { cacheDirectory, checkout } from "../paths.mjs";
import { findExecutable, isExecutable } from "../prepare/executables.mjs";
import { withLock } from "../prepare/lock.mjs";
import { StepFailed } from "../prepare/progress.mjs";

const moduleDirectory = join(checkout, "tools", "pulumi");
const commandPackage = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";

/**
 * @typedef {object} PulumiCli
 * @property {string} directory holds `pulumi`
 * @property {boolean} official with Pulumi's own language host beside it or on PATH
 */

/**
 * The CLI to use, if it is there already.
 *
 * @returns {PulumiCli | undefined}
 */
export function findPulumiCli() {
    const official = findOfficial();
    if (official) return { directory: official, official: true };
    const built = builtDirectory();
    return isExecutable(join(built, "pulumi")) ? { directory: built, official: false } : undefined;
}

/**
 * @param {import("../prepare/progress.mjs").Say} say
 * @returns {Promise<PulumiCli>}
 */
export async function buildPulumiCli(say) {
    const directory = builtDirectory();
    await withLock(
        directory,
        async () => {
            if (!existsSync(directory)) await build(directory, say);
        },
        () => say("waiting for another process that builds it"),
    );
    return { directory, official: false };
}

function findOfficial() {
    const pulumi = findExecutable("pulumi");
    if (!pulumi) return undefined;
    const beside = join(dirname(realpathSync(pulumi)), "pulumi-language-nodejs");
    return isExecutable(beside) || findExecutable("pulumi-language-nodejs") ? dirname(pulumi) : undefined;
}

/** Named after everything that goes into the binary, so that a changed pin is another directory. */
function builtDirectory() {
    const hash = createHash("sha256");
    for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(moduleDirectory, file)));
    hash.update([process.platform, process.arch, ...buildFlags()].join("\n"));
    return join(cacheDirectory(), `pulumi-${pulumiVersion()}-${hash.digest("hex").slice(0, 16)}`);
}

function pulumiVersion() {
    const goMod = readFileSync(join(moduleDirectory, "go.mod"), "utf8");
    const version = /github\.com\/pulumi\/pulumi\/pkg\/v3 (v\S+)/.exec(goMod)?.[1];
    if (!version) throw new Error("tools/pulumi/go.mod does not say which Pulumi to build");
    return version;
}

function buildFlags() {
    const version = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${pulumiVersion()}`;
    return ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", `-s -w -X ${version}`];
}

/**
 * @param {string} directory
 * @param {import("../prepare/progress.mjs").Say} say
 */
async function build(directory, say) {
    if (!findExecutable("go")) {
        throw new StepFailed(
            "The Pulumi CLI is neither on PATH nor can it be built: there is no Go.",
            "install Pulumi (https://www.pulumi.com/docs/install/) or Go 1.25 or newer, then run this again.",
        );
    }
    const unfinished = `${directory}.${process.pid}`;
    const remove = () => rmSync(unfinished, { recursive: true, force: true });
    const forget = atEnd(remove);
    mkdirSync(unfinished, { recursive: true });
    let compiled = 0;
    try {
        await run("go", ["build", "-v", ...buildFlags(), "-o", join(unfinished, "pulumi"), commandPackage], {
            cwd: moduleDirectory,
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
            "The Pulumi CLI could not be built.",
            "see that the Go module proxy can be reached (`go env GOPROXY`), or install Pulumi itself " +
                "(https://www.pulumi.com/docs/install/), then run this again.",
            error,
        );
    } finally {
        forget();
        remove();
    }
}
