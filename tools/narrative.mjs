// @ts-check
/** What the quickstart and the examples print: headed steps, what was checked, and how long it took. */

const bold = process.stdout.isTTY
    ? (/** @type {string} */ text) => `\x1b[1m${text}\x1b[0m`
    : (/** @type {string} */ text) => text;
const dim = process.stdout.isTTY
    ? (/** @type {string} */ text) => `\x1b[2m${text}\x1b[0m`
    : (/** @type {string} */ text) => text;

/** A claim that turned out not to hold. */
export class CheckFailed extends Error {
    /** @param {string} claim @param {unknown} [found] */
    constructor(claim, found) {
        super(
            `This should hold, but does not: ${claim}${found === undefined ? "" : `\n  found: ${JSON.stringify(found)}`}`,
        );
        this.name = "CheckFailed";
    }
}

export function createNarrative() {
    let headings = 0;
    /** @type {string[]} */
    const checked = [];
    return {
        /** What was checked so far. */
        checked,
        /** @param {string} text */
        heading(text) {
            process.stdout.write(`\n${bold(`${++headings}. ${text}`)}\n`);
        },
        /** @param {string} text */
        note(text) {
            process.stdout.write(`${text.replace(/^/gm, "   ")}\n`);
        },
        /** What a program printed. @param {string} line */
        echo(line) {
            if (line.trim() !== "") process.stdout.write(`${dim(`   | ${line}`)}\n`);
        },
        /**
         * @param {string} claim
         * @param {boolean} holds
         * @param {unknown} [found] shown where it does not hold
         */
        check(claim, holds, found) {
            if (!holds) throw new CheckFailed(claim, found);
            checked.push(claim);
            process.stdout.write(`   ✓ ${claim}\n`);
        },
    };
}
