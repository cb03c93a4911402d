// @ts-check
/** Runs scripts on a host of the lab: one kept connection, made anew where it is lost. For tests only, not for what they test. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Client } from "ssh2";

/**
 * @typedef {object} Access
 * @property {number} port of 127.0.0.1
 * @property {string} user
 * @property {string} privateKeyFile
 * @property {string} hostKey `SHA256:…`
 */

export class ScriptFailed extends Error {
    /**
     * @param {string} host
     * @param {string} script
     * @param {{ status: number, stdout: string, stderr: string }} result
     */
    constructor(host, script, result) {
        const tail = `${result.stdout.slice(-1500)}${result.stderr.slice(-1500)}`;
        super(`host ${host}: status ${result.status}\n${script.trim().slice(0, 500)}\n${tail}`.trim());
        this.name = "ScriptFailed";
        this.result = result;
    }
}

/**
 * @param {Access} access
 * @param {number} timeoutMs
 * @returns {Promise<Client>}
 */
export function connectTo(access, timeoutMs) {
    return new Promise((resolve, reject) => {
        const client = new Client();
        client.once("ready", () => {
            client.setNoDelay(true);
            resolve(client);
        });
        client.on("error", reject);
        client.once("close", () => reject(new Error("the connection was closed")));
        client.connect({
            host: "127.0.0.1",
            port: access.port,
            username: access.user,
            privateKey: readFileSync(access.privateKeyFile),
            readyTimeout: timeoutMs,
            // Without an answer for so long, the host's power or its link has been cut.
            keepaliveInterval: 10_000,
            keepaliveCountMax: 6,
            hostVerifier: (/** @type {Buffer} */ key) => {
                const digest = createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
                return access.hostKey === `SHA256:${digest}`;
            },
        });
    });
}

/**
 * Runs a script with `sh`; what it wrote and its status.
 *
 * @param {Client} client
 * @param {string} script
 * @param {{ timeoutMs: number }} options
 * @returns {Promise<{ status: number, stdout: string, stderr: string }>}
 */
export function runScript(client, script, { timeoutMs }) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(
            () => reject(new Error(`not done after ${timeoutMs / 1000} s: ${script.slice(0, 200)}`)),
            timeoutMs,
        );
        const lost = () => {
            clearTimeout(timer);
            reject(new Error("the connection was lost"));
        };
        client.once("close", lost);
        // The whole script is read before any of it runs, so that its commands cannot swallow the rest.
        client.exec('eval "$(cat)"', (error, channel) => {
            if (error) {
                client.off("close", lost);
                clearTimeout(timer);
                return reject(error);
            }
            const collected = { stdout: "", stderr: "" };
            channel
                .setEncoding("utf8")
                .on("data", (/** @type {string} */ text) => (collected.stdout += text));
            channel.stderr
                .setEncoding("utf8")
                .on("data", (/** @type {string} */ text) => (collected.stderr += text));
            /** @type {number | undefined} */
            let status;
            channel.on("exit", (/** @type {number | null} */ code) => (status = code ?? 255));
            channel.on("close", () => {
                if (status === undefined) return; // the connection went first
                client.off("close", lost);
                clearTimeout(timer);
                resolve({ status, ...collected });
            });
            channel.end(script);
        });
    });
}
