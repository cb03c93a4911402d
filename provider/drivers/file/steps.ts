import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import { GUARD_FAILED, type Plan, type Step } from "../../host/plan";
import { type Sh, lines, raw, sh } from "../../sh";
import type { PlanContext } from "../types";
import { MARKS, POOL_LINK, dataFile, fileOfObject, markFile, poolDirectory } from "./layout";
import type { FileOptions } from "./options";

/** The steps that several operations are made of. */

export type Context = PlanContext<FileOptions>;

/** A step's script, run in the pool's directory; paths in it are relative, so that displays stay short. */
export function inPool(context: Context, script: Sh): Sh {
    return lines(sh`cd ${poolDirectory(context)} || exit ${GUARD_FAILED}`, script);
}

export function step(context: Context, label: string, script: Sh): Step {
    return { label, script: inPool(context, script) };
}

/** Text of an object's mark as it was read, to be compared byte by byte. */
export function markText(object: ObjectFacts): string {
    return object.extra?.["markText"] ?? (object.mark === undefined ? "" : encodeMark(object.mark));
}

/** Which state of affairs a plan takes for granted. */
export interface Expected {
    /** Objects with their marks as read; they must still carry exactly these. */
    readonly marked?: readonly ObjectFacts[];
    /** Names that must carry no mark. */
    readonly unmarked?: readonly string[];
    /** Files that must be there. */
    readonly present?: readonly string[];
    /** Files that must not be there, whatever their type. */
    readonly absent?: readonly string[];
}

/**
 * Repeats under the lock what the plan was made from: it is the same pool, with the same marks. One process
 * (`readlink`), whatever is compared.
 */
export function guard(context: Context, expected: Expected): Step {
    const { marked = [], unmarked = [], present = [], absent = [] } = expected;
    const identity = context.facts.extra["identity"];
    const links = [
        ...(identity === undefined ? [] : [POOL_LINK]),
        ...marked.map(({ name }) => markFile(name)),
    ];
    const texts = [...(identity === undefined ? [] : [identity]), ...marked.map(markText)];
    const gone = [...unmarked.map(markFile), ...absent];
    const script = lines(
        links.length === 0
            ? undefined
            : sh`[ "$(readlink -- ${links} 2>/dev/null)" = ${texts.join("\n")} ] || {
    echo "the owner mark or the pool's identity is not what it was" >&2
    exit ${GUARD_FAILED}
}`,
        present.length === 0
            ? undefined
            : sh`for path in ${present.map(dotted)}; do
    [ -f "$path" ] && [ ! -L "$path" ] || { echo "$path is not there any more" >&2; exit ${GUARD_FAILED}; }
done`,
        gone.length === 0
            ? undefined
            : sh`for path in ${gone.map(dotted)}; do
    if [ -e "$path" ] || [ -L "$path" ]; then echo "$path has appeared" >&2; exit ${GUARD_FAILED}; fi
done`,
        raw(":"),
    );
    return { label: "check that nothing has changed", script: inPool(context, script), guard: true };
}

/** File names of others may start with a hyphen. */
function dotted(path: string): string {
    return `./${path}`;
}

/** Marks a name that had no mark; fails as a guard if it has got one. */
export function addMark(context: Context, name: string, mark: Mark): Step {
    const link = markFile(name);
    return step(
        context,
        `mark "${name}" as ${mark.phase}`,
        sh`ln -sT -- ${encodeMark(mark)} ${link} || { [ -L ${link} ] && exit ${GUARD_FAILED}; exit 1; }`,
    );
}

/** Replaces a mark in one go. */
export function setMark(context: Context, name: string, mark: Mark): Step {
    return step(
        context,
        `mark "${name}" as ${mark.phase}`,
        sh`ln -sfnT -- ${encodeMark(mark)} ${markFile(name)}`,
    );
}

export function removeMarks(context: Context, names: readonly string[]): Step {
    return step(context, "remove the owner mark", sh`rm -f -- ${names.map(markFile)}`);
}

/** A plan that touches objects of this pool. */
export function plan(
    context: Context,
    names: readonly string[],
    steps: readonly Step[],
    more: Partial<Plan> = {},
): Plan {
    return { steps, touched: { pools: { [context.pool.name]: names } }, ...more };
}

export { MARKS, dataFile, fileOfObject, markFile };
