/**
 * One kept shell over one channel: sends runs, reads their frames, ends them. The same for ssh and for this machine;
 * what runs on the host's side is in `bootstrap.ts`, the framing in `framing.ts`.
 */
import type { Readable, Writable } from "node:stream";
import { BlockhostError } from "../errors";
import { bootstrapText } from "./bootstrap";
import { FrameReader, killText, newNonce, runText, type Handover } from "./framing";
import { DEFAULT_RUN_TIMEOUT, HOST_GRACE, KILL_GRACE, OUTPUT_LIMIT } from "./limits";
import { RunOutput } from "./output";
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

type Stop = "cancelled" | "timeout" | "output";

interface Current {
    readonly out: FrameReader;
    readonly err: FrameReader;
    lost(): void;
}

export class Shell {
    readonly #channel: ShellChannel;
    readonly #counters: TransportCounters;
    readonly #handover: Handover;
    #current: Current | undefined;
    #dead = false;

    private constructor(channel: ShellChannel, counters: TransportCounters, handover: Handover) {
        this.#channel = channel;
        this.#counters = counters;
        this.#handover = handover;
        channel.stdout.on("data", (chunk: Buffer) => this.#current?.out.push(chunk));
        channel.stderr.on("data", (chunk: Buffer) => this.#current?.err.push(chunk));
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
        this.#current?.lost();
    }

    /** Runs one script. One at a time: the pool sees to it. */
    async run(script: string, options: RunOptions): Promise<RunResult> {
        if (!this.usable) throw new Error("the shell is not free");
        if (options.signal?.aborted === true) throw cancelledBefore();
        const timeout = options.timeout ?? DEFAULT_RUN_TIMEOUT;
        const nonce = newNonce();
        const started = performance.now();
        return new Promise<RunResult>((resolve, reject) => {
            const output = new RunOutput(options.onLine);
            let stopped: Stop | undefined;
            let grace: NodeJS.Timeout | undefined;
            let status: number | undefined;
            let ends = 0;
            const settle = (error?: BlockhostError): void => {
                this.#current = undefined;
                clearTimeout(deadline);
                clearTimeout(grace);
                options.signal?.removeEventListener("abort", onAbort);
                if (error !== undefined) {
                    // What the shell's state is now is not known for certain: never use it again.
                    this.#dead = true;
                    this.#channel.destroy();
                    reject(error);
                    return;
                }
                resolve({
                    exitStatus: status ?? 255,
                    stdout: output.text("stdout"),
                    stderr: output.text("stderr"),
                    duration: performance.now() - started,
                });
            };
            const stop = (why: Stop): void => {
                if (stopped !== undefined) return;
                stopped = why;
                send(this.#channel, this.#counters, killText(nonce));
                grace = setTimeout(() => settle(stopError(why, timeout, "unknown", output)), KILL_GRACE);
            };
            const frame = (kind: string, rest: string): void => {
                if (kind === "K") {
                    const left = rest === "0" ? "ended" : "unkillable";
                    settle(stopError(stopped ?? "cancelled", timeout, left, output));
                }
                if (kind !== "E") return;
                if (rest !== "") status = Number(rest);
                // A run that was stopped waits for K: the kill is on its way and will take the shell.
                if (++ends === 2 && stopped === undefined) settle();
            };
            const take = (stream: "stdout" | "stderr") => (chunk: Buffer) => {
                if (stopped === undefined && !output.add(stream, chunk)) stop("output");
            };
            const onAbort = (): void => stop("cancelled");
            const deadline = setTimeout(() => stop("timeout"), timeout);
            this.#current = {
                out: new FrameReader(nonce, { data: take("stdout"), frame }),
                err: new FrameReader(nonce, { data: take("stderr"), frame }),
                lost: () =>
                    settle(
                        stopped === undefined
                            ? lostError(output)
                            : stopError(stopped, timeout, "unknown", output),
                    ),
            };
            options.signal?.addEventListener("abort", onAbort, { once: true });
            this.#counters.runs++;
            const seconds = Math.ceil(timeout / 1000) + HOST_GRACE;
            send(this.#channel, this.#counters, runText(script, nonce, seconds, this.#handover));
        });
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

function lostError(output: RunOutput): BlockhostError {
    return new BlockhostError("unreachable", "the connection was lost while the script was running", {
        stderr: output.tail(),
        hint:
            "what the script did before is unknown; the host ends what is left of it, and its state is read " +
            "again before anything else is done. Run the same command again.",
    });
}

function stopError(
    why: Stop,
    timeout: number,
    host: "ended" | "unkillable" | "unknown",
    output: RunOutput,
): BlockhostError {
    const state = {
        ended: "everything it started on the host has been ended",
        unkillable: "a process of it is stuck in the kernel and could not be ended (see `ps` for state D)",
        unknown: `the host did not confirm that it ended; its own watchdog ends it at the deadline`,
    }[host];
    const details = {
        stderr: output.tail(),
        hint: `${state}; the host's state is read again before the next change`,
    };
    if (why === "cancelled") return new BlockhostError("cancelled", "the operation was cancelled", details);
    if (why === "timeout") {
        const seconds = String(Math.round(timeout / 100) / 10);
        return new BlockhostError("timeout", `the script took longer than ${seconds} s`, details);
    }
    const limit = String(OUTPUT_LIMIT / 1024 / 1024);
    return new BlockhostError("command-failed", `the script wrote more than ${limit} MiB of output`, details);
}

function ignore(): void {
    // Errors of a stream also end its channel, and `closed` is what we go by.
}
