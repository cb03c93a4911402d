// @ts-check
/**
 * A throw-away stack of a project, driven by the real CLI. State, configuration and everything else that Pulumi writes
 * is in one directory outside the project, so the checkout stays as it is.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { killMarked, signal } from "../embedded-host/processes.mjs";
import { atEnd } from "../lifetime.mjs";

const patienceMs = 8000;

/**
 * @typedef {object} Outcome
 * @property {number} status exit status of the CLI
 * @property {string} output all that it printed
 * @property {Record<string, number>} changes how many resources were to `create`, `update`, `delete`, `replace`, … or
 *     stayed the `same`
 * @property {string[]} diagnostics what warnings and errors said
 * @property {number} seconds
 */

/** @typedef {Awaited<ReturnType<typeof createStack>>} Stack */

/**
 * @param {object} options
 * @param {string} options.project the folder of Pulumi.yaml
 * @param {string} options.directory for everything that is written
 * @param {Record<string, string>} options.environment from `pulumiEnvironment`
 * @param {string} [options.name] of the stack; default `dev`
 * @param {Record<string, unknown>} [options.config] structured values as they are, by key; without a namespace in it,
 *     of the project
 * @param {Record<string, string>} [options.secrets] by key
 * @param {(line: string) => void} [options.onLine] every line that the CLI prints
 */
export async function createStack({
    project,
    directory,
    environment,
    name = "dev",
    config = {},
    secrets = {},
    onLine,
}) {
    const projectName = /^name:\s*(\S+)/m.exec(readFileSync(join(project, "Pulumi.yaml"), "utf8"))?.[1];
    if (!projectName) throw new Error(`${project}/Pulumi.yaml has no name`);
    // `stack init` writes the stack's configuration beside Pulumi.yaml and takes no --config-file: it is shown a
    // project of the same name elsewhere.
    const shadow = join(directory, "stack");
    const configFile = join(shadow, `Pulumi.${name}.yaml`);
    const eventLog = join(directory, "events.json");
    mkdirSync(shadow, { recursive: true });
    writeFileSync(join(shadow, "Pulumi.yaml"), `name: ${projectName}\nruntime: nodejs\n`);

    /**
     * Any command of the CLI.
     *
     * @param {string[]} args
     * @param {{ tolerate?: boolean, quiet?: boolean, env?: Record<string, string>, cwd?: string }} [options]
     */
    const pulumi = (args, options = {}) => {
        return runCli(args, {
            cwd: options.cwd ?? project,
            env: { ...environment, ...options.env },
            tolerate: options.tolerate ?? false,
            onLine: options.quiet ? undefined : onLine,
        });
    };
    /** For commands that take them. */
    const where = ["--stack", name, "--config-file", configFile];

    /**
     * @param {"up" | "preview" | "refresh" | "destroy"} verb
     * @param {{ args?: string[], tolerate?: boolean, quiet?: boolean, env?: Record<string, string> }} [options]
     * @returns {Promise<Outcome>}
     */
    const operate = async (verb, { args = [], tolerate = false, quiet = false, env = {} } = {}) => {
        const started = performance.now();
        writeFileSync(eventLog, "");
        const unattended = verb === "preview" ? [] : ["--yes", "--skip-preview"];
        const { status, output } = await pulumi(
            [verb, ...where, ...unattended, "--suppress-progress", "--event-log", eventLog, ...args],
            // The event log is one of the options that the CLI hides.
            { tolerate, quiet, env: { PULUMI_DEBUG_COMMANDS: "true", ...env } },
        );
        const seconds = (performance.now() - started) / 1000;
        return { status, output, seconds, ...readEvents(eventLog) };
    };

    await pulumi(["stack", "init", name, "--no-select"], { cwd: shadow, quiet: true });
    writeConfig();
    for (const [key, value] of Object.entries(secrets)) await setConfig(key, value, { secret: true });

    function writeConfig() {
        const lines = Object.entries(config)
            .filter(([, value]) => value !== undefined)
            .map(
                ([key, value]) =>
                    `  ${key.includes(":") ? key : `${projectName}:${key}`}: ${JSON.stringify(value)}\n`,
            );
        const salt = readFileSync(configFile, "utf8").trimEnd();
        writeFileSync(configFile, `${salt}\nconfig:${lines.length > 0 ? `\n${lines.join("")}` : " {}\n"}`);
    }

    /** @param {string} key @param {string} value @param {{ secret?: boolean }} [options] */
    async function setConfig(key, value, { secret = false } = {}) {
        await pulumi(["config", "set", ...where, ...(secret ? ["--secret"] : []), "--", key, value], {
            quiet: true,
        });
    }

    return {
        name,
        project,
        directory,
        configFile,
        environment,
        pulumi,
        setConfig,
        /** @param {Parameters<typeof operate>[1]} [options] */
        up: (options) => operate("up", options),
        /** @param {Parameters<typeof operate>[1]} [options] */
        preview: (options) => operate("preview", options),
        /** @param {Parameters<typeof operate>[1]} [options] */
        refresh: (options) => operate("refresh", options),
        /** @param {Parameters<typeof operate>[1]} [options] */
        destroy: (options) => operate("destroy", options),
        /**
         * The stack's outputs, secrets in plain.
         *
         * @returns {Promise<Record<string, any>>}
         */
        async outputs() {
            const args = ["stack", "output", "--stack", name, "--json", "--show-secrets"];
            return JSON.parse((await pulumi(args, { quiet: true })).stdout);
        },
        /**
         * The stack's state.
         *
         * @returns {Promise<any>}
         */
        async state() {
            return JSON.parse((await pulumi(["stack", "export", "--stack", name], { quiet: true })).stdout);
        },
    };
}

/** A CLI command that failed. */
export class PulumiFailed extends Error {
    /** @param {string[]} args @param {number} status @param {string} output */
    constructor(args, status, output) {
        super(
            `pulumi ${args[0]} exited with status ${status}\n${output.trimEnd().split("\n").slice(-40).join("\n")}`,
        );
        this.name = "PulumiFailed";
        this.status = status;
        this.output = output;
    }
}

/**
 * @param {string[]} args
 * @param {{ cwd: string, env: Record<string, string>, tolerate: boolean, onLine?: ((line: string) => void) | undefined }} options
 * @returns {Promise<{ status: number, stdout: string, output: string }>}
 */
function runCli(args, { cwd, env, tolerate, onLine }) {
    return new Promise((resolve, reject) => {
        // In a session of its own: Ctrl-C reaches only us, and we end it in order.
        const child = spawn("pulumi", ["--non-interactive", "--color", "never", ...args], {
            cwd,
            env,
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
        });
        const closed = new Promise((done) => child.once("close", done));
        const forget = atEnd(async () => {
            child.kill("SIGINT"); // cancels what is under way
            await Promise.race([closed, sleep(patienceMs, undefined, { ref: false })]);
            if (child.pid && child.exitCode === null) signal(child.pid, "SIGKILL");
            // Plugins lead groups of their own, and some outlive an engine that was killed.
            await killMarked(env["PULUMI_HOME"] ?? "", "PULUMI_HOME");
        }, `pulumi ${args[0]}: cancelled and ended`);
        let stdout = "";
        let output = "";
        child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (text) => (output += text));
            if (onLine) createInterface({ input: stream }).on("line", onLine);
        }
        child.once("error", (error) => {
            forget();
            reject(error);
        });
        child.once("close", (code) => {
            forget();
            const status = code ?? 1;
            if (status === 0 || tolerate) resolve({ status, stdout, output });
            else reject(new PulumiFailed(args, status, output));
        });
    });
}

/**
 * What an operation did, from the engine's own events.
 *
 * @param {string} file one JSON object a line
 */
function readEvents(file) {
    /** @type {Record<string, number>} */
    let changes = {};
    /** @type {string[]} */
    const diagnostics = [];
    for (const line of readFileSync(file, "utf8").split("\n")) {
        if (line === "") continue;
        const event = JSON.parse(line);
        if (event.summaryEvent) changes = event.summaryEvent.resourceChanges ?? {};
        const { severity, message } = event.diagnosticEvent ?? {};
        if (severity === "warning" || severity === "error" || severity === "info#err")
            diagnostics.push(message.trim());
    }
    return { changes, diagnostics };
}
