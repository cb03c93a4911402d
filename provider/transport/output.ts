/** What a run has written so far: kept up to a limit, and passed on line by line. */
import { OUTPUT_LIMIT } from "./limits";

export class RunOutput {
    readonly #chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
    readonly #onLine: ((line: string) => void) | undefined;
    #size = 0;
    /** The beginning of a line whose end has not arrived yet. */
    #line: Buffer[] = [];

    constructor(onLine?: (line: string) => void) {
        this.#onLine = onLine;
    }

    /** False when the limit of {@link OUTPUT_LIMIT} bytes is passed. */
    add(stream: "stdout" | "stderr", chunk: Buffer): boolean {
        this.#size += chunk.length;
        if (this.#size > OUTPUT_LIMIT) return false;
        this.#chunks[stream].push(chunk);
        if (stream === "stdout" && this.#onLine !== undefined) this.#lines(chunk);
        return true;
    }

    /** All of one stream; bytes that are not UTF-8 become U+FFFD. */
    text(stream: "stdout" | "stderr"): string {
        return Buffer.concat(this.#chunks[stream]).toString("utf8");
    }

    /** The end of standard error, for an error message. */
    tail(): string | undefined {
        const text = Buffer.concat(this.#chunks.stderr.slice(-4)).toString("utf8").slice(-2000);
        return text === "" ? undefined : text;
    }

    #lines(chunk: Buffer): void {
        let from = 0;
        for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
            this.#line.push(chunk.subarray(from, at));
            // A line is decoded whole, so that a character split over two chunks stays one.
            this.#pass(Buffer.concat(this.#line).toString("utf8"));
            this.#line = [];
            from = at + 1;
        }
        if (from < chunk.length) this.#line.push(chunk.subarray(from));
    }

    /** Whoever shows progress must not be able to break the run. */
    #pass(line: string): void {
        try {
            this.#onLine?.(line);
        } catch {
            // Shown or not, the run goes on.
        }
    }
}
