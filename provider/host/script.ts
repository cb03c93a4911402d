import { randomBytes } from "node:crypto";
import { type Sh, raw, sh } from "../sh";
import type { Session } from "../drivers/types";
import type { Step } from "./plan";

/**
 * Scripts that a host runs, and how their output is read. Every step and every section is framed on both output
 * streams by lines that start with a random word, which the output itself cannot imitate.
 */

/** A piece of observation. */
export interface Section {
    readonly id: string;
    readonly script: Sh;
    /** It neither ends the shell nor changes what others rely on (directory, options), so it needs no process of its own. */
    readonly here?: true;
}

/** What comes after the plans, with the work that they have left to it. */
export interface SettleSection extends Section {
    readonly later: readonly { readonly plan: number; readonly work: string }[];
}

/** One plan of a run. */
export interface ScriptPlan {
    readonly steps: readonly Step[];
    /** Seconds until the host ends it. */
    readonly deadline: number;
}

/** What a step or section said. */
export interface Frame {
    readonly id: string;
    /** `undefined`: it did not end. */
    readonly exitStatus?: number;
    readonly stdout: string;
    readonly stderr: string;
    /** Seconds since the host was started, to a hundredth; the difference is the duration. */
    readonly started: number;
    readonly ended?: number;
}

export interface Script {
    readonly nonce: string;
    readonly text: string;
}

// Plans have one deadline each, which the guard of the kept shell that runs the script watches over (`bh_watch`; bh_now
// and bh_end_tree are that shell's, too): a process for it cost more than a plan's own work on a small host. Where
// that guard is gone, plans that begin later are ended at once.
const LIBRARY = `bh_mark() {
read -r bh_up bh_idle < /proc/uptime
printf '\\n%s %s %s\\n' "$bh_n" "$bh_up" "$*"
printf '\\n%s %s %s\\n' "$bh_n" "$bh_up" "$*" >&2
}
bh_plan() {
( "$1" 9>&- ) &
bh_p=$!
bh_now
bh_d=$((bh_t + $2 + 1))
bh_watch "$bh_p" "$bh_d" || bh_end_tree "$bh_p"
wait "$bh_p" 2>/dev/null
bh_r=$?
bh_watch
[ $bh_r = 137 ] || return $bh_r
bh_now
[ "$bh_t" -lt "$bh_d" ] || bh_mark timeout "$1"
return $bh_r
}
`;

/** A script that only reads; it takes no lock. */
export function composeObservation(sections: readonly Section[]): Script {
    const nonce = newNonce();
    return {
        nonce,
        text: wrap(nonce, sections.map(framed).join("")),
    };
}

/**
 * A script that runs plans one after the other under the host's lock, each failing and timing out alone, makes them
 * durable, and reads back what they touched.
 */
export function composeRun(input: {
    stateDirectory: string;
    /** Seconds to wait for the lock. */
    lockTimeout: number;
    plans: readonly ScriptPlan[];
    /** What comes before the plans, under the lock; in the run's own shell. */
    before?: Sh | undefined;
    sessions?: readonly Session[];
    settle: readonly SettleSection[];
    readback: readonly Section[];
}): Script {
    const nonce = newNonce();
    const lockFile = `${input.stateDirectory}/lock`;
    // `exec` with a redirection that fails ends the shell before any `||`; so it is tried first.
    const lock = sh`[ -d ${input.stateDirectory} ] || mkdir -p -m 0700 ${input.stateDirectory} || { bh_mark setup; exit 1; }
{ :; } >> ${lockFile} || { bh_mark setup; exit 1; }
exec 9>>${lockFile}
flock -w ${input.lockTimeout} 9 || { bh_mark locked; exit 1; }
`;
    const plans = input.plans.map(({ steps }, p) => {
        const body = steps.map((step, k) => {
            const id = stepId(p, k);
            return `bh_mark begin ${id}\n(\n${step.script.text}\n) </dev/null\nbh_s=$?\nbh_mark end ${id} $bh_s\n[ $bh_s = 0 ] || return $bh_s\n`;
        });
        return `bh_p${String(p)}() {\n${body.join("")}:\n}\n`;
    });
    const { sessions = [] } = input;
    const each = (part: keyof Session) => sessions.map((session) => `${session[part].text}\n`).join("");
    const reset = sessions.length === 0 ? "" : `[ "$bh_r" -lt 128 ] || {\n${each("reset")}}\n`;
    const calls = input.plans.map(
        ({ deadline }, p) =>
            `bh_plan bh_p${String(p)} ${String(Math.ceil(deadline))}\nbh_r${String(p)}=$?\n${reset}`,
    );
    const settle = input.settle.map((section) => framed({ ...section, script: withWork(section) }));
    const readback = input.readback.map(framed);
    const body = [
        ...[each("functions"), ...plans, lock.text, `${input.before?.text ?? ""}\n`, each("open")],
        ...calls,
        ...settle,
        ...readback,
        each("close"),
    ];
    return { nonce, text: wrap(nonce, body.join("")) };
}

/** The work that plans which succeeded have left, as positional parameters. */
function withWork({ script, later }: SettleSection): Sh {
    const add = later.map(
        ({ plan, work }) => sh`[ "$bh_r${plan}" = 0 ] && set -- "$@" ${work}
`,
    );
    return add.reduceRight((rest, one) => sh`${one}${rest}`, script);
}

export function stepId(plan: number, step: number): string {
    return `step:${String(plan)}.${String(step)}`;
}

function framed({ id, script, here }: Section): string {
    const [open, close] = here === true ? ["{", "}"] : ["(", ")"];
    return `bh_mark begin ${id}\n${open}\nset --\n${script.text}\n${close} </dev/null 9>&-\nbh_mark end ${id} $?\n`;
}

function wrap(nonce: string, body: string): string {
    return `bh_n=${nonce}\n${raw(LIBRARY).text}bh_main() {\n${body}}\nbh_main\n`;
}

function newNonce(): string {
    return `bh${randomBytes(16).toString("hex")}`;
}

export interface ParsedRun {
    readonly frames: ReadonlyMap<string, Frame>;
    /** Indices of plans that the host ended at their deadline. */
    readonly timedOut: ReadonlySet<number>;
    /** The state directory could not be made, or its lock not be taken in time. */
    readonly refused?: { readonly why: "setup" | "locked"; readonly stderr: string };
}

/** Takes the output of a script apart. */
export function parseRun(nonce: string, stdout: string, stderr: string): ParsedRun {
    const out = split(nonce, stdout);
    const err = new Map(split(nonce, stderr).map((piece) => [piece.event, piece.text]));
    const frames = new Map<string, Frame>();
    const timedOut = new Set<number>();
    let refused: ParsedRun["refused"];
    out.forEach((piece) => {
        const [verb, id = "", status] = piece.event.split(" ");
        if (verb === "begin") {
            frames.set(id, {
                id,
                stdout: piece.text,
                stderr: err.get(piece.event) ?? "",
                started: piece.uptime,
            });
        } else if (verb === "end") {
            const begun = frames.get(id);
            if (begun !== undefined)
                frames.set(id, { ...begun, exitStatus: Number(status), ended: piece.uptime });
        } else if (verb === "timeout") {
            timedOut.add(Number(id.replace("bh_p", "")));
        } else if (verb === "setup" || verb === "locked") {
            refused = { why: verb, stderr: stderr.split(`\n${nonce} `)[0] ?? "" };
        }
    });
    return { frames, timedOut, ...(refused === undefined ? {} : { refused }) };
}

function split(nonce: string, stream: string): { event: string; uptime: number; text: string }[] {
    return stream
        .split(`\n${nonce} `)
        .slice(1)
        .map((piece) => {
            const newline = piece.indexOf("\n");
            const head = newline === -1 ? piece : piece.slice(0, newline);
            const space = head.indexOf(" ");
            return {
                event: head.slice(space + 1),
                uptime: Number(head.slice(0, space)),
                text: newline === -1 ? "" : piece.slice(newline + 1),
            };
        });
}
