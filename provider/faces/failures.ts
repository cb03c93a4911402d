import type { Failure } from "../validate";

/** Inputs whose values say nothing that must not be seen: what both faces' users put in plain into their programs. */
const SHOWN = new Set(["host", "name", "size", "pool", "protocol", "adopt", "onDelete", "volume"]);

/**
 * Failures as Pulumi may be told of them. It looks a property up among the inputs by that very text and prints the value
 * that it finds there, passwords within included, unless they come from a secret of the stack's configuration; where it
 * finds none (a path into an object, an input that is missing) it prints `{<nil>}`. So all but plain inputs that may be
 * seen are failures of the whole, and the reason names the path.
 *
 * @param prefix of paths, for who reads them: `blockhost:` of the stack's configuration
 */
export function asPulumiShows(
    failures: readonly Failure[],
    inputs: Readonly<Record<string, unknown>>,
    prefix = "",
): Failure[] {
    return failures.map(({ property, reason }) => {
        const plain = ["string", "number", "boolean"].includes(typeof inputs[property]);
        return SHOWN.has(property) && plain
            ? { property, reason }
            : { property: "", reason: `${prefix}${property}: ${reason}` };
    });
}
