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

/** @type {Set<CleanUp>} */
const cleanUps = new Set();
/** @type {Set<string>} */
const directories = new Set();
/** @type {Promise<void> | undefined} */
let ending;

/**
 * Registers a clean-up; the function returned takes it back.
 *
 * @param {CleanUp} cleanUp
 * @returns {() => void}
 */
export function atEnd(cleanUp) {
    cleanUps.add(cleanUp);
    return () => void cleanUps.delete(cleanUp);
}

/**
 * Runs every clean-up that is registered, the newest first. A clean-up that fails does not stop the others.
 *
 * @param {NodeJS.Signals} [signal]
 */
export function endNow(signal) {
    return (ending ??= (async () => {
        for (const cleanUp of [...cleanUps].reverse()) {
            cleanUps.delete(cleanUp);
            try {
                await cleanUp(signal);
            } catch (error) {
                process.stderr.write(
                    `while cleaning up: ${error instanceof Error ? error.message : error}\n`,
                );
            }
        }
    })());
}

/**
 * For a process of our own: the first signal cleans up and ends with 128 + n, a second one ends at once.
 *
 * @param {(signal: NodeJS.Signals) => void} [onSignal] called before the clean-ups
 */
export function endOnSignals(onSignal) {
    let signalled = false;
    for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
        process.on(signal, () => {
            const status = 128 + constants.signals[signal];
            if (signalled) process.exit(status);
            signalled = true;
            onSignal?.(signal);
            void endNow(signal).then(() => process.exit(status));
        });
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
