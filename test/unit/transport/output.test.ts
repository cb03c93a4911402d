import fc from "fast-check";
import { expect, it } from "vitest";
import { OUTPUT_LIMIT } from "../../../provider/transport/limits";
import { RunOutput } from "../../../provider/transport/output";

it("lines come whole, however the stream is cut", () => {
    fc.assert(
        fc.property(
            fc.array(fc.string({ unit: "grapheme" })),
            fc.integer({ min: 1, max: 9 }),
            (parts, size) => {
                const text = parts.join("\n");
                const lines: string[] = [];
                const output = new RunOutput((line) => lines.push(line));
                const bytes = Buffer.from(text);
                for (let n = 0; n < bytes.length; n += size)
                    output.add("stdout", bytes.subarray(n, n + size));
                expect(output.text("stdout")).toBe(bytes.toString());
                // What follows the last newline is no complete line.
                expect(lines).toEqual(bytes.toString().split("\n").slice(0, -1));
            },
        ),
    );
});

it("standard error does not count as lines", () => {
    const lines: string[] = [];
    const output = new RunOutput((line) => lines.push(line));
    output.add("stderr", Buffer.from("oh\n"));
    expect(lines).toEqual([]);
    expect(output.tail()).toBe("oh\n");
});

it("both streams together have a limit", () => {
    const output = new RunOutput();
    const half = Buffer.alloc(OUTPUT_LIMIT / 2);
    expect(output.add("stdout", half)).toBe(true);
    expect(output.add("stderr", half)).toBe(true);
    expect(output.add("stdout", Buffer.alloc(1))).toBe(false);
});
