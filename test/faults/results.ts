import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** What a run found, a line of JSON a trial, for `report.mjs`; nowhere unless `BLOCKHOST_FAULTS_RESULTS` is set. */
export interface Result {
    /** What backs the operation. */
    readonly world: string;
    readonly operation: string;
    readonly stop: string;
    readonly point: number;
    /** Milliseconds. */
    readonly took: number;
    readonly ok: boolean;
    readonly error?: string;
}

export function record(result: Result): void {
    const directory = process.env["BLOCKHOST_FAULTS_RESULTS"];
    if (directory === undefined || directory === "") return;
    mkdirSync(directory, { recursive: true });
    appendFileSync(join(directory, `${String(process.pid)}.jsonl`), `${JSON.stringify(result)}\n`);
}

/** Records what a test that no stop interrupts comes to, with how long it takes. */
export async function recorded(
    about: Pick<Result, "world" | "operation" | "stop">,
    test: () => Promise<void>,
): Promise<void> {
    const began = performance.now();
    const result = () => ({ ...about, point: 0, took: Math.round(performance.now() - began) });
    try {
        await test();
        record({ ...result(), ok: true });
    } catch (error) {
        record({ ...result(), ok: false, error: error instanceof Error ? error.message : String(error) });
        throw error;
    }
}
