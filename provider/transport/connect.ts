/** Opens one authenticated ssh2 connection to a host, through its jump hosts, verifying every one of them. */
import { readFile } from "node:fs/promises";
import { connect as tcpConnect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import { Client, type AuthenticationType, type ConnectConfig } from "ssh2";
import { BlockhostError, hasCode } from "../errors";
import { authError, prepareAuth, type Attempts } from "./auth";
import { HostKeyCheck } from "./hostKey";
import type { ResolvedHost } from "./sshConfig";

/** A connection with everything below it. */
export interface Connection {
    readonly client: Client;
    /** The one real socket, to the host itself or to the outermost jump host. */
    readonly socket: Socket;
    /** Resolves when the connection is gone. */
    readonly closed: Promise<void>;
    /** Ends the connection and those to the jump hosts. */
    destroy(): void;
}

/** Attempts at most, while the connection time lasts. */
const TRIES = 5;

/**
 * @param timeout milliseconds for all of it: attempts, jump hosts and logging in
 * @throws BlockhostError `auth`, `host-key` (never tried again), `unreachable`
 */
export async function connect(host: ResolvedHost, timeout: number): Promise<Connection> {
    const until = performance.now() + timeout;
    const policy = retry(
        handleWhen((error) => hasCode(error, "unreachable") && !isSilent(error)),
        { maxAttempts: TRIES - 1, backoff: new ExponentialBackoff({ initialDelay: 100, maxDelay: 2_000 }) },
    );
    let reason: BlockhostError | undefined;
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), timeout);
    try {
        return await policy.execute(async () => {
            try {
                return await connectChain(host, until);
            } catch (error) {
                // The last attempt is often only cut short by the end of the time: what failed before says more.
                if (isSilent(error) && reason !== undefined) throw reason;
                if (error instanceof BlockhostError) reason = error;
                throw error;
            }
        }, giveUp.signal);
    } finally {
        clearTimeout(timer);
    }
}

async function connectChain(host: ResolvedHost, until: number): Promise<Connection> {
    const chain: Connection[] = [];
    try {
        for (const hop of [...host.jump, host]) chain.push(await connectHop(hop, chain.at(-1), until));
    } catch (error) {
        chain.at(-1)?.destroy();
        throw error;
    }
    const last = chain.at(-1);
    if (last === undefined) throw new Error("a chain has at least one hop");
    return last;
}

async function connectHop(
    host: ResolvedHost,
    through: Connection | undefined,
    until: number,
): Promise<Connection> {
    const knownHosts = (
        await Promise.all(host.knownHostsFiles.map((file) => readFile(file, "utf8").catch(() => "")))
    ).join("\n");
    const check = new HostKeyCheck(host, knownHosts);
    const auth = await prepareAuth(host);
    let first: unknown;
    for (;;) {
        const socket = await openSocket(host, through, until);
        check.error = undefined;
        try {
            return await handshake(host, socket, through, check, auth, until);
        } catch (error) {
            socket.destroy();
            // The pinned fingerprint may be of another of the server's keys: ask for those, and if none is it, say
            // the first refusal.
            if (hasCode(error, "auth")) throw error;
            if (!hasCode(error, "host-key") || !check.mayRetry) throw first ?? error;
            first ??= error;
        }
    }
}

/** Marks a host that took the connection and said nothing: trying again would only wait once more. */
class Silent extends Error {}

function isSilent(error: unknown): boolean {
    return error instanceof BlockhostError && error.details.cause instanceof Silent;
}

function left(until: number): number {
    return Math.max(1, until - performance.now());
}

function openSocket(host: ResolvedHost, through: Connection | undefined, until: number): Promise<Duplex> {
    const where = `${host.host}:${String(host.port)}`;
    return new Promise((resolve, reject) => {
        const fail = (error: Error): void => {
            clearTimeout(timer);
            reject(
                new BlockhostError("unreachable", `${where} cannot be reached: ${error.message}`, {
                    host: host.name,
                    hint: "see that the host is up, that sshd listens there, and that no firewall is between",
                    cause: error,
                }),
            );
        };
        const timer = setTimeout(() => {
            socket?.destroy();
            fail(new Silent("no answer within the time for connecting"));
        }, left(until));
        const opened = (stream: Duplex): void => {
            clearTimeout(timer);
            resolve(stream);
        };
        const socket =
            through === undefined
                ? tcpConnect({ host: host.host, port: host.port, noDelay: true })
                : undefined;
        socket?.once("error", fail).once("connect", () => opened(socket.off("error", fail)));
        through?.client.forwardOut("127.0.0.1", 0, host.host, host.port, (error, channel) => {
            if (error === undefined) opened(channel);
            else fail(new Error(`through the jump host: ${error.message}`));
        });
    });
}

function handshake(
    host: ResolvedHost,
    socket: Duplex,
    through: Connection | undefined,
    check: HostKeyCheck,
    auth: Attempts,
    until: number,
): Promise<Connection> {
    const client = new Client();
    const tried: string[] = [];
    return new Promise<Connection>((resolve, reject) => {
        let settled = false;
        const timer = setTimeout(
            () => fail(new Silent("it took the connection and did not finish logging in")),
            left(until),
        );
        const fail = (error: Error & { level?: string }): void => {
            if (settled) return;
            settled = true;
            clearTimeout(timer);
            client.destroy();
            reject(explain(error, host, check, tried, auth));
        };
        const closed = new Promise<void>((gone) => {
            client.once("close", () => {
                gone();
                through?.destroy();
                fail(new Error("it closed the connection"));
            });
        });
        // Stays for good: an error after the login is followed by `close`, which is what counts then.
        client.on("error", fail);
        client.once("ready", () => {
            if (settled) return;
            settled = true;
            clearTimeout(timer);
            resolve({
                client,
                socket: through?.socket ?? (socket as Socket),
                closed,
                destroy: () => {
                    client.destroy();
                    through?.destroy();
                },
            });
        });
        client.connect({
            sock: socket,
            username: host.user,
            // ssh2's own timer would throw away which of the hops was silent.
            readyTimeout: 0,
            keepaliveInterval: 0,
            algorithms: { serverHostKey: check.algorithms() },
            hostVerifier: (key: Buffer) => check.verify(key),
            authHandler: offer(host, auth, tried) as NonNullable<ConnectConfig["authHandler"]>,
        });
    });
}

/** Hands ssh2 one attempt after the other, those that the server takes at all, and notes them for the error. */
function offer(host: ResolvedHost, auth: Attempts, tried: string[]) {
    const queue = [...auth.attempts];
    let asked = false;
    return (
        methodsLeft: AuthenticationType[] | null,
        _partial: boolean | null,
        next: (method: unknown) => void,
    ): void => {
        if (!asked) {
            // Like OpenSSH: `none` first, which tells the methods that the server takes.
            asked = true;
            next({ type: "none", username: host.user });
            return;
        }
        for (let attempt = queue.shift(); attempt !== undefined; attempt = queue.shift()) {
            const method = attempt.method.type === "agent" ? "publickey" : attempt.method.type;
            if (methodsLeft !== null && !methodsLeft.includes(method)) continue;
            tried.push(attempt.label);
            next(attempt.method);
            return;
        }
        next(false);
    };
}

function explain(
    error: Error & { level?: string },
    host: ResolvedHost,
    check: HostKeyCheck,
    tried: readonly string[],
    auth: Attempts,
): BlockhostError {
    const where = `${host.host}:${String(host.port)}`;
    if (check.error !== undefined) return check.error;
    if (error.level === "client-authentication") return authError(host, tried, auth.notes);
    // The server hangs up on too many attempts (MaxAuthTries); that is no network failure.
    if (tried.length > 0 && /disconnect|too many|closed/i.test(error.message)) {
        return authError(host, tried, [...auth.notes, `the host then said: ${error.message}`]);
    }
    const silent = error instanceof Silent;
    return new BlockhostError("unreachable", `no SSH connection to ${where}: ${error.message}`, {
        host: host.name,
        hint: silent
            ? "see whether it is an SSH server that answers there, and that the host is not overloaded"
            : "see that it is an SSH server that answers there; its log (`journalctl -u ssh`) says why it refuses",
        cause: error,
    });
}
