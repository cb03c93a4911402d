// @ts-check
import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Does `work` while no other process does it: two test runs of one checkout must not both build for four minutes, or
 * unpack the package over each other.
 *
 * The lock is a listening socket in the kernel's abstract name space: it goes with its holder, however that ends, so
 * there are no stale locks and no guessing whether a process id is still the same process.
 *
 * @template Result
 * @param {string} name
 * @param {() => Promise<Result>} work
 * @param {() => void} [onWait] called once when another process holds the lock
 * @returns {Promise<Result>}
 */
export async function withLock(name, work, onWait) {
    const address = `\0blockhost-${createHash("sha256").update(name).digest("hex").slice(0, 32)}`;
    let server = await tryListen(address);
    if (!server) onWait?.();
    while (!server) {
        await sleep(100);
        server = await tryListen(address);
    }
    try {
        return await work();
    } finally {
        server.close();
    }
}

/**
 * @param {string} address
 * @returns {Promise<import("node:net").Server | undefined>}
 */
function tryListen(address) {
    return new Promise((resolve, reject) => {
        const server = createServer((socket) => socket.destroy());
        server.once("error", (/** @type {NodeJS.ErrnoException} */ error) => {
            if (error.code === "EADDRINUSE") resolve(undefined);
            else reject(error);
        });
        server.listen(address, () => resolve(server));
    });
}
