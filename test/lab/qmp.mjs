// @ts-check
/** Talks to a running QEMU: one connection a conversation, as it takes one client at a time. */
import { connect } from "node:net";
import { createInterface } from "node:readline";

/**
 * @typedef {(command: string, args?: Record<string, unknown>) => Promise<any>} Execute
 * @typedef {{ event: string, data?: any }} QmpEvent
 * @typedef {(wanted: (event: QmpEvent) => boolean) => Promise<QmpEvent>} NextEvent
 */

/**
 * @template Result
 * @typedef {(execute: Execute, nextEvent: NextEvent) => Promise<Result>} Talk
 */

/**
 * @template Result
 * @param {string} path of QEMU's QMP socket
 * @param {Talk<Result>} talk
 * @returns {Promise<Result>}
 */
export async function qmp(path, talk) {
    const socket = connect({ path });
    /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
    const waiting = new Map();
    /** @type {Set<(event: QmpEvent) => void>} */
    const listeners = new Set();
    let lastId = 0;
    /** @type {(error: Error) => void} */
    let fail = () => {};
    /** @type {Promise<never>} */
    const failed = new Promise((_, reject) => (fail = reject));
    failed.catch(() => {});
    socket.once("error", fail);
    socket.once("close", () => fail(new Error(`QEMU at ${path} has gone`)));

    /** @type {() => void} */
    let greeted = () => {};
    const greeting = new Promise((resolve) => (greeted = () => resolve(undefined)));
    const lines = createInterface({ input: socket });
    lines.on("error", () => {}); // the socket's own, passed on
    lines.on("line", (line) => {
        const message = JSON.parse(line);
        if (message.QMP) return greeted();
        if (message.event) return listeners.forEach((listener) => listener(message));
        const request = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error) request?.reject(new Error(`QEMU: ${message.error.desc}`));
        else request?.resolve(message.return);
    });

    /** @type {Execute} */
    const execute = (command, args) =>
        Promise.race([
            failed,
            new Promise((resolve, reject) => {
                const id = ++lastId;
                waiting.set(id, { resolve, reject });
                socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
            }),
        ]);
    /** @type {NextEvent} */
    const nextEvent = (wanted) =>
        Promise.race([
            failed,
            /** @type {Promise<QmpEvent>} */ (
                new Promise((resolve) => {
                    /** @param {QmpEvent} event */
                    const listener = (event) => {
                        if (!wanted(event)) return;
                        listeners.delete(listener);
                        resolve(event);
                    };
                    listeners.add(listener);
                })
            ),
        ]);
    try {
        await Promise.race([greeting, failed]);
        await execute("qmp_capabilities");
        return await talk(execute, nextEvent);
    } finally {
        socket.destroy();
    }
}
