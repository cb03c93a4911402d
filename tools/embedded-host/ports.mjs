// @ts-check
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A TCP port of 127.0.0.1 that nobody listens on. Somebody else may take it before it is used: whoever uses it has to
 * try again with another one when it turns out to be taken.
 *
 * @returns {Promise<number>}
 */
export function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            const port = typeof address === "object" && address ? address.port : 0;
            server.close(() => resolve(port));
        });
    });
}

/**
 * Whether something answers at an address: `{ host, port }` or `{ path }` of a unix socket.
 *
 * @param {import("node:net").NetConnectOpts} address
 * @returns {Promise<boolean>}
 */
export function answers(address) {
    return new Promise((resolve) => {
        const socket = connect(address);
        socket.once("connect", () => {
            socket.destroy();
            resolve(true);
        });
        socket.once("error", () => resolve(false));
    });
}

/**
 * Waits until `condition` holds.
 *
 * @param {() => boolean | Promise<boolean>} condition
 * @param {{ timeoutMs: number, what: string }} options
 */
export async function until(condition, { timeoutMs, what }) {
    const deadline = Date.now() + timeoutMs;
    while (!(await condition())) {
        if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
        await sleep(10);
    }
}
