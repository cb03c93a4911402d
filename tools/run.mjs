// @ts-check
/**
 * The entry of every npm script: `node tools/run.mjs VERB [arguments]`. Brings the machine to the state that the verb
 * needs, then does it. Works on a fresh clone, before `npm install`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run, runAttached } from "./command.mjs";
import { checkPython } from "./pulumi/python.mjs";
import { endNow, endOnSignals, temporaryDirectory } from "./lifetime.mjs";
import { build } from "./packed.mjs";
import { checkout } from "./paths.mjs";
import { example } from "./example.mjs";
import { SHARE, newest } from "./newest.mjs";
import { prepare } from "./prepare.mjs";
import { StepFailed, createProgress, report } from "./prepare/progress.mjs";
import { plugin } from "./plugin.mjs";
import { quickstart } from "./quickstart.mjs";
import { sdk } from "./sdk.mjs";
import { stateOfSources } from "./sources.mjs";

const engine = { packages: true, pulumi: true, packed: true };
/** Whole stacks are of programs in every language. */
const stacks = { ...engine, yaml: true, python: true, go: true };
const everything = { ...stacks, lab: true };

/**
 * What is tested where nothing is named: all but the fault matrix of the lab, and, where its hosts are emulated, most of
 * what runs there: that takes hours.
 */
const usual = async () => {
    const { accelerator } = await import("../test/lab/accelerator.mjs");
    const lab = accelerator() === "kvm" ? ["lab", "lab-long"] : ["lab"];
    return ["unit", "contract", "e2e", "faults", ...lab].flatMap((project) => ["--project", project]);
};

/**
 * What each verb does; gives the exit status.
 *
 * @type {Record<string, (args: string[]) => Promise<number>>}
 */
const verbs = {
    quickstart,
    example,
    async test(args) {
        await prepare(needsOf(args));
        if (args.length > 0)
            return wholeLabFiles(args) ? testLab(args) : node("vitest/vitest.mjs", ["run", ...args]);
        await checkSources();
        const status = await node("vitest/vitest.mjs", ["run", ...(await usual())]);
        return (await newest(SHARE)) || status;
    },
    newest: (args) => newest(args.length > 0 ? args : ["test/e2e"]),
    async watch(args) {
        await prepare(needsOf(args));
        return node("vitest/vitest.mjs", ["watch", ...(args.length > 0 ? args : await usual())]);
    },
    /** All points in all ways; with `--lab`, on its hosts, one power cut and one other way an operation (see `extent`). */
    async faults(args) {
        const lab = args.includes("--lab");
        const only = args.filter((argument) => argument !== "--lab");
        await prepare(lab ? everything : { packages: true });
        const results = temporaryDirectory("faults");
        const extent = process.env["BLOCKHOST_FAULTS"] || (lab ? "few" : "full");
        const began = new Date();
        const { writeReport } = await import("../test/faults/report.mjs");
        const sources = await stateOfSources();
        const here = lab ? ["--project", "lab-faults"] : ["--project", "faults"];
        const status = await node(
            "vitest/vitest.mjs",
            // Once each: what fails now and then has failed.
            ["run", "--retry", "0", "--maxWorkers", "2", "--minWorkers", "2", ...here].concat(
                only.length === 0 ? [lab ? "test/faults/lab-" : "test/faults"] : only,
            ),
            { BLOCKHOST_FAULTS_RESULTS: results, BLOCKHOST_FAULTS: extent },
        );
        // Only a whole run says something about everything, or in the lab about a world.
        if (only.length === 0 || (lab && !only.some((argument) => argument.startsWith("-")))) {
            const file = await writeReport(results, { began, sources, status, extent, lab });
            if (file !== undefined) process.stdout.write(`results: ${file}\n`);
        }
        return status;
    },
    async build() {
        await prepare({});
        await build();
        return 0;
    },
    async lab(args) {
        await prepare({ lab: true });
        // Uses npm packages, which were not there before.
        return (await import("../test/lab/main.mjs")).lab(args);
    },
    async schema(args) {
        await prepare({});
        return node("tsx/dist/cli.mjs", [join("tools", "schema.ts"), ...args]);
    },
    sdk,
    plugin,
    async bench(args) {
        await prepare(engine);
        return node("tsx/dist/cli.mjs", [join("test", "bench", "main.ts"), ...args]);
    },
    async "bench:lab"(args) {
        await prepare({ lab: true });
        return node("tsx/dist/cli.mjs", [join("test", "bench", "lab.ts"), ...args]);
    },
};

/**
 * `npm test -- test/unit/…` does not wait for what only whole stacks or the lab need.
 *
 * @param {readonly string[]} args for vitest
 */
function needsOf(args) {
    const paths = args.filter((argument) => !argument.startsWith("-"));
    /** @param {RegExp} pattern */
    const all = (pattern) => args.length > 0 && paths.every((path) => pattern.test(path));
    if (args.length === 0) return { ...everything, sdk: true };
    if (all(/^(\.\/)?test\/(unit|contract|faults)\b/)) return { packages: true };
    return all(/^(\.\/)?test\/(unit|contract|e2e|faults)\b/) ? stacks : everything;
}

/** Nothing but files in the lab, without an option that leaves some of their tests out. @param {readonly string[]} args */
function wholeLabFiles(args) {
    return args.every((argument) => /^(\.\/)?test\/(lab|faults\/lab-)/.test(argument));
}

/** What came of each file is written down. @param {readonly string[]} args */
async function testLab(args) {
    const output = join(temporaryDirectory("lab-results"), "vitest.json");
    const { writeResults } = await import("../test/lab/report.mjs");
    const sources = await stateOfSources();
    const reporters = ["--reporter", "default", "--reporter", "json", "--outputFile.json", output];
    const status = await node("vitest/vitest.mjs", ["run", ...reporters, ...args]);
    if (existsSync(output)) process.stdout.write(`results: ${writeResults(output, sources)}\n`);
    return status;
}

/** What is checked without running anything. Side by side: each keeps one core busy. */
async function checkSources() {
    const progress = createProgress();
    /** @param {string} what @param {string} script @param {string[]} args */
    const check = (what, script, args) =>
        progress.step(what, () =>
            run(process.execPath, [join("node_modules", script), ...args], { cwd: checkout }).then(() => {}),
        );
    const checks = await Promise.allSettled([
        check("formatting", "prettier/bin/prettier.cjs", ["--check", "--log-level=warn", "."]),
        check("lint", "eslint/bin/eslint.js", ["."]),
        check("types", "typescript/bin/tsc", ["-p", "tsconfig.json", "--noEmit"]),
        check("types of the plugin's SDK", "typescript/bin/tsc", ["-p", "tsconfig.plugin.json", "--noEmit"]),
        check("schema.json", "tsx/dist/cli.mjs", [join("tools", "schema.ts"), "--check"]),
        progress.step("SDKs", async () => {
            if ((await sdk(["--check"])) !== 0)
                throw new StepFailed("The SDKs are not what schema.json comes to.", "run `npm run sdk`.");
        }),
        check("types of the examples", "typescript/bin/tsc", ["-p", "examples", "--noEmit"]),
        progress.step("types of the examples in Python", checkPython),
    ]);
    for (const { status, reason } of /** @type {any[]} */ (checks)) if (status === "rejected") throw reason;
}

/**
 * @param {string} script below node_modules
 * @param {string[]} args
 * @param {Record<string, string>} [environment]
 */
function node(script, args, environment = {}) {
    return runAttached(process.execPath, [join(checkout, "node_modules", script), ...args], {
        cwd: checkout,
        env: { ...process.env, ...environment },
    });
}

const [name = "", ...args] = process.argv.slice(2);
const verb = verbs[name];
if (!verb) {
    process.stderr.write(`usage: node tools/run.mjs ${Object.keys(verbs).join("|")} [arguments]\n`);
    process.exit(2);
}
let interrupted = false;
endOnSignals({
    begin(signal) {
        interrupted = true;
        process.stdout.write(`\n${signal}: cleaning up\n`);
    },
    end(done) {
        const list = done.map((one) => `    ${one}\n`).join("");
        process.stdout.write(`\nCleaned up; nothing of it is left.\n${list}`);
    },
});
try {
    process.exitCode = await verb(args);
} catch (error) {
    // What fails because it was ended is no news.
    if (!interrupted) report(error);
    process.exitCode = 1;
}
await endNow();
