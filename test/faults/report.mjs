// @ts-check
/** Writes `RESULTS.md`, or `RESULTS-lab.md`, from what a whole run of the matrix recorded. */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../tools/paths.mjs";

/** @typedef {import("./results.ts").Result} Result */

/**
 * A section for each world that was tried. In the lab, where each takes most of an hour, those of other worlds stay as
 * they are, each with its own commit and date.
 *
 * @param {string} directory where the run recorded
 * @param {{ began: Date, sources: string, status: number | undefined, extent: string, lab?: boolean }} about without a
 *     status: ended early; `extent`: see `matrix.ts`; `lab`: on hosts of the lab
 */
export async function writeReport(directory, { began, sources, status, extent, lab = false }) {
    const target = join(checkout, "test", "faults", lab ? "RESULTS-lab.md" : "RESULTS.md");
    /** @type {Result[]} */
    const results = readdirSync(directory)
        .flatMap((file) => readFileSync(join(directory, file), "utf8").trimEnd().split("\n"))
        .map((line) => JSON.parse(line));
    // It never began.
    if (results.length === 0) return undefined;
    const minutes = Math.round((Date.now() - began.getTime()) / 60_000);
    const head = [
        `# Results of the fault matrix${lab ? " on hosts of the lab" : ""}`,
        "",
        `Written by \`npm run test:faults${lab ? " -- --lab" : ""}\`; not to be edited. What is done, and what has to hold after each trial:`,
        "[README](README.md).",
        "",
    ];
    const about = [
        `- commit: ${sources}`,
        `- date: ${began.toISOString()}, ${minutes} minutes, Node.js ${process.version}`,
        `- extent: ${extent}`,
        status === undefined
            ? `- the run was ended before it was through: ${lab ? "what is not in the table was not tried" : "tests come in random order, so what is missing is spread evenly"}`
            : `- exit status of the run, other suites included: ${status}`,
    ];
    const sections = lab ? sectionsOf(readFileSync(target, "utf8")) : new Map();
    for (const world of unique(results.map((one) => one.world))) {
        const here = results.filter((one) => one.world === world);
        sections.set(
            extent === "basic" ? `${world}: after each step` : world,
            [...about, ...trials(here), "", ...table(here), ...failures(here)].join("\n").trimEnd(),
        );
    }
    const worlds = [...sections.keys()].sort().map((world) => `## ${world}\n\n${sections.get(world)}\n`);
    writeFileSync(target, [head.join("\n"), ...worlds].join("\n"));
    return target;
}

/** What a report says of each world. @param {string} report */
function sectionsOf(report) {
    const [, ...parts] = report.split(/^## /m);
    return new Map(
        parts.map((part) => {
            const end = part.indexOf("\n");
            return [part.slice(0, end), part.slice(end).trim()];
        }),
    );
}

/** @param {Result[]} results */
function trials(results) {
    return [`- trials: **${results.length}**, failed: **${results.filter(({ ok }) => !ok).length}**`];
}

/** @param {Result[]} results */
function failures(results) {
    const bad = results.filter(({ ok }) => !ok);
    if (bad.length === 0) return [];
    return [
        "",
        "Failures:",
        "",
        ...bad.map(
            ({ operation, stop, point, error = "" }) =>
                `- ${operation}, ${stop}, point ${point}: ${error.slice(0, 400).replace(/\s+/g, " ")}`,
        ),
    ];
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
