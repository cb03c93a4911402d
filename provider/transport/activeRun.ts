/** One run under way on a kept shell: from its text being sent to its last frame, or to the error that ends it. */
import { BlockhostError } from "../errors";
import { FrameReader, killText, newNonce, runText, type FrameKind, type Handover } from "./framing";
import { DEFAULT_RUN_TIMEOUT, HOST_GRACE, KILL_GRACE, LONGEST_TIMER, OUTPUT_LIMIT } from "./limits";
import { RunOutput } from "./output";
import type { RunOptions, RunResult } from "./types";

/** Why a run is ended from here. */
type Stop = "cancelled" | "timeout" | "output";

/** What is known of the run's processes when it was ended: dead, stuck in the kernel, or not known. */
type HostState = "ended" | "stuck" | "unknown";

export class ActiveRun {
    /** Rejects with a {@link BlockhostError} only; the shell must not be used after that. */
    readonly result: Promise<RunResult>;
    readonly #nonce = newNonce();
    readonly #out: FrameReader;
    readonly #err: FrameReader;
    readonly #output: RunOutput;
    readonly #send: (text: string) => void;
    readonly #signal: AbortSignal | undefined;
    readonly #onAbort = (): void => this.#stop("cancelled");
    readonly #timeout: number;
    readonly #deadline: NodeJS.Timeout;
    readonly #started = performance.now();
    #grace: NodeJS.Timeout | undefined;
    #stopped: Stop | undefined;
    #exitStatus = 255;
    #ends = 0;
    #resolve!: (result: RunResult) => void;
    #reject!: (error: BlockhostError) => void;

    constructor(script: string, options: RunOptions, handover: Handover, send: (text: string) => void) {
        this.#send = send;
        this.#signal = options.signal;
        this.#timeout = Math.min(options.timeout ?? DEFAULT_RUN_TIMEOUT, LONGEST_TIMER);
        this.#output = new RunOutput(options.onLine);
        this.result = new Promise((resolve, reject) => {
            this.#resolve = resolve;
            this.#reject = reject;
        });
        const frame = (kind: FrameKind, rest: string): void => this.#frame(kind, rest);
        this.#out = new FrameReader(this.#nonce, { frame, data: (chunk) => this.#take("stdout", chunk) });
        this.#err = new FrameReader(this.#nonce, { frame, data: (chunk) => this.#take("stderr", chunk) });
        this.#deadline = setTimeout(() => this.#stop("timeout"), this.#timeout);
        this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
        const seconds = Math.ceil(this.#timeout / 1000) + HOST_GRACE;
        send(runText(script, this.#nonce, seconds, handover));
    }

    stdout(chunk: Buffer): void {
        this.#out.push(chunk);
    }

    stderr(chunk: Buffer): void {
        this.#err.push(chunk);
    }

    /** The channel is gone, or, with `closing`, is being given up by us. */
    lost(closing = false): void {
        const why = this.#stopped ?? (closing ? "cancelled" : undefined);
        this.#fail(why === undefined ? lostError(this.#output) : this.#stopError(why, "unknown"));
    }

    #take(stream: "stdout" | "stderr", chunk: Buffer): void {
        if (this.#stopped === undefined && !this.#output.add(stream, chunk)) this.#stop("output");
    }

    #frame(kind: FrameKind, rest: string): void {
        if (kind === "K")
            this.#fail(this.#stopError(this.#stopped ?? "cancelled", rest === "0" ? "ended" : "stuck"));
        if (kind !== "E") return;
        if (rest !== "") this.#exitStatus = Number(rest);
        // A run that was stopped waits for K: the kill is on its way and will take the shell.
        if (++this.#ends === 2 && this.#stopped === undefined) this.#succeed();
    }

    /** Asks the host to kill the run's processes, and does not wait for the answer for long. */
    #stop(why: Stop): void {
        if (this.#stopped !== undefined) return;
        this.#stopped = why;
        this.#send(killText(this.#nonce));
        this.#grace = setTimeout(() => this.#fail(this.#stopError(why, "unknown")), KILL_GRACE);
    }

    #succeed(): void {
        this.#settled();
        this.#resolve({
            exitStatus: this.#exitStatus,
            stdout: this.#output.text("stdout"),
            stderr: this.#output.text("stderr"),
            duration: performance.now() - this.#started,
        });
    }

    #fail(error: BlockhostError): void {
        this.#settled();
        this.#reject(error);
    }

    #settled(): void {
        clearTimeout(this.#deadline);
        clearTimeout(this.#grace);
        this.#signal?.removeEventListener("abort", this.#onAbort);
    }

    #stopError(why: Stop, host: HostState): BlockhostError {
        const state = {
            ended: "everything it started on the host has been ended",
            stuck: "a process of it is stuck in the kernel and could not be ended (state D in `ps`)",
            unknown:
                "the host did not confirm that it ended: its own watchdog ends it when the connection closes, and at " +
                "the deadline at the latest",
        }[host];
        const details = {
            stderr: this.#output.tail(),
            hint: `${state}; the host's state is read again before the next change`,
        };
        if (why === "cancelled")
            return new BlockhostError("cancelled", "the operation was cancelled", details);
        if (why === "timeout") {
            const seconds = String(Math.round(this.#timeout / 100) / 10);
            return new BlockhostError("timeout", `the script took longer than ${seconds} s`, details);
        }
        const limit = String(OUTPUT_LIMIT / 1024 / 1024);
        return new BlockhostError(
            "command-failed",
            `the script wrote more than ${limit} MiB of output`,
            details,
        );
    }
}

function lostError(output: RunOutput): BlockhostError {
    return new BlockhostError("unreachable", "the connection was lost while the script was running", {
        stderr: output.tail(),
        hint:
            "what the script did before is unknown; the host ends what is left of it, and its state is read again " +
            "before anything else is done. Run the same command again.",
    });
}
