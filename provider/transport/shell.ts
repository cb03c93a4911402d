/**
 * One kept shell over one channel: starts it, and runs one script after the other. The same for ssh and for this
 * machine; what runs on the host's side is in `bootstrap.ts`, a run under way in `activeRun.ts`.
 */
import type { Readable, Writable } from "node:stream";
import { BlockhostError } from "../errors";
import { ActiveRun } from "./activeRun";
import { bootstrapText } from "./bootstrap";
import { FrameReader, newNonce, type Handover } from "./framing";
import type { RunOptions, RunResult, TransportCounters } from "./types";

/** How a channel's process ended, as far as the other side told. */
export interface ChannelEnd {
    exitStatus?: number | undefined;
    signal?: string | undefined;
    /** Why the process could not be started at all. */
    error?: string | undefined;
}

/** A process on the host that reads our text: an ssh channel, or a child process of this machine. */
export interface ShellChannel {
    readonly stdin: Writable;
    readonly stdout: Readable;
    readonly stderr: Readable;
    /** Resolves when the channel is gone, after the last byte of output; never rejects. */
    readonly closed: Promise<ChannelEnd>;
    /** Drops the channel without waiting for anything. */
    destroy(): void;
}

/** What a channel said that ended before a shell was there; the opener knows what it means. */
export class ShellRefused extends Error {
    constructor(
        readonly end: ChannelEnd,
        readonly stderr: string,
        readonly timedOut: boolean,
    ) {
        super(timedOut ? "the shell did not answer" : "the shell ended before it answered");
    }
}

export class Shell {
    readonly #channel: ShellChannel;
    readonly #counters: TransportCounters;
    readonly #handover: Handover;
    #current: ActiveRun | undefined;
    #dead = false;

    private constructor(channel: ShellChannel, counters: TransportCounters, handover: Handover) {
        this.#channel = channel;
        this.#counters = counters;
        this.#handover = handover;
        channel.stdout.on("data", (chunk: Buffer) => this.#current?.stdout(chunk));
        channel.stderr.on("data", (chunk: Buffer) => this.#current?.stderr(chunk));
        void channel.closed.then(() => {
            this.#dead = true;
            this.#current?.lost();
        });
    }

    /**
     * Starts the shell's program on a fresh channel and waits until it answers.
     *
     * @param timeout milliseconds
     * @throws ShellRefused when the channel ends first or the time is over
     */
    static async open(channel: ShellChannel, counters: TransportCounters, timeout: number): Promise<Shell> {
        counters.shells++;
        for (const stream of [channel.stdin, channel.stdout, channel.stderr]) stream.on("error", ignore);
        const count = (chunk: Buffer): void => void (counters.bytesReceived += chunk.length);
        channel.stdout.on("data", count);
        channel.stderr.on("data", count);
        const nonce = newNonce();
        const handover = await new Promise<Handover>((resolve, reject) => {
            const said: Buffer[] = [];
            const refuse = (end: ChannelEnd, timedOut: boolean): void => {
                finish();
                channel.destroy();
                const text = Buffer.concat(said).toString() + (end.error ?? "");
                reject(new ShellRefused(end, text.slice(-4000), timedOut));
            };
            const frame = (kind: string, rest: string): void => {
                if (kind !== "H") return;
                if (rest === "no-session") {
                    refuse({}, false);
                    return;
                }
                finish();
                resolve(rest === "bytes" ? "bytes" : "word");
            };
            const reader = new FrameReader(nonce, { data: ignore, frame });
            const onOut = (chunk: Buffer): void => reader.push(chunk);
            const onErr = (chunk: Buffer): void => void (said.length < 64 && said.push(chunk));
            const timer = setTimeout(() => refuse({}, true), timeout);
            const finish = (): void => {
                clearTimeout(timer);
                channel.stdout.off("data", onOut);
                channel.stderr.off("data", onErr);
            };
            channel.stdout.on("data", onOut);
            channel.stderr.on("data", onErr);
            void channel.closed.then((end) => refuse(end, false));
            send(channel, counters, bootstrapText(nonce));
        });
        return new Shell(channel, counters, handover);
    }

    /** False once the shell can take no further run. */
    get usable(): boolean {
        return !this.#dead && this.#current === undefined;
    }

    get dead(): boolean {
        return this.#dead;
    }

    /** Resolves when the shell can take no further run; for a pool that wants to forget it. */
    get closed(): Promise<unknown> {
        return this.#channel.closed;
    }

    /** Ends the shell, and with it what runs in it. */
    close(): void {
        this.#dead = true;
        this.#channel.stdin.end();
        this.#channel.destroy();
        this.#current?.lost(true);
    }

    /** Runs one script. One at a time: the pool sees to it. */
    async run(script: string, options: RunOptions): Promise<RunResult> {
        if (!this.usable) throw new Error("the shell is not free");
        if (options.signal?.aborted === true) throw cancelledBefore();
        this.#counters.runs++;
        const run = new ActiveRun(script, options, this.#handover, (text) =>
            send(this.#channel, this.#counters, text),
        );
        this.#current = run;
        try {
            return await run.result;
        } catch (error) {
            // What the shell's state is now is not known for certain: never use it again.
            this.#dead = true;
            this.#channel.destroy();
            throw error;
        } finally {
            this.#current = undefined;
        }
    }
}

function send(channel: ShellChannel, counters: TransportCounters, text: string): void {
    if (channel.stdin.destroyed || channel.stdin.writableEnded) return;
    const bytes = Buffer.from(text);
    counters.bytesSent += bytes.length;
    channel.stdin.write(bytes);
}

/** The error of a run that was cancelled while it waited. */
export function cancelledBefore(): BlockhostError {
    return new BlockhostError(
        "cancelled",
        "the operation was cancelled before anything was sent to the host",
    );
}

function ignore(): void {
    // Errors of a stream also end its channel, and `closed` is what we go by.
}
