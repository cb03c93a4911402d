/**
 * The few shells of one host, and the runs that wait for them. More shells are opened only while runs wait, up to a
 * limit that shrinks to what the server grants.
 */
import { BlockhostError, toBlockhostError } from "../errors";
import { cancelledBefore, type Shell } from "./shell";
import type { RunOptions, RunResult } from "./types";

/** Thrown by an opener when the server refuses a further channel: no failure while there are other shells. */
export class ChannelRefused extends Error {}

interface Waiting {
    take(shell: Shell): void;
    fail(error: Error): void;
}

export interface PoolOptions {
    /** Most shells at once. */
    limit: number;
    /** Opens one; `wanted` turns false when the pool has been closed meanwhile. */
    open: (wanted: () => boolean) => Promise<Shell>;
    /** Called when the first run begins and when the last one has ended. */
    busy: (busy: boolean) => void;
}

export class ShellPool {
    readonly #options: PoolOptions;
    readonly #shells = new Set<Shell>();
    readonly #claimed = new Set<Shell>();
    readonly #waiting: Waiting[] = [];
    #limit: number;
    #opening = 0;
    #active = 0;
    /** Counts the closings, so that a shell that was being opened meanwhile is not kept. */
    #era = 0;

    constructor(options: PoolOptions) {
        this.#options = options;
        this.#limit = options.limit;
    }

    /** Shells open now. */
    get size(): number {
        return this.#shells.size;
    }

    async run(script: string, options: RunOptions): Promise<RunResult> {
        if (options.signal?.aborted === true) throw cancelledBefore();
        if (this.#active++ === 0) this.#options.busy(true);
        try {
            const shell = await this.#acquire(options.signal);
            try {
                return await shell.run(script, options);
            } finally {
                this.#release(shell);
            }
        } finally {
            if (--this.#active === 0) this.#options.busy(false);
        }
    }

    /** Forgets the limit that an earlier connection's server had set. */
    reset(): void {
        this.#limit = this.#options.limit;
    }

    /** Ends every shell and what runs in it; runs that have not been sent fail with `cancelled`. */
    close(): void {
        this.#era++;
        this.#opening = 0;
        for (const shell of this.#shells) shell.close();
        this.#shells.clear();
        for (const waiting of this.#waiting.splice(0)) waiting.fail(closedBefore());
    }

    #acquire(signal: AbortSignal | undefined): Promise<Shell> {
        for (const shell of this.#shells) {
            if (this.#free(shell) && this.#waiting.length === 0) return Promise.resolve(this.#claim(shell));
        }
        return new Promise<Shell>((resolve, reject) => {
            const onAbort = (): void => {
                this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
                reject(cancelledBefore());
            };
            const waiting: Waiting = {
                take: (shell) => {
                    signal?.removeEventListener("abort", onAbort);
                    resolve(this.#claim(shell));
                },
                fail: (error) => {
                    signal?.removeEventListener("abort", onAbort);
                    reject(error);
                },
            };
            signal?.addEventListener("abort", onAbort, { once: true });
            this.#waiting.push(waiting);
            this.#grow();
        });
    }

    #free(shell: Shell): boolean {
        return shell.usable && !this.#claimed.has(shell);
    }

    /** From being given to a run until the run has ended, a shell is nobody else's. */
    #claim(shell: Shell): Shell {
        this.#claimed.add(shell);
        return shell;
    }

    #release(shell: Shell): void {
        this.#claimed.delete(shell);
        this.#serve();
    }

    /** Gives free shells to waiting runs, and opens more if runs are left. */
    #serve(): void {
        for (const shell of this.#shells) {
            if (shell.dead) this.#shells.delete(shell);
            else if (this.#free(shell)) this.#waiting.shift()?.take(shell);
        }
        this.#grow();
    }

    #grow(): void {
        for (const shell of this.#shells) if (shell.dead) this.#shells.delete(shell);
        while (this.#opening < this.#waiting.length && this.#shells.size + this.#opening < this.#limit) {
            void this.#openOne();
        }
    }

    async #openOne(): Promise<void> {
        const era = this.#era;
        const wanted = (): boolean => era === this.#era;
        this.#opening++;
        try {
            const shell = await this.#options.open(wanted);
            if (!wanted()) {
                shell.close();
                return;
            }
            this.#opening--;
            this.#shells.add(shell);
            void shell.closed.then(() => this.#serve());
        } catch (error) {
            if (!wanted()) return;
            this.#opening--;
            const others = this.#shells.size + this.#opening;
            if (error instanceof ChannelRefused && others > 0) this.#limit = Math.min(this.#limit, others);
            // One failure is the answer to all: each waiting run trying again would only repeat it.
            else for (const waiting of this.#waiting.splice(0)) waiting.fail(plain(error));
        }
        this.#serve();
    }
}

function plain(error: unknown): Error {
    if (!(error instanceof ChannelRefused)) return error instanceof Error ? error : toBlockhostError(error);
    return new BlockhostError("unreachable", `the host grants no session: ${error.message}`, {
        hint: "see MaxSessions in its sshd_config, and whether the account may run commands",
        cause: error,
    });
}

function closedBefore(): BlockhostError {
    return new BlockhostError("cancelled", "the transport was closed before anything was sent to the host");
}
