// @ts-check
/**
 * The Pulumi CLI: the official one where it is on PATH, otherwise built from its Go module.
 *
 * What is built here is Pulumi's own source at a release's version, so the engine is the real one; only Pulumi's
 * download site is not needed. go.mod beside this file pins it.
 */
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkout } from "../paths.mjs";
import { findExecutable, isExecutable } from "../prepare/executables.mjs";
import { buildGoTool, findGoTool } from "./go-tool.mjs";

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
    const built = findGoTool(cli());
    return built ? { directory: built, official: false } : undefined;
}

/**
 * @param {import("../prepare/progress.mjs").Say} say
 * @returns {Promise<PulumiCli>}
 */
export async function buildPulumiCli(say) {
    return { directory: await buildGoTool(cli(), say), official: false };
}

function findOfficial() {
    const pulumi = findExecutable("pulumi");
    if (!pulumi) return undefined;
    const beside = join(dirname(realpathSync(pulumi)), "pulumi-language-nodejs");
    return isExecutable(beside) || findExecutable("pulumi-language-nodejs") ? dirname(pulumi) : undefined;
}

/** @returns {import("./go-tool.mjs").GoTool} */
function cli() {
    const module = join(checkout, "tools", "pulumi");
    const version = pinned(module, "github.com/pulumi/pulumi/pkg/v3");
    const stamp = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`;
    return {
        name: "pulumi",
        module,
        target: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        version,
        flags: ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", `-s -w -X ${stamp}`],
        title: "The Pulumi CLI",
        otherwise: "install Pulumi (https://www.pulumi.com/docs/install/) or",
    };
}

/**
 * The version of a Go module that a go.mod asks for.
 *
 * @param {string} module the folder of go.mod
 * @param {string} path
 */
export function pinned(module, path) {
    const words = readFileSync(join(module, "go.mod"), "utf8").split(/\s+/);
    const version = words[words.indexOf(path) + 1];
    if (!version?.startsWith("v")) throw new Error(`${module}/go.mod does not say which ${path} to build`);
    return version;
}
