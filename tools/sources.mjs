// @ts-check
import { run } from "./command.mjs";
import { checkout } from "./paths.mjs";

/** What is going to be tested, to be asked before it is. */
export async function stateOfSources() {
    const { stdout: commit } = await run("git", ["rev-parse", "HEAD"], { cwd: checkout });
    const { stdout: changed } = await run(
        "git",
        ["status", "--porcelain", "--", "provider", "test", "tools", ":!test/**/RESULTS*.md"],
        {
            cwd: checkout,
        },
    );
    return `\`${commit.trim()}\`${changed.trim() === "" ? "" : ", with changes that were not committed"}`;
}
