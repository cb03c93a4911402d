// @ts-check
/**
 * The entry of every npm script: `node tools/run.mjs VERB [arguments]`. Brings the machine to the state that the verb
 * needs, then does it. Works on a fresh clone, before `npm install`.
 */
import { join } from "node:path";
import { run, runAttached } from "./command.mjs";
import { endNow, endOnSignals } from "./lifetime.mjs";
import { checkout } from "./paths.mjs";
import { example } from "./example.mjs";
import { prepare } from "./prepare.mjs";
import { createProgress, report } from "./prepare/progress.mjs";
import { quickstart } from "./quickstart.mjs";
import { sdk } from "./sdk.mjs";

const everything = { packages: true, pulumi: true, packed: true };

/**
 * What each verb does; gives the exit status.
 *
 * @type {Record<string, (args: string[]) => Promise<number>>}
 */
const verbs = {
    quickstart,
    example,
    async test(args) {
        await prepare(args.length > 0 && args.every(needsNoEngine) ? { packages: true } : everything);
        if (args.length === 0) await checkSources();
        return node("vitest/vitest.mjs", ["run", ...args]);
    },
    async watch(args) {
        await prepare(everything);
        return node("vitest/vitest.mjs", ["watch", ...args]);
    },
    async faults(args) {
        await prepare(everything);
        return node("vitest/vitest.mjs", ["run", "test/faults", ...args], { BLOCKHOST_FAULTS: "full" });
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
    async bench(args) {
        await prepare(everything);
        return node("tsx/dist/cli.mjs", [join("test", "bench", "main.ts"), ...args]);
    },
};

/** `npm test -- test/unit/…` does not wait for what only whole stacks need. @param {string} argument */
function needsNoEngine(argument) {
    return argument.startsWith("-") || /^(\.\/)?test\/(unit|contract)\b/.test(argument);
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
        check("types of the examples", "typescript/bin/tsc", ["-p", "examples", "--noEmit"]),
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
endOnSignals((signal) => {
    interrupted = true;
    process.stdout.write(`\n${signal}: cleaning up\n`);
});
try {
    process.exitCode = await verb(args);
} catch (error) {
    // What fails because it was ended is no news.
    if (!interrupted) report(error);
    process.exitCode = 1;
}
await endNow();
