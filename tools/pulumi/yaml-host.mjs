// @ts-check
/**
 * Pulumi's language host for YAML programs: the official one where it is there, otherwise built from its Go module,
 * which is pinned in yaml/go.mod. It needs an older pkg/v3 than the CLI, hence a module of its own.
 */
import { dirname, join } from "node:path";
import { checkout } from "../paths.mjs";
import { findExecutable } from "../prepare/executables.mjs";
import { pinned } from "./cli.mjs";
import { buildGoTool, findGoTool } from "./go-tool.mjs";

const name = "pulumi-language-yaml";

/** @returns {string | undefined} the folder that holds it */
export function findYamlHost() {
    const official = findExecutable(name);
    return official ? dirname(official) : findGoTool(yamlHost());
}

/** @param {import("../prepare/progress.mjs").Say} say */
export function buildYamlHost(say) {
    return buildGoTool(yamlHost(), say);
}

/** @returns {import("./go-tool.mjs").GoTool} */
function yamlHost() {
    const module = join(checkout, "tools", "pulumi", "yaml");
    return {
        name,
        module,
        target: "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
        version: pinned(module, "github.com/pulumi/pulumi-yaml"),
        flags: ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"],
        title: "Pulumi's language host for YAML",
        otherwise: "install Pulumi (https://www.pulumi.com/docs/install/) or",
    };
}
