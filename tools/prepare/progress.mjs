// @ts-check
/**
 * Shows steps while they run: on a terminal one live line with what is under way and for how long, elsewhere plain
 * lines, among them a sign of life every half minute. Each step ends in a line of its own: `✓ what  (3.2 s)`.
 */
import { CommandFailed } from "../command.mjs";

/** A failure whose remedy is known. */
export class StepFailed extends Error {
    /**
     * @param {string} message
     * @param {string} advice what to do about it
     * @param {unknown} [cause]
     */
    constructor(message, advice, cause) {
        super(message, { cause });
        this.name = "StepFailed";
        this.advice = advice;
    }
}

/**
 * Told by a step about itself while it runs.
 *
 * @callback Say
 * @param {string} detail
 * @returns {void}
 */

/**
 * Errors that the user has been told about.
 *
 * @type {WeakSet<object>}
 */
const explained = new WeakSet();

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const signOfLifeMs = 30_000;

/** @param {{ isTTY?: boolean, columns?: number, write(text: string): unknown }} out */
export function createProgress(out = process.stdout) {
    const live = out.isTTY === true && process.env["TERM"] !== "dumb";
    /** @type {Map<string, { since: number, detail: string, told: number }>} */
    const running = new Map();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    let frame = 0;

    const draw = () => {
        if (!live) return sayStillAlive();
        const parts = [...running].map(([what, { since, detail }]) => {
            return `${what} ${seconds(since, 0)}${detail ? ` (${detail})` : ""}`;
        });
        const line = `${frames[frame++ % frames.length]} ${parts.join(" · ")}`;
        out.write(`\r\x1b[2K${line.slice(0, (out.columns ?? 80) - 1)}`);
    };
    const sayStillAlive = () => {
        for (const [what, step] of running) {
            if (Date.now() - step.told < signOfLifeMs) continue;
            step.told = Date.now();
            out.write(`… ${what}: ${seconds(step.since, 0)}${step.detail ? `, ${step.detail}` : ""}\n`);
        }
    };
    /** @param {string} line */
    const print = (line) => out.write(`${live ? "\r\x1b[2K" : ""}${line}\n`);

    return {
        /**
         * @template Result
         * @param {string} what
         * @param {(say: Say) => Promise<Result>} work
         * @returns {Promise<Result>}
         */
        async step(what, work) {
            const state = { since: Date.now(), detail: "", told: Date.now() };
            running.set(what, state);
            if (!live) out.write(`… ${what}\n`);
            timer ??= setInterval(draw, live ? 100 : 1000);
            try {
                const result = await work((detail) => (state.detail = detail));
                print(`✓ ${what}  (${seconds(state.since, 1)})`);
                return result;
            } catch (error) {
                // At once: what runs beside it may take minutes more.
                print(`✗ ${what}  (${seconds(state.since, 1)})\n${explain(error)}`);
                if (error instanceof Error) explained.add(error);
                throw error;
            } finally {
                running.delete(what);
                if (running.size === 0) {
                    clearInterval(timer);
                    timer = undefined;
                }
            }
        },
    };
}

/** Tells the user about an error, unless a step did already. @param {unknown} error */
export function report(error) {
    if (error instanceof Error && explained.has(error)) return;
    process.stderr.write(`${explain(error)}\n`);
}

/**
 * What to print about an error that ended a step.
 *
 * @param {unknown} error
 * @returns {string}
 */
function explain(error) {
    if (!(error instanceof Error)) return String(error);
    const lines = [error.message];
    const failed = error instanceof CommandFailed ? error : error.cause;
    if (failed instanceof CommandFailed) {
        if (failed !== error) lines.push(failed.message);
        if (failed.tail) lines.push(failed.tail.replace(/^/gm, "    | "));
    } else if (failed instanceof Error) {
        lines.push(failed.message);
    }
    if (error instanceof StepFailed) lines.push(`What to do: ${error.advice}`);
    return lines.join("\n");
}

/** @param {number} since @param {number} digits */
function seconds(since, digits) {
    return `${((Date.now() - since) / 1000).toFixed(digits)} s`;
}
