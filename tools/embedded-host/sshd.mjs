// @ts-check
/** A private OpenSSH server on loopback, for what only the real one does: its limits, its timing, jump hosts. */
import { randomUUID } from "node:crypto";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { atEnd, removeDirectory, temporaryDirectory } from "../lifetime.mjs";
import { findExecutable } from "../prepare/executables.mjs";
import { keyPairIn } from "./keys.mjs";
import { answers, freePort, until } from "./ports.mjs";
import { killMarked, markVariable, spawnDaemon } from "./processes.mjs";

const attempts = 10;

/**
 * @typedef {object} SshdOptions
 * @property {string} [dir] keeps keys: started again in the same directory it is the same server
 * @property {number} [port] default a free one
 * @property {number} [maxSessions] default 10
 * @property {string} [maxStartups] default `10:30:100`
 * @property {boolean} [jump] lets connections through to other hosts; default true
 * @property {readonly string[]} [settings] more lines for sshd_config
 */

/** @typedef {Awaited<ReturnType<typeof startSshd>>} Sshd */

/** @param {SshdOptions} [options] */
export async function startSshd(options = {}) {
    const ownDirectory = options.dir === undefined;
    const directory = options.dir === undefined ? temporaryDirectory("sshd") : resolve(options.dir);
    const hostKeyFile = join(directory, "host_key");
    const privateKeyFile = join(directory, "client_key");
    const hostKey = keyPairIn(hostKeyFile);
    keyPairIn(privateKeyFile);
    const authorizedKeysFile = join(directory, "authorized_keys");
    copyFileSync(`${privateKeyFile}.pub`, authorizedKeysFile);
    // Only root's sshd needs it; made at boot where sshd is a service.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });

    const mark = randomUUID();
    const common = [
        `HostKey ${hostKeyFile}`,
        `AuthorizedKeysFile ${authorizedKeysFile}`,
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UseDNS no",
        "PrintMotd no",
        `MaxSessions ${options.maxSessions ?? 10}`,
        `MaxStartups ${options.maxStartups ?? "10:30:100"}`,
        `AllowTcpForwarding ${options.jump === false ? "no" : "yes"}`,
        // By this its sessions are found again.
        `SetEnv ${markVariable}=${mark}`,
        ...(options.settings ?? []),
    ];

    const logFile = join(directory, "sshd.log");
    /** @param {number} port */
    const start = async (port) => {
        const configFile = join(directory, "sshd_config");
        writeFileSync(configFile, [`ListenAddress 127.0.0.1:${port}`, ...common, ""].join("\n"));
        const log = openSync(logFile, "a");
        // sshd starts itself anew for each connection, so it wants its whole path.
        const daemon = spawnDaemon(findExecutable("sshd") ?? "sshd", ["-D", "-e", "-f", configFile], {
            stdio: ["ignore", log, log],
            env: { PATH: process.env["PATH"], [markVariable]: mark },
        });
        closeSync(log);
        /** @type {string | undefined} */
        let failed;
        daemon.once("error", (error) => (failed = error.message));
        daemon.once("exit", (status, name) => (failed = `it ended with ${name ?? `status ${status}`}`));
        const ready = async () => {
            if (failed !== undefined) {
                throw new Error(
                    `sshd did not start: ${failed}\n${readFileSync(logFile, "utf8").slice(-1000)}`,
                );
            }
            return answers({ host: "127.0.0.1", port });
        };
        await until(ready, { timeoutMs: 10_000, what: "starting sshd" });
    };

    let port = options.port ?? 0;
    for (let attempt = 1; ; attempt++) {
        if (options.port === undefined) port = await freePort();
        try {
            await start(port);
            break;
        } catch (error) {
            if (options.port !== undefined || attempt === attempts) throw error;
        }
    }

    const server = {
        directory,
        address: "127.0.0.1",
        port,
        user: userInfo().username,
        /** Fingerprint, `SHA256:…`. */
        hostKey: hostKey.fingerprint,
        /** As in known_hosts, after the host's name. */
        hostPublicKey: hostKey.publicKey,
        privateKeyFile,
        /** What it logged so far. */
        log: () => readFileSync(logFile, "utf8"),
        /** Ends it with all its sessions, as a power cut would. */
        kill: () => killMarked(mark),
        /** Starts it again after `kill`, on the same port. */
        restart: () => start(port),
        async stop() {
            forget();
            await killMarked(mark);
            if (ownDirectory) removeDirectory(directory);
        },
    };
    const forget = atEnd(() => server.stop());
    return server;
}
