import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import fc from "fast-check";

/** Texts that try to become commands, options, patterns or other paths. */

export const seed = 20_240_101;

export const pieces = [
    ..."'\"`$\\;&|<>(){}*?[]~!#%=:,/- \t\n\r\x7f\u202eé💾",
    "..",
    "--",
    "\x1b[2J",
    "\ud800",
    "\0",
    "$(pwned)",
    "`pwned`",
    "';pwned;'",
    '";pwned;"',
    "\npwned\n",
    "|pwned",
    "&&pwned",
    "&pwned&",
    "<(pwned)",
    "${x:=`pwned`}",
    "$((`pwned`))",
    "\\$(pwned)",
    "'\"$(pwned)\"'",
    "\r\npwned\r\n",
    "EOF\npwned\n",
    "$IFS",
    "${PATH}",
    "$((1))",
    "~root",
    "{a,b}",
    "%s%n",
    "\\'",
    "'\\''",
    "EOF",
    "-rf",
    "../../etc",
    "emb/fast/",
    "iqn.2024-01.com.example:",
    "10.0.0.5:3260",
    "0",
    "a",
    "Z9",
    "_",
    ".safety",
];

/** Mostly hostile pieces put together; also any text, and very long ones. */
export const text = fc.oneof(
    {
        weight: 12,
        arbitrary: fc
            .array(fc.constantFrom(...pieces), { minLength: 0, maxLength: 8 })
            .map((parts) => parts.join("")),
    },
    { weight: 5, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
    { weight: 2, arbitrary: fc.string({ maxLength: 400 }) },
    { weight: 1, arbitrary: fc.constantFrom(...pieces).map((piece) => piece.repeat(5000)) },
);

/** A command `pwned` on the PATH of this process and of every shell that it starts. */
export class Pwned {
    private readonly canary: string;
    private readonly path = process.env["PATH"];

    constructor(directory: string) {
        this.canary = join(directory, "canary");
        const commands = join(directory, "bin");
        mkdirSync(commands);
        const command = join(commands, "pwned");
        writeFileSync(command, `#!/bin/sh\necho ran >> '${this.canary}'\n`);
        chmodSync(command, 0o755);
        process.env["PATH"] = [commands, this.path].join(delimiter);
    }

    /** Not one was run. */
    expectNone(): void {
        if (existsSync(this.canary)) throw new Error("a hostile string was executed");
    }

    restore(): void {
        process.env["PATH"] = this.path;
    }
}
