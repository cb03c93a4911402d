// @ts-check
import { createServer } from "node:net";
import { randomInt } from "node:crypto";

/** Below what the kernel gives to whoever asks for any port, so that only another lab can be in the way. */
const first = 20_000;
const last = 32_000;

/**
 * A TCP port of 127.0.0.1 that nobody listens on, and that nobody gets by chance while its host is switched off.
 *
 * @returns {Promise<number>}
 */
export async function freeLabPort() {
    for (;;) {
        const port = randomInt(first, last);
        if (await isFree(port)) return port;
    }
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
    return new Promise((resolve) => {
        const server = createServer();
        server.once("error", () => resolve(false));
        server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
}
