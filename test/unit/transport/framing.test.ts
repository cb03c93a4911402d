import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BYTES_FROM, FrameReader, newNonce, quote, runText } from "../../../provider/transport/framing";

/** Feeds a stream in the pieces given, and notes what comes out of it. */
function read(nonce: string, pieces: readonly Buffer[]): { data: string; frames: string[] } {
    const seen = { data: Buffer.alloc(0), frames: [] as string[] };
    const reader = new FrameReader(nonce, {
        data: (chunk) => (seen.data = Buffer.concat([seen.data, chunk])),
        frame: (kind, rest) => seen.frames.push(`${kind}${rest}`),
    });
    for (const piece of pieces) reader.push(piece);
    return { data: seen.data.toString("latin1"), frames: seen.frames };
}

function cut(data: Buffer, at: readonly number[]): Buffer[] {
    const places = [...at, data.length].map((n) => Math.min(n, data.length)).sort((a, b) => a - b);
    return places.map((end, i) => data.subarray(places[i - 1] ?? 0, end));
}

describe("frames", () => {
    const nonce = newNonce();

    it("give what lies between begin and end, and nothing else", () => {
        const text = `Welcome\n${nonce} B\nout\nput${nonce} E 3\nleft over from a background process\n`;
        expect(read(nonce, [Buffer.from(text)])).toEqual({ data: "out\nput", frames: ["B", "E3"] });
    });

    it("are found however the stream is cut, and output is kept byte by byte", () => {
        // Pieces of the nonce are what makes it hard to tell output from the beginning of a frame.
        const part = fc.oneof(
            fc.string({ unit: "binary-ascii" }),
            fc.nat(31).map((n) => nonce.slice(0, n)),
            fc.constant(newNonce()),
            fc.constant(`${newNonce()} E 0\n`),
        );
        fc.assert(
            fc.property(fc.array(part), fc.array(fc.nat(400)), fc.nat(255), (parts, at, status) => {
                const output = parts.join("").replaceAll(nonce, "");
                const stream = Buffer.from(
                    `noise ${nonce} B\n${output}${nonce} E ${String(status)}\n`,
                    "latin1",
                );
                expect(read(nonce, cut(stream, at))).toEqual({
                    data: output,
                    frames: ["B", `E${String(status)}`],
                });
            }),
            { numRuns: 2_000 },
        );
    });

    it("are found right behind any piece of their own nonce, whatever the nonce", () => {
        for (let i = 0; i < 2_000; i++) {
            const each = newNonce();
            for (let n = 1; n < each.length; n++) {
                const output = each.slice(0, n);
                const stream = Buffer.from(`${each} B\n${output}${each} E 0\n`);
                expect(read(each, [stream])).toEqual({ data: output, frames: ["B", "E0"] });
            }
        }
    });

    it("never begin with what another nonce marks", () => {
        expect(read(nonce, [Buffer.from(`${newNonce()} B\nx${newNonce()} E 0\n`)]).frames).toEqual([]);
    });

    it("hold nothing back that cannot become a frame", () => {
        let data = "";
        const reader = new FrameReader(nonce, {
            data: (chunk) => (data += chunk.toString()),
            frame: () => undefined,
        });
        reader.push(Buffer.from(`${nonce} B\n`));
        reader.push(Buffer.from("50%\n"));
        expect(data).toBe("50%\n");
    });

    it("do not collect a frame without end", () => {
        const { frames, data } = read(nonce, [
            Buffer.from(`${nonce} B\n${nonce}${"x".repeat(300)}`),
            Buffer.from("after"),
        ]);
        expect(frames).toEqual(["B"]);
        expect(data).toBe("after");
    });
});

describe("texts", () => {
    const nonce = newNonce();

    it("quote a script into one word", () => {
        expect(quote("a'b")).toBe(`'a'\\''b'`);
        expect(runText("echo 'x'", nonce, 62, "word")).toBe(`bh_run 'echo '\\''x'\\''' 62 ${nonce}\n`);
    });

    it("count a long script's bytes where the shell asks for that", () => {
        const script = "ü".repeat(BYTES_FROM);
        expect(runText(script, nonce, 62, "bytes")).toBe(
            `bh_read ${String(BYTES_FROM * 2 + 1)} 62 ${nonce}\n${script}.`,
        );
        expect(runText("short", nonce, 62, "bytes")).toMatch(/^bh_run /);
        expect(runText(script, nonce, 62, "word")).toMatch(/^bh_run /);
    });

    it("have a new nonce each", () => {
        expect(newNonce()).toMatch(/^[0-9a-f]{32}$/);
        expect(newNonce()).not.toBe(newNonce());
    });
});
