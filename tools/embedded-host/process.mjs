// @ts-check
/** An embedded host in a process of its own, seen from the process that started it. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { atEnd } from "../lifetime.mjs";

const main = fileURLToPath(new URL("main.mjs", import.meta.url));

/**
 * What `main.mjs` says about itself.
 *
 * @typedef {object} HostDescription
 * @property {number} pid
 * @property {string} name
 * @property {string} directory
 * @property {string} address
 * @property {number} port
 * @property {string} user
 * @property {string} hostKey
 * @property {string} privateKeyFile
 * @property {Record<string, string>} poolDirectories
 * @property {string} stateDirectory
 * @property {{ controlPort: number, portal: string, pid: number } | undefined} tgt
 * @property {Record<string, unknown>} configuration an entry of `blockhost:hosts`
 */

/** @typedef {Awaited<ReturnType<typeof startEmbeddedHostProcess>>} EmbeddedHostProcess */

/** @param {{ dir: string, name?: string, pools?: readonly string[], tgt?: boolean, port?: number }} options */
export async function startEmbeddedHostProcess(options) {
    const args = ["--dir", options.dir];
    if (options.name !== undefined) args.push("--name", options.name);
    if (options.pools) args.push("--pools", options.pools.join(","));
    if (options.port !== undefined) args.push("--port", String(options.port));
    if (options.tgt === false) args.push("--no-tgt");
    // In a session of its own, so that Ctrl-C reaches only us and what uses the host can end before it.
    const child = spawn(process.execPath, [main, ...args], {
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
    });
    const exited = new Promise((done) => child.once("exit", done));
    let complaints = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (complaints += text));

    /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
    const waiting = new Map();
    let lastId = 0;

    const lines = createInterface({ input: child.stdout });
    /** @type {HostDescription} */
    const description = await new Promise((resolve, reject) => {
        lines.once("line", (line) => resolve(JSON.parse(line)));
        child.once("error", reject);
        child.once("exit", (status) =>
            reject(new Error(`the embedded host ended with status ${status}\n${complaints}`)),
        );
    });
    lines.on("line", (line) => {
        const { id, result, error } = JSON.parse(line);
        const request = waiting.get(id);
        waiting.delete(id);
        if (error === undefined) request?.resolve(result);
        else request?.reject(new Error(error));
    });
    child.once("exit", () => {
        for (const { reject } of waiting.values()) reject(new Error("the embedded host has ended"));
    });
    child.stdin.on("error", () => {});

    const host = {
        ...description,
        /**
         * One of the actions listed in `main.mjs`.
         *
         * @param {string} action
         * @param {unknown} [argument]
         * @returns {Promise<any>}
         */
        do(action, argument) {
            return new Promise((resolve, reject) => {
                const id = ++lastId;
                waiting.set(id, { resolve, reject });
                child.stdin.write(`${JSON.stringify({ id, do: action, with: argument })}\n`);
            });
        },
        /** Leaves it running when this process ends. */
        async release() {
            await host.do("release");
            forget();
            child.stdin.end();
            child.stdout.destroy();
            child.stderr.destroy();
            child.unref();
        },
        /** Ends it without a chance to clean up, as a crash of the whole machine. */
        async kill() {
            forget();
            child.kill("SIGKILL");
            await exited;
        },
        async stop() {
            forget();
            child.stdin.end();
            await exited;
        },
    };
    const forget = atEnd(() => host.stop(), `storage host on port ${description.port}: ended`);
    return host;
}
