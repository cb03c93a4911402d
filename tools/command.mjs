// @ts-check
/** Runs a program to its end: output collected, failure as an error that carries the output's tail. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import { atEnd } from "./lifetime.mjs";

const keptLines = 2000;
const patienceMs = 10_000;

export class CommandFailed extends Error {
    /**
     * @param {string} command
     * @param {number | null} status
     * @param {NodeJS.Signals | null} signal
     * @param {string[]} lines
     */
    constructor(command, status, signal, lines) {
        super(`${command} ${signal ? `was ended by ${signal}` : `exited with status ${status}`}`);
        this.name = "CommandFailed";
        this.status = status;
        this.signal = signal;
        /** The end of what it wrote, and the beginning, where many programs say what is wrong. */
        this.tail = (lines.length <= 45 ? lines : [...lines.slice(0, 15), "…", ...lines.slice(-30)]).join(
            "\n",
        );
    }
}

/**
 * @typedef {object} CommandOptions
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string} [input] for standard input
 * @property {(line: string) => void} [onLine] every line of standard output and error as it arrives
 * @property {boolean} [tolerate] a status other than 0 is a result, not an error
 */

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {CommandOptions} [options]
 * @returns {Promise<{ status: number, stdout: string, stderr: string }>}
 */
export function run(command, args, options = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(command, args, {
            cwd: options.cwd,
            env: options.env,
            stdio: "pipe",
        });
        const endChild = () => {
            child.kill("SIGTERM");
        };
        const forget = atEnd(endChild);
        /** @type {string[]} */
        const lines = [];
        const collected = { stdout: "", stderr: "" };
        for (const name of /** @type {const} */ (["stdout", "stderr"])) {
            child[name]
                .setEncoding("utf8")
                .on("data", (/** @type {string} */ text) => (collected[name] += text));
            createInterface({ input: child[name] }).on("line", (line) => {
                if (lines.push(line) > keptLines) lines.shift();
                options.onLine?.(line);
            });
        }
        child.stdin.on("error", () => {}); // a program that does not read its input says so by its status
        child.stdin.end(options.input ?? "");
        child.on("error", (error) => {
            forget();
            reject(error);
        });
        child.on("close", (status, signal) => {
            forget();
            if (status === 0 || (options.tolerate && status !== null))
                resolve({ status: status ?? -1, ...collected });
            else reject(new CommandFailed([command, ...args.slice(0, 3)].join(" "), status, signal, lines));
        });
    });
}

/**
 * Runs a program on this process's own terminal and gives its exit status.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<number>}
 */
export function runAttached(command, args, options = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(command, args, { ...options, stdio: "inherit" });
        const ended = new Promise((done) => child.on("close", done));
        const forget = atEnd(async (signal = "SIGTERM") => {
            // Ctrl-C has reached the child by itself, and for many programs a second signal means "at once".
            if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
            const impatient = setTimeout(() => child.kill("SIGTERM"), patienceMs);
            await ended;
            clearTimeout(impatient);
        });
        child.on("error", (error) => {
            forget();
            reject(error);
        });
        child.on("close", (status, signal) => {
            forget();
            resolve(status ?? (signal ? 128 + constants.signals[signal] : 1));
        });
    });
}
