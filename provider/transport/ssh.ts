/** A host over SSH: one kept connection, a few kept shells on it. */
import type { ClientChannel } from "ssh2";
import { BlockhostError, hasCode, toBlockhostError } from "../errors";
import { shellCommand } from "./bootstrap";
import { connect, type Connection } from "./connect";
import { keepAlive, type KeepAlive } from "./keepAlive";
import { DEFAULT_CONNECT_TIMEOUT, DEFAULT_SHELLS, MOST_SHELLS } from "./limits";
import { ChannelRefused, ShellPool } from "./pool";
import { explainRefusal } from "./refusal";
import { checkScript } from "./script";
import { Shell, ShellRefused, type ChannelEnd, type ShellChannel } from "./shell";
import { resolveHost } from "./sshConfig";
import type { RunOptions, RunResult, Transport, TransportConfig, TransportCounters } from "./types";

export class SshTransport implements Transport {
    readonly name: string;
    readonly counters: TransportCounters = {
        connections: 0,
        shells: 0,
        runs: 0,
        bytesSent: 0,
        bytesReceived: 0,
    };
    readonly #config: TransportConfig;
    readonly #timeout: number;
    readonly #pool: ShellPool;
    #connecting: Promise<Connection> | undefined;
    #connection: Connection | undefined;
    #keepAlive: KeepAlive | undefined;
    #user = "";
    #busy = false;

    constructor(config: TransportConfig) {
        this.name = config.name;
        this.#config = config;
        this.#timeout = config.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT;
        this.#pool = new ShellPool({
            limit: Math.max(1, Math.min(config.maxSessions ?? DEFAULT_SHELLS, MOST_SHELLS)),
            open: (wanted) => this.#openShell(wanted),
            busy: (busy) => {
                this.#busy = busy;
                this.#hold();
            },
        });
    }

    async run(script: string, options: RunOptions = {}): Promise<RunResult> {
        try {
            checkScript(script);
            return await this.#pool.run(script, options);
        } catch (error) {
            // A run that had to be ended is often the first sign of a connection that is dead.
            if (hasCode(error, "timeout")) this.#keepAlive?.probe();
            throw toBlockhostError(error, { host: this.name, doing: options.doing });
        }
    }

    async close(): Promise<void> {
        const connecting = this.#connecting;
        this.#pool.close();
        this.#connecting = undefined;
        const connection = await connecting?.catch(() => undefined);
        connection?.client.end();
        if (connection === undefined) return;
        const patience = setTimeout(() => connection.destroy(), 1_000);
        connection.socket.ref();
        await connection.closed;
        clearTimeout(patience);
    }

    /** The one connection, opened when it is first needed and again after it was lost. */
    #connect(): Promise<Connection> {
        if (this.#connecting !== undefined) return this.#connecting;
        const connecting = this.#open();
        this.#connecting = connecting;
        const forget = (): void => {
            if (this.#connecting === connecting) this.#connecting = undefined;
        };
        connecting.then((connection) => {
            void connection.closed.then(forget);
        }, forget);
        return connecting;
    }

    async #open(): Promise<Connection> {
        const host = await resolveHost(this.#config);
        this.#user = host.user;
        const connection = await connect(host, this.#timeout);
        this.counters.connections++;
        this.#connection = connection;
        this.#pool.reset();
        this.#keepAlive = keepAlive(connection);
        this.#hold();
        void connection.closed.then(() => {
            if (this.#connection === connection) this.#connection = undefined;
        });
        return connection;
    }

    /** A connection without a run does not keep this process alive. */
    #hold(): void {
        if (this.#busy) this.#connection?.socket.ref();
        else this.#connection?.socket.unref();
    }

    async #openShell(wanted: () => boolean): Promise<Shell> {
        for (let attempt = 1; ; attempt++) {
            const connection = await this.#connect();
            try {
                const channel = await openChannel(
                    connection,
                    shellCommand(this.#config).join(" "),
                    this.#timeout,
                );
                return await Shell.open(channel, this.counters, this.#timeout);
            } catch (error) {
                if (error instanceof ChannelRefused) throw error;
                // Nothing has been sent yet, so a connection that turns out to be dead is no reason to fail.
                if (attempt < 3 && wanted() && (await isGone(connection))) continue;
                if (error instanceof ShellRefused) throw explainRefusal(error, this.#config, this.#user);
                throw new BlockhostError(
                    "unreachable",
                    `no channel on the connection: ${(error as Error).message}`,
                    {
                        cause: error,
                        hint: "nothing was sent; run the same command again",
                    },
                );
            }
        }
    }
}

/** Whether the connection has ended, or does so in the moment in which its channels fail. */
async function isGone(connection: Connection): Promise<boolean> {
    return Promise.race([
        connection.closed.then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50)),
    ]);
}

function openChannel(connection: Connection, command: string, timeout: number): Promise<ShellChannel> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
            reject(new Error("the host did not open it in time"));
            connection.destroy();
        }, timeout);
        connection.client.exec(command, (error, channel) => {
            clearTimeout(timer);
            if (error === undefined) resolve(asShellChannel(channel));
            else if ("reason" in error) reject(new ChannelRefused(error.message));
            else reject(error);
        });
    });
}

function asShellChannel(channel: ClientChannel): ShellChannel {
    const end: ChannelEnd = {};
    channel.on("exit", (code: number | null, signal?: string) => {
        end.exitStatus = code ?? undefined;
        end.signal = signal;
    });
    const closed = new Promise<ChannelEnd>((resolve) => channel.on("close", () => resolve(end)));
    return {
        stdin: channel,
        stdout: channel,
        stderr: channel.stderr,
        closed,
        destroy: () => channel.close(),
    };
}
