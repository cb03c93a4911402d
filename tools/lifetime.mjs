// @ts-check
/**
 * What has to be undone when this process ends, however it ends: temporary directories, children, servers.
 *
 * Clean-ups registered with `atEnd` run last-in first-out, once: when `endNow` is called, or (after `endOnSignals`) at
 * SIGINT, SIGTERM or SIGHUP. Temporary directories also go in the `exit` event, which cannot wait for anything.
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

/** @typedef {(signal?: NodeJS.Signals) => unknown} CleanUp told of the signal, if one ends this process */

/** What sits between us and the terminal (npm) passes on a signal that we got from there already. */
const echoMs = 1000;

/**
 * With what it says once it is done: `the embedded host: ended`.
 *
 * @type {Map<CleanUp, string | undefined>}
 */
const cleanUps = new Map();
/** @type {Set<string>} */
const directories = new Set();
/** @type {Promise<string[]> | undefined} */
let ending;

/**
 * Registers a clean-up; the function returned takes it back.
 *
 * @param {CleanUp} cleanUp
 * @param {string} [done] told when it is done because of a signal
 * @returns {() => void}
 */
export function atEnd(cleanUp, done) {
    cleanUps.set(cleanUp, done);
    return () => void cleanUps.delete(cleanUp);
}

/**
 * Runs every clean-up that is registered, the newest first. A clean-up that fails does not stop the others.
 *
 * @param {NodeJS.Signals} [signal]
 * @returns {Promise<string[]>} what those that succeeded say
 */
export function endNow(signal) {
    return (ending ??= (async () => {
        /** @type {string[]} */
        const said = [];
        for (const [cleanUp, done] of [...cleanUps].reverse()) {
            cleanUps.delete(cleanUp);
            try {
                await cleanUp(signal);
                if (done) said.push(done);
            } catch (error) {
                process.stderr.write(
                    `while cleaning up: ${error instanceof Error ? error.message : error}\n`,
                );
            }
        }
        return said;
    })());
}

/**
 * For a process of our own: the first signal cleans up and ends with 128 + n, a second one ends at once.
 *
 * @param {object} [options]
 * @param {(signal: NodeJS.Signals) => void} [options.begin] called before the clean-ups
 * @param {(done: string[]) => void} [options.end] called after them, with what was ended and removed
 */
export function endOnSignals({ begin, end } = {}) {
    /** @type {number | undefined} */
    let signalled;
    for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
        process.on(signal, () => {
            const status = 128 + constants.signals[signal];
            if (signalled !== undefined) {
                if (performance.now() - signalled > echoMs) process.exit(status);
                return;
            }
            signalled = performance.now();
            begin?.(signal);
            void endNow(signal).then((done) => {
                const removed = [...directories].filter(isRemoved).map((path) => `${path}: removed`);
                end?.([...done, ...removed]);
                process.exit(status);
            });
        });
    }
}

/** @param {string} directory */
function isRemoved(directory) {
    try {
        removeDirectory(directory);
        return true;
    } catch {
        return false;
    }
}

/**
 * A fresh directory that goes when this process ends, unless `keepDirectory` is told otherwise.
 *
 * @param {string} purpose part of its name
 */
export function temporaryDirectory(purpose) {
    const directory = mkdtempSync(join(realpathSync(tmpdir()), `blockhost-${purpose}-`));
    directories.add(directory);
    return directory;
}

/** @param {string} directory */
export function keepDirectory(directory) {
    directories.delete(directory);
}

/** @param {string} directory */
export function removeDirectory(directory) {
    directories.delete(directory);
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

process.on("exit", () => {
    for (const directory of directories) {
        try {
            removeDirectory(directory);
        } catch {
            // Nobody is left to tell.
        }
    }
});
