// @ts-check
import { timingSafeEqual } from "node:crypto";
import { createServer } from "node:net";
import ssh2 from "ssh2";
import { startCommand } from "./command-session.mjs";

/**
 * @typedef {object} SshServerOptions
 * @property {string} user the only one that is let in
 * @property {string} hostKey private key
 * @property {string} authorizedKey public key
 * @property {string | undefined} [password] lets the user in, too
 * @property {number} [port] 0: a free one
 * @property {number} [maxSessions] open at once in a connection; as sshd's MaxSessions, default 10
 * @property {NodeJS.ProcessEnv} environment of commands
 * @property {string} cwd of commands
 *
 * @typedef {"yes" | "refused" | "silent"} Reachable `silent`: connections are made, and kept, but nothing answers
 */

/** @param {SshServerOptions} options */
export async function startSshServer(options) {
    const authorized = parsePublicKey(options.authorizedKey);
    const counters = {
        /** TCP connections accepted. */
        connections: 0,
        /** Those that logged in. */
        logins: 0,
        /** Channels opened. */
        sessions: 0,
        /** Commands started. */
        commands: 0,
        /** Sessions refused because of maxSessions. */
        refusedSessions: 0,
    };
    /** @type {Set<import("node:net").Socket>} */
    const sockets = new Set();
    /** @type {Map<number, import("./command-session.mjs").CommandSession>} */
    const running = new Map();
    /** @type {import("./command-session.mjs").Tap | undefined} */
    let tap;
    /** @type {Reachable} */
    let reachable = "yes";
    let protocol = createProtocol(options.hostKey);
    let port = options.port ?? 0;

    // The TCP server is ours: ssh2's own sets no TCP_NODELAY, and cannot change its key while it runs.
    const listener = createServer({ noDelay: true }, (socket) => {
        counters.connections++;
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        if (reachable === "silent") socket.pause();
        else protocol.injectSocket(socket);
    });

    /** @param {string} hostKey */
    function createProtocol(hostKey) {
        const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
            client.on("error", () => {});
            client.on("authentication", authenticate);
            client.on("ready", () => {
                counters.logins++;
                serveSessions(client);
            });
        });
        server.on("error", () => {});
        return server;
    }

    /** @param {import("ssh2").AuthContext} attempt */
    function authenticate(attempt) {
        const known = attempt.username === options.user;
        if (attempt.method === "publickey") {
            const sameKey = known && equal(attempt.key.data, authorized.getPublicSSH());
            const asked = !attempt.signature; // whether the key would do; the signature comes next
            const proven =
                attempt.signature &&
                attempt.blob &&
                authorized.verify(attempt.blob, attempt.signature, attempt.hashAlgo) === true;
            if (sameKey && (asked || proven)) return attempt.accept();
        }
        if (attempt.method === "password" && known && options.password !== undefined) {
            if (equal(Buffer.from(attempt.password), Buffer.from(options.password))) return attempt.accept();
        }
        attempt.reject(options.password === undefined ? ["publickey"] : ["publickey", "password"]);
    }

    /** @param {import("ssh2").Connection} client */
    function serveSessions(client) {
        const socket = /** @type {import("node:net").Socket} */ (/** @type {any} */ (client)._sock);
        let open = 0;
        client.on("session", (accept, reject) => {
            if (open >= (options.maxSessions ?? 10)) {
                counters.refusedSessions++;
                reject();
                return;
            }
            open++;
            counters.sessions++;
            const session = accept();
            session.on("close", () => open--);
            /** @type {ReturnType<typeof startCommand> | undefined} */
            let command;
            /** @param {string} text @param {() => import("ssh2").ServerChannel} acceptCommand */
            const start = (text, acceptCommand) => {
                counters.commands++;
                command = startCommand({
                    id: counters.commands,
                    command: text,
                    channel: acceptCommand(),
                    environment: options.environment,
                    cwd: options.cwd,
                    tap: () => tap,
                    cut: () => socket.resetAndDestroy(),
                });
                const { pid } = command.session;
                running.set(pid, command.session);
                command.child.on("exit", () => running.delete(pid));
            };
            session.on("exec", (acceptExec, _reject, info) => start(info.command, acceptExec));
            session.on("shell", (acceptShell) => start("exec /bin/sh", acceptShell));
            session.on("signal", (acceptSignal, _reject, info) => {
                command?.signal(info.name);
                acceptSignal?.();
            });
        });
    }

    const listen = () =>
        /** @type {Promise<void>} */ (
            new Promise((resolve, reject) => {
                listener.once("error", reject);
                listener.listen(port, "127.0.0.1", () => {
                    listener.off("error", reject);
                    resolve();
                });
            })
        );
    await listen();
    const address = listener.address();
    if (typeof address === "object" && address) ({ port } = address);

    const server = {
        port,
        counters,
        /** Sessions whose shell still runs. */
        sessions: () => [...running.values()],
        /** Resets all connections; says how many there were. */
        cutConnections() {
            const cut = sockets.size;
            for (const socket of sockets) socket.resetAndDestroy();
            return cut;
        },
        /**
         * Whether new connections get through. `silent` also stops reading from those that are there, which are then
         * to be cut: they do not come back to life.
         *
         * @param {Reachable} whether
         */
        async setReachable(whether) {
            if (whether === reachable) return;
            const was = reachable;
            reachable = whether;
            if (whether === "refused") listener.close();
            else if (was === "refused") await listen();
            if (whether === "silent") for (const socket of sockets) socket.removeAllListeners("data").pause();
        },
        /** Connections from now on meet another host key. @param {string} hostKey */
        setHostKey(hostKey) {
            protocol = createProtocol(hostKey);
        },
        /** @param {import("./command-session.mjs").Tap | undefined} next */
        setTap(next) {
            tap = next;
        },
        async close() {
            const closed = new Promise((done) => listener.close(done)); // also when it does not listen
            server.cutConnections();
            await closed;
        },
    };
    return server;
}

/** @param {string} publicKey */
function parsePublicKey(publicKey) {
    const parsed = ssh2.utils.parseKey(publicKey);
    if (parsed instanceof Error) throw parsed;
    return parsed;
}

/** @param {Buffer} one @param {Buffer} other */
function equal(one, other) {
    return one.length === other.length && timingSafeEqual(one, other);
}
