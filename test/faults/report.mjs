// @ts-check
/** Writes `RESULTS.md`, or `RESULTS-lab.md`, from what a whole run of the matrix recorded. */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/command.mjs";
import { checkout } from "../../tools/paths.mjs";

/** @typedef {import("./results.ts").Result} Result */

/** What is going to be tested, to be asked before it is. */
export async function stateOfSources() {
    const { stdout: commit } = await run("git", ["rev-parse", "HEAD"], { cwd: checkout });
    const { stdout: changed } = await run(
        "git",
        ["status", "--porcelain", "--", "provider", "test", "tools"],
        {
            cwd: checkout,
        },
    );
    return `\`${commit.trim()}\`${changed.trim() === "" ? "" : ", with changes that were not committed"}`;
}

/**
 * @param {string} directory where the run recorded
 * @param {{ began: Date, sources: string, status: number | undefined, lab?: boolean }} about without a status: ended
 *     early; `lab`: on hosts of the lab
 */
export async function writeReport(directory, { began, sources, status, lab = false }) {
    const target = join(checkout, "test", "faults", lab ? "RESULTS-lab.md" : "RESULTS.md");
    /** @type {Result[]} */
    const results = readdirSync(directory)
        .flatMap((file) => readFileSync(join(directory, file), "utf8").trimEnd().split("\n"))
        .map((line) => JSON.parse(line));
    const minutes = Math.round((Date.now() - began.getTime()) / 60_000);
    const bad = results.filter(({ ok }) => !ok);
    const lines = [
        `# Results of the fault matrix${lab ? " on hosts of the lab" : ""}`,
        "",
        `Written by \`npm run test:faults${lab ? " -- --lab" : ""}\`; not to be edited. What is done, and what has to hold after each trial:`,
        "[README](README.md).",
        "",
        `- commit: ${sources}`,
        `- date: ${began.toISOString()}, ${minutes} minutes, Node.js ${process.version}`,
        `- trials: **${results.length}**, failed: **${bad.length}**`,
        status === undefined
            ? "- the run was ended before it was through: tests come in random order, so what is missing is spread evenly"
            : `- exit status of the run, other suites included: ${status}`,
        "",
    ];
    for (const world of unique(results.map((one) => one.world)).sort()) {
        const here = results.filter((one) => one.world === world);
        lines.push(`## ${world}`, "", ...table(here), "");
    }
    if (bad.length > 0) {
        lines.push("## Failures", "");
        for (const { world, operation, stop, point, error = "" } of bad) {
            lines.push(
                `- ${world}: ${operation}, ${stop}, point ${point}: ${error.slice(0, 400).replace(/\s+/g, " ")}`,
            );
        }
        lines.push("");
    }
    writeFileSync(target, `${lines.join("\n").trimEnd()}\n`);
    return target;
}

/** One row a way to stop, one column an operation would be too wide: a row each, with points that held and all points. @param {Result[]} results */
function table(results) {
    const operations = unique(results.map((one) => one.operation));
    const stops = unique(results.map((one) => one.stop)).sort();
    const numbered = operations.map((operation, i) => `${i + 1}. ${operation}`);
    const head = ["way to stop", ...operations.map((_, i) => String(i + 1)), "all"];
    const rows = stops.map((stop) => {
        const of = results.filter((one) => one.stop === stop);
        return [
            stop,
            ...operations.map((operation) => count(of.filter((one) => one.operation === operation))),
            count(of),
        ];
    });
    const all = [
        "all",
        ...operations.map((operation) => count(results.filter((one) => one.operation === operation))),
        count(results),
    ];
    const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
    return [
        ...numbered,
        "",
        "Points tried; where one failed, how many held of how many.",
        "",
        line(head),
        line(head.map((_, i) => (i === 0 ? "---" : "--:"))),
        ...[...rows, all].map(line),
    ];
}

/** @param {Result[]} results */
function count(results) {
    const good = results.filter(({ ok }) => ok).length;
    return good === results.length ? String(good) : `**${good} of ${results.length}**`;
}

/** @template T @param {T[]} values */
function unique(values) {
    return [...new Set(values)];
}
