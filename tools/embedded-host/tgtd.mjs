// @ts-check
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { run } from "../command.mjs";
import { answers, freePort, until } from "./ports.mjs";
import { markVariable, signal, spawnDaemon } from "./processes.mjs";

/** tgtd keeps the control port in 16 bits; where its management socket is follows from it. */
const controlPorts = { first: 1000, last: 32_000 };
const attempts = 10;

/** @param {number} controlPort */
const socketOf = (controlPort) => `/var/run/tgtd/socket.${controlPort}`;

/**
 * @typedef {object} Tgtd
 * @property {number} controlPort for `tgtadm -C`
 * @property {number} port
 * @property {string} portal `127.0.0.1:port`
 * @property {number | undefined} pid `undefined` while it is stopped
 * @property {(signal?: NodeJS.Signals) => Promise<void>} stop ends it, by default as a crash would; it forgets all
 *     targets
 * @property {() => Promise<void>} start starts it again, empty, with the same control port and portal
 * @property {() => Promise<void>} dispose ends it and removes its socket
 */

/**
 * A private iSCSI target daemon on a free loopback port.
 *
 * @param {{ mark: string, logFile: string }} options
 * @returns {Promise<Tgtd>}
 */
export async function startTgtd({ mark, logFile }) {
    for (let attempt = 1; ; attempt++) {
        const controlPort = await freeControlPort();
        const port = await freePort();
        try {
            return await startOn({ controlPort, port, mark, logFile });
        } catch (error) {
            // Another process was quicker to take one of the two.
            if (attempt === attempts) throw error;
        }
    }
}

/**
 * @param {{ controlPort: number, port: number, mark: string, logFile: string }} options
 * @returns {Promise<Tgtd>}
 */
async function startOn({ controlPort, port, mark, logFile }) {
    const portal = `127.0.0.1:${port}`;
    /** @type {import("node:child_process").ChildProcess | undefined} */
    let daemon;

    /** @type {Tgtd} */
    const tgtd = {
        controlPort,
        port,
        portal,
        get pid() {
            return daemon?.pid;
        },
        async start() {
            if (daemon) return;
            const log = openSync(logFile, "a");
            const started = spawnDaemon(
                "tgtd",
                ["--foreground", "--control-port", String(controlPort), "--iscsi", `portal=${portal}`],
                { stdio: ["ignore", log, log], env: { ...daemonEnvironment(), [markVariable]: mark } },
            );
            closeSync(log);
            /** @type {string | undefined} */
            let failed;
            started.once("error", (error) => (failed = error.message));
            started.once("exit", (status, signalName) => {
                failed = `it ended with ${signalName ?? `status ${status}`}`;
                if (daemon === started) daemon = undefined;
            });
            daemon = started;
            const ready = async () => {
                if (failed !== undefined) throw new Error(`tgtd did not start: ${failed}\n${tail(logFile)}`);
                return (
                    (await answers({ path: socketOf(controlPort) })) &&
                    (await answers({ host: "127.0.0.1", port }))
                );
            };
            await until(ready, { timeoutMs: 10_000, what: "starting tgtd" });
        },
        async stop(name = "SIGKILL") {
            const running = daemon;
            if (!running?.pid) return;
            const ended = new Promise((done) => running.once("exit", done));
            signal(running.pid, name);
            const impatient = setTimeout(() => signal(running.pid ?? 0, "SIGKILL"), 2000);
            await ended;
            clearTimeout(impatient);
        },
        async dispose() {
            await tgtd.stop();
            for (const suffix of ["", ".lock"]) rmSync(socketOf(controlPort) + suffix, { force: true });
        },
    };
    await tgtd.start();
    return tgtd;
}

/**
 * Names of the targets of a tgtd, as it tells them itself.
 *
 * @param {number} controlPort
 * @returns {Promise<string[]>}
 */
export async function targetsOf(controlPort) {
    const args = ["-C", String(controlPort), "--lld", "iscsi", "--mode", "target", "--op", "show"];
    const { stdout } = await run("tgtadm", args, { env: daemonEnvironment() });
    return [...stdout.matchAll(/^Target \d+: (\S+)$/gm)].map((match) => match[1] ?? "");
}

/** @returns {Promise<number>} */
async function freeControlPort() {
    for (;;) {
        const { first, last } = controlPorts;
        const candidate = first + Math.floor(Math.random() * (last - first));
        if (!(await answers({ path: socketOf(candidate) }))) return candidate;
    }
}

function daemonEnvironment() {
    return { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
}

/** @param {string} file */
function tail(file) {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-5).join("\n");
}
