import { appendFileSync } from "node:fs";
import type { Frame } from "./script";

/** Where the engine tells what it does: counters, and the trace of every step (F21). */
export interface Sink {
    observed(host: string, milliseconds: number): void;
    ran(host: string, plans: number, milliseconds: number): void;
    step(host: string, doing: string, label: string, command: string, frame: Frame): void;
}

/** Counts of one process. */
export interface OperationCounters {
    observations: number;
    /** Runs that changed something. */
    applies: number;
    /** Plans carried out; more than `applies` where group commit worked. */
    plans: number;
}

/**
 * Counts, and, where the environment variable `BLOCKHOST_TRACE` names a file, appends one JSON line a step to it:
 * host, operation, step, command with secrets redacted, exit status, seconds, the end of what the host said.
 */
export class CountingSink implements Sink {
    readonly counters: OperationCounters = { observations: 0, applies: 0, plans: 0 };

    observed(): void {
        this.counters.observations += 1;
    }

    ran(_host: string, plans: number): void {
        this.counters.applies += 1;
        this.counters.plans += plans;
    }

    step(host: string, doing: string, label: string, command: string, frame: Frame): void {
        const file = process.env["BLOCKHOST_TRACE"];
        if (file === undefined || file === "") return;
        const seconds =
            frame.ended === undefined ? undefined : Math.round((frame.ended - frame.started) * 100) / 100;
        const stderr = frame.stderr.slice(-2_000);
        const line = { host, doing, step: label, command, exitStatus: frame.exitStatus, seconds, stderr };
        appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    }
}
