// @ts-check
import { createRequire } from "node:module";
import { join } from "node:path";

/** As `pulumi-language-nodejs` does. @param {import("./types.mjs").Program} program @returns {import("./types.mjs").Start} */
export function start(program) {
    const args = [
        findRunner(program.directory),
        ...["--monitor", program.monitor, "--engine", program.engine],
        ...["--project", program.project, "--stack", program.stack],
        ...["--root-directory", program.root, "--pwd", program.pwd],
        ...(program.dryRun ? ["--dry-run"] : []),
        ...["--parallel", String(program.parallel), "--organization", program.organization],
        program.entry,
        ...program.args,
    ];
    // `runtime: { name: nodejs, options: { typescript: false } }` turns TypeScript off.
    const env = { PULUMI_NODEJS_TYPESCRIPT: String(program.options["typescript"] !== false) };
    return { command: process.execPath, args, env };
}

/** Of the program's own SDK. @param {string} directory */
function findRunner(directory) {
    try {
        return createRequire(join(directory, "program.js")).resolve("@pulumi/pulumi/cmd/run");
    } catch {
        throw new Error(
            `@pulumi/pulumi is not installed for the program in ${directory}: run npm install there`,
        );
    }
}
