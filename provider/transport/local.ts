/** This machine itself as the storage host: the same kept shell, as a child process started by execa. */
import { userInfo } from "node:os";
import type { Readable, Writable } from "node:stream";
import { toBlockhostError } from "../errors";
import { shellCommand } from "./bootstrap";
import { DEFAULT_CONNECT_TIMEOUT, DEFAULT_SHELLS, MOST_SHELLS } from "./limits";
import { ShellPool } from "./pool";
import { explainRefusal } from "./refusal";
import { checkScript } from "./script";
import { Shell, ShellRefused, type ChannelEnd, type ShellChannel } from "./shell";
import type { RunOptions, RunResult, Transport, TransportConfig, TransportCounters } from "./types";

interface LocalChannel extends ShellChannel {
    ref(): void;
    unref(): void;
}

export class LocalTransport implements Transport {
    readonly name: string;
    readonly counters: TransportCounters = {
        connections: 0,
        shells: 0,
        runs: 0,
        bytesSent: 0,
        bytesReceived: 0,
    };
    readonly #config: TransportConfig;
    readonly #pool: ShellPool;
    readonly #channels = new Set<LocalChannel>();
    #busy = false;

    constructor(config: TransportConfig) {
        this.name = config.name;
        this.#config = config;
        this.#pool = new ShellPool({
            limit: Math.min(config.maxSessions ?? DEFAULT_SHELLS, MOST_SHELLS),
            open: () => this.#open(),
            busy: (busy) => {
                this.#busy = busy;
                for (const channel of this.#channels) this.#hold(channel);
            },
        });
    }

    async run(script: string, options: RunOptions = {}): Promise<RunResult> {
        try {
            checkScript(script);
            return await this.#pool.run(script, options);
        } catch (error) {
            throw toBlockhostError(error, { host: this.name, doing: options.doing });
        }
    }

    async close(): Promise<void> {
        const channels = [...this.#channels];
        this.#pool.close();
        // Whoever waits for this must not see the process end first.
        for (const channel of channels) channel.ref();
        await Promise.all(channels.map((channel) => channel.closed));
    }

    async #open(): Promise<Shell> {
        const channel = await spawnShell(this.#config);
        this.#channels.add(channel);
        void channel.closed.then(() => this.#channels.delete(channel));
        this.#hold(channel);
        try {
            const timeout = this.#config.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT;
            return await Shell.open(channel, this.counters, timeout);
        } catch (error) {
            if (!(error instanceof ShellRefused)) throw error;
            throw explainRefusal(error, this.#config, userInfo().username);
        }
    }

    /** A shell without a run does not keep this process alive; it ends when its standard input does. */
    #hold(channel: LocalChannel): void {
        if (this.#busy) channel.ref();
        else channel.unref();
    }
}

async function spawnShell(config: TransportConfig): Promise<LocalChannel> {
    const { execa } = await import("execa");
    const [file = "sh", ...args] = shellCommand(config);
    const child = execa(file, args, {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
        buffer: false,
        reject: false,
        // The end of its standard input ends the shell, and lets it end what it started; a signal would not.
        cleanup: false,
        cwd: "/",
    });
    const { stdin, stdout, stderr } = child as { stdin: Writable; stdout: Readable; stderr: Readable };
    const closed = new Promise<ChannelEnd>((resolve) => {
        child.on("close", (code, signal) =>
            resolve({ exitStatus: code ?? undefined, signal: signal ?? undefined }),
        );
        child.on("error", (error) => resolve({ exitStatus: 127, error: error.message }));
    });
    child.catch(() => undefined);
    const handles = [child, stdin, stdout, stderr] as unknown as { ref?: () => void; unref?: () => void }[];
    return {
        stdin,
        stdout,
        stderr,
        closed,
        destroy: () => {
            // The shell sees the end of its input and ends its session; what stays open is not waited for.
            stdin.destroy();
            stdout.destroy();
            stderr.destroy();
        },
        ref: () => handles.forEach((handle) => handle.ref?.()),
        unref: () => handles.forEach((handle) => handle.unref?.()),
    };
}
