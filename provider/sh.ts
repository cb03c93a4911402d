/**
 * Shell text with one quoting function. Everything interpolated into the `sh` template is quoted, so no argument can
 * become a command; a nested {@link Sh} goes in as it is; a {@link Secret} goes in quoted and shows as `***` wherever
 * the command is displayed.
 */

/** A value that must never be displayed. */
export class Secret {
    constructor(readonly value: string) {}
    toString(): string {
        return "***";
    }
    toJSON(): string {
        return "***";
    }
}

/** A piece of POSIX shell text, with the form in which it may be shown. */
export class Sh {
    constructor(
        readonly text: string,
        /** The same with secrets as `***`. */
        readonly display: string,
    ) {}
    toString(): string {
        return this.display;
    }
}

export type ShValue = string | number | bigint | Secret | Sh | readonly (string | Sh)[];

/** One POSIX-quoted word. Single quotes protect all but the single quote itself. */
export function quote(word: string): string {
    if (word.includes("\0")) throw new TypeError("a shell word cannot hold a NUL byte");
    return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Template tag: literal text is shell, every interpolated value is one quoted word (an array: several words). */
export function sh(strings: TemplateStringsArray, ...values: ShValue[]): Sh {
    let text = strings[0] ?? "";
    let display = text;
    values.forEach((value, i) => {
        const [t, d] = render(value);
        const literal = strings[i + 1] ?? "";
        text += t + literal;
        display += d + literal;
    });
    return new Sh(text, display);
}

function render(value: ShValue): [text: string, display: string] {
    if (value instanceof Sh) return [value.text, value.display];
    if (value instanceof Secret) return [quote(value.value), "***"];
    if (typeof value === "string") return [quote(value), quote(value)];
    if (typeof value === "number") {
        if (!Number.isSafeInteger(value)) throw new TypeError(`not a safe integer: ${String(value)}`);
        return [String(value), String(value)];
    }
    if (typeof value === "bigint") return [String(value), String(value)];
    const parts = value.map(render);
    return [parts.map(([t]) => t).join(" "), parts.map(([, d]) => d).join(" ")];
}

/** Shell text that is one of our own constants; never pass anything that came from outside. */
export function raw(text: string): Sh {
    return new Sh(text, text);
}

/** Several pieces, one a line. */
export function lines(...parts: readonly (Sh | undefined)[]): Sh {
    return joined(
        parts.filter((part) => part !== undefined),
        "\n",
    );
}

/** Several pieces, one after the other. */
export function joined(parts: readonly Sh[], between = ""): Sh {
    return new Sh(
        parts.map(({ text }) => text).join(between),
        parts.map(({ display }) => display).join(between),
    );
}

/** A piece of shell text as one quoted word, to be written to a file or handed to `eval`. */
export function asWord(script: Sh): Sh {
    return new Sh(quote(script.text), quote(script.display));
}

/**
 * Comes after something has failed to be written. Where a file system is full, dash's `printf` says no more than "I/O
 * error": so `head` tries once more, and says why.
 */
export function whyNotWritten(scratch: Sh | string): Sh {
    return sh`head -c 65536 /dev/zero > ${scratch}`;
}

/**
 * Writes what a script prints into a file (both shell text), and fails unless all of it was written.
 *
 * @param scratch where {@link whyNotWritten} tries it, if nobody may ever read that from the file
 */
export function writeOut(script: Sh, file: Sh, scratch = file): Sh {
    const both = scratch === file ? file : sh`${file} ${scratch}`;
    return sh`{ { ${script}; } > ${file} || { ${whyNotWritten(scratch)}; rm -f ${both}; false; }; }`;
}

/**
 * Whether a file that is there has content, without a process. A power cut can leave one that was not flushed empty, or,
 * on ext4, with nothing but NULs, which `read` drops.
 */
export function hasContent(file: Sh): Sh {
    return sh`{ v=; IFS= read -r v < ${file} || [ -n "$v" ] || [ ! -r ${file} ]; } 2>/dev/null`;
}
