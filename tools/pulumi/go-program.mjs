// @ts-check
/**
 * The program of examples/quickstart-go, compiled: as Pulumi's own language host does before it runs one, but once, with
 * progress, and kept. Pulumi's SDK for Go takes minutes to compile for the first time.
 */
import { join } from "node:path";
import { checkout } from "../paths.mjs";
import { pinned } from "./cli.mjs";
import { buildGoTool, findGoTool } from "./go-tool.mjs";

/** @returns {string | undefined} the executable, if it is built from the sources as they are now */
export function findGoProgram() {
    const program = goProgram();
    const directory = findGoTool(program);
    return directory && join(directory, program.name);
}

/** @param {import("../prepare/progress.mjs").Say} say */
export function buildGoProgram(say) {
    return buildGoTool(goProgram(), say);
}

/** @returns {import("./go-tool.mjs").GoTool} */
function goProgram() {
    const module = join(checkout, "examples", "quickstart-go");
    return {
        name: "quickstart-go",
        module,
        also: [join(checkout, "sdk", "go")],
        target: ".",
        version: pinned(module, "github.com/pulumi/pulumi/sdk/v3"),
        flags: ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"],
        title: "The example in Go",
        otherwise: "install",
    };
}
