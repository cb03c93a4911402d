// @ts-check
/**
 * As `pulumi-language-go` does: `pulumi.Run` reads the environment. A program that is compiled already is run as it is.
 *
 * @param {import("./types.mjs").Program} program
 * @returns {import("./types.mjs").Start}
 */
export function start(program) {
    const compiled = process.env["BLOCKHOST_GO_PROGRAM"];
    return {
        ...(compiled
            ? { command: compiled, args: program.args }
            : { command: "go", args: ["run", ".", ...program.args] }),
        env: {
            PULUMI_PROJECT: program.project,
            PULUMI_STACK: program.stack,
            PULUMI_ORGANIZATION: program.organization,
            PULUMI_ROOT_DIRECTORY: program.root,
            PULUMI_DRY_RUN: String(program.dryRun),
            PULUMI_PARALLEL: String(program.parallel),
            PULUMI_MONITOR: program.monitor,
            PULUMI_ENGINE: program.engine,
        },
    };
}
