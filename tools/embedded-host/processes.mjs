// @ts-check
/**
 * Processes of an embedded host. Whatever its shells start inherits an environment variable with the host's own value,
 * so that even what went into the background or into a session of its own is found again: what a real host's power
 * switch would end. Nothing else is ever signalled.
 */
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { findExecutable } from "../prepare/executables.mjs";
import { until } from "./ports.mjs";

export const markVariable = "BLOCKHOST_EMBEDDED_HOST";

/**
 * @param {string} mark
 * @param {string} [variable]
 * @returns {number[]}
 */
export function processesMarked(mark, variable = markVariable) {
    const wanted = Buffer.from(`${variable}=${mark}\0`);
    return readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
        .filter((pid) => {
            try {
                return readFileSync(`/proc/${pid}/environ`).includes(wanted);
            } catch {
                return false; // ended meanwhile, or another user's
            }
        })
        .map(Number);
}

/**
 * Kills every process that was started with a mark and waits until they are gone.
 *
 * @param {string} mark
 * @param {string} [variable] the environment variable that holds it
 */
export async function killMarked(mark, variable) {
    await until(
        () => {
            const pids = processesMarked(mark, variable);
            for (const pid of pids) signal(pid, "SIGKILL");
            return pids.length === 0;
        },
        { timeoutMs: 10_000, what: "ending the processes started" },
    );
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} name
 */
export function signal(pid, name) {
    try {
        process.kill(pid, name);
    } catch {
        // It has ended.
    }
}

/**
 * Starts a daemon that the kernel ends when this process dies without a chance to do so itself, in a session of its
 * own so that Ctrl-C reaches only us and daemons end in order.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions} options
 */
export function spawnDaemon(command, args, options) {
    const guard = findExecutable("setpriv") ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
    const [program = command, ...rest] = [...guard, command, ...args];
    return spawn(program, rest, { ...options, detached: true });
}
