// @ts-check
/**
 * Binds schema.json and writes SDKs from it, as `pulumi package gen-sdk` does through language hosts, which are not all
 * to be had as modules. Built from Pulumi's own code generators, pinned in sdkgen/go.mod.
 */
import { join } from "node:path";
import { run } from "../command.mjs";
import { checkout } from "../paths.mjs";
import { pinned } from "./cli.mjs";
import { buildGoTool, findGoTool } from "./go-tool.mjs";

/** @returns {string | undefined} the executable, if it is built */
export function findSdkGenerator() {
    const generator = sdkGenerator();
    const directory = findGoTool(generator);
    return directory && join(directory, generator.name);
}

/** @param {import("../prepare/progress.mjs").Say} say */
export function buildSdkGenerator(say) {
    return buildGoTool(sdkGenerator(), say);
}

/**
 * Binds a schema as Pulumi does; warnings count. Writes an SDK, unless it is only to `check`.
 *
 * @param {string} schema
 * @param {"nodejs" | "python" | "go" | "check"} language
 * @param {string} [directory]
 */
export async function generateSdk(schema, language, directory = "-") {
    const generator = findSdkGenerator();
    if (generator === undefined) throw new Error("prepare() was not asked for sdk");
    await run(generator, [schema, language, directory]);
}

/** @returns {import("./go-tool.mjs").GoTool} */
function sdkGenerator() {
    const module = join(checkout, "tools", "pulumi", "sdkgen");
    return {
        name: "sdkgen",
        module,
        target: ".",
        version: pinned(module, "github.com/pulumi/pulumi/pkg/v3"),
        flags: ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"],
        title: "The generator of SDKs",
        otherwise: "install",
    };
}
