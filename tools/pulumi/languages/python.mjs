// @ts-check
import { fileURLToPath } from "node:url";

const runner = fileURLToPath(new URL("run-program.py", import.meta.url));

/** As `pulumi-language-python` does with its `pulumi-language-python-exec`. @param {import("./types.mjs").Program} program @returns {import("./types.mjs").Start} */
export function start(program) {
    const settings = {
        project: program.project,
        stack: program.stack,
        organization: program.organization,
        root_directory: program.root,
        parallel: program.parallel,
        dry_run: program.dryRun,
        monitor: program.monitor,
        engine: program.engine,
    };
    return {
        command: process.env["BLOCKHOST_PYTHON"] ?? "python3",
        args: ["-u", runner, JSON.stringify(settings), program.directory],
        env: {},
    };
}
