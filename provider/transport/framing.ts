/**
 * The text that goes to a kept shell, and the frames that come back. Pure: no I/O, so every case is a unit test.
 *
 * A frame is `<nonce> <kind> <rest>\n` and may begin in the middle of a line, because a script's output need not end
 * in a newline. The nonce is 128 random bits made for one run and hidden from the script, so nothing that the script
 * prints can pass for a frame.
 */
import { randomBytes } from "node:crypto";

/** H: shell ready, B: script begins, E: script ended, K: everything of the run was killed. */
export type FrameKind = "H" | "B" | "E" | "K";

/**
 * 128 random bits in hexadecimal. `bootstrap.ts` takes 32 such digits for a run that arrived whole.
 *
 * None that ends as it begins: right behind a piece of itself it would be found too early.
 */
export function newNonce(): string {
    for (;;) {
        const nonce = randomBytes(16).toString("hex");
        if (!endsAsItBegins(nonce)) return nonce;
    }
}

function endsAsItBegins(text: string): boolean {
    for (let n = 1; n < text.length; n++) if (text.endsWith(text.slice(0, n))) return true;
    return false;
}

/** Text as one word of `sh`: between single quotes nothing has a meaning but the closing quote. */
export function quote(text: string): string {
    return `'${text.replaceAll("'", "'\\''")}'`;
}

/** How a script is handed over: as a quoted word, or as counted bytes (see {@link runText}). */
export type Handover = "word" | "bytes";

/** From this many bytes on, a shell that reads its program byte by byte gets the script as counted bytes. */
export const BYTES_FROM = 8192;

/**
 * The text that starts one run.
 *
 * `word`: the whole script is one quoted word, so the shell has to read all of it, and the nonce behind it, before it
 * can execute anything; cut short, it is a syntax error or a call without a whole nonce, and does nothing.
 *
 * `bytes`: for bash, which reads its program a byte at a time (0.3 s a MB): one line with the length, then the script
 * itself, fetched at once by `head -c`; too few bytes, and nothing is started.
 *
 * @param seconds the host's own deadline for the run
 */
export function runText(
    script: string,
    nonce: string,
    seconds: number,
    handover: Handover,
    bytesFrom = BYTES_FROM,
): string {
    const length = handover === "bytes" ? Buffer.byteLength(script) : 0;
    if (handover === "word" || length < bytesFrom)
        return `bh_run ${quote(script)} ${String(seconds)} ${nonce}\n`;
    // The dot is the last of the bytes counted.
    return `bh_read ${String(length + 1)} ${String(seconds)} ${nonce}\n${script}.`;
}

/** The text that ends the run under way, its whole process tree and then the shell itself. */
export function killText(nonce: string): string {
    return `bh_kill ${nonce}\n`;
}

export interface FrameEvents {
    /** Output of the script, as it arrives. */
    data(chunk: Buffer): void;
    frame(kind: FrameKind, rest: string): void;
}

/** Longest frame accepted, in bytes; ours are below 60. */
const MAX_FRAME = 256;

/** Takes one of the shell's two output streams apart into frames and what lies between B and E. */
export class FrameReader {
    readonly #nonce: Buffer;
    readonly #events: FrameEvents;
    /** Bytes that may turn out to be the beginning of a frame. */
    #held: Buffer = Buffer.alloc(0);
    #inside = false;

    constructor(nonce: string, events: FrameEvents) {
        this.#nonce = Buffer.from(nonce, "latin1");
        this.#events = events;
    }

    push(chunk: Buffer): void {
        let data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
        this.#held = Buffer.alloc(0);
        for (;;) {
            const at = data.indexOf(this.#nonce);
            if (at < 0) {
                const keep = this.#tailLength(data);
                this.#emit(data.subarray(0, data.length - keep));
                this.#hold(data.subarray(data.length - keep));
                return;
            }
            this.#emit(data.subarray(0, at));
            const end = data.indexOf(0x0a, at);
            if (end < 0 && data.length - at <= MAX_FRAME) {
                this.#hold(data.subarray(at));
                return;
            }
            const text = data.toString("latin1", at + this.#nonce.length, end < 0 ? data.length : end);
            const match = /^ ([HBEK])(?: (.*))?$/.exec(text);
            data = end < 0 ? Buffer.alloc(0) : data.subarray(end + 1);
            if (match === null) continue;
            const kind = match[1] as FrameKind;
            this.#inside = kind === "B";
            this.#events.frame(kind, match[2] ?? "");
        }
    }

    /** What lies before B or after E comes from a login shell's start-up files or an earlier run: dropped. */
    #emit(part: Buffer): void {
        if (this.#inside && part.length > 0) this.#events.data(part);
    }

    /** A copy, so that a few bytes do not keep a large chunk in memory. */
    #hold(part: Buffer): void {
        this.#held = Buffer.from(part);
    }

    /** Length of the longest end of `data` with which the nonce begins. */
    #tailLength(data: Buffer): number {
        for (let n = Math.min(data.length, this.#nonce.length - 1); n > 0; n--) {
            if (data.subarray(data.length - n).equals(this.#nonce.subarray(0, n))) return n;
        }
        return 0;
    }
}
