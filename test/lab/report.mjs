// @ts-check
/** Writes `RESULTS.md`: what came of each file of tests in the lab when it was last run whole. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { checkout } from "../../tools/paths.mjs";

const HEAD = `# Results of the tests in the lab

Written by \`npm run test:lab\`, or \`npm test -- test/lab/FILE\`, where whole files are run; not to be edited. One line is what
came of a file when it was last run. What the lab is: [README](README.md). The fault matrices there have a
[report of their own](../faults/RESULTS-lab.md).

`;
const COLUMNS = ["file", "commit", "date", "minutes of tests", "passed", "failed", "left out"];

/**
 * @typedef {{ status: string, fullName: string }} Test
 * @typedef {{ name: string, startTime: number, endTime: number, message: string, assertionResults: Test[] }} File as vitest's JSON reporter has it
 */

/**
 * Lines of files that were run take the place of theirs; all others stay.
 *
 * @param {string} output what vitest's JSON reporter wrote
 * @param {string} sources commit, see `stateOfSources`
 */
export function writeResults(output, sources) {
    const target = join(checkout, "test", "lab", "RESULTS.md");
    const lines = new Map(existsSync(target) ? linesOf(readFileSync(target, "utf8")) : []);
    /** @type {{ testResults: File[] }} */
    const { testResults } = JSON.parse(readFileSync(output, "utf8"));
    for (const file of testResults) {
        if (relative(checkout, file.name).startsWith(join("test", "lab")))
            lines.set(basename(file.name), line(file, sources));
    }
    const rule = COLUMNS.map((_, i) => (i < 3 ? "---" : "--:"));
    const table = [COLUMNS, rule].map((cells) => `| ${cells.join(" | ")} |`);
    const sorted = [...lines.keys()].sort().map((name) => lines.get(name) ?? "");
    writeFileSync(target, `${HEAD}${[...table, ...sorted].join("\n")}\n`);
    return target;
}

/** @param {string} report @returns {[string, string][]} */
function linesOf(report) {
    return report.split("\n").flatMap((text) => {
        const name = /^\| (\S+\.test\.ts) \|/.exec(text)?.[1];
        return name === undefined ? [] : [[name, text]];
    });
}

/** @param {File} file @param {string} sources */
function line({ name, startTime, endTime, message, assertionResults }, sources) {
    /** @param {string} status */
    const count = (status) => assertionResults.filter((test) => test.status === status).length;
    const failed = assertionResults.filter((test) => test.status === "failed").map((test) => test.fullName);
    // A file that could not be begun has no tests.
    if (failed.length === 0 && message !== "") failed.push(message.split("\n")[0] ?? "");
    const cells = [
        basename(name),
        sources,
        new Date(startTime).toISOString().slice(0, 16).replace("T", " "),
        Math.ceil((endTime - startTime) / 60_000),
        count("passed"),
        failed.length === 0 ? 0 : `**${failed.length}**: ${failed.join("; ").replaceAll("|", "/")}`,
        count("skipped") + count("pending") + count("todo"),
    ];
    return `| ${cells.join(" | ")} |`;
}
