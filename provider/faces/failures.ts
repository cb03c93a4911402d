import type { Failure } from "../validate";

/** Inputs whose values say nothing that must not be seen: what both faces' users put in plain into their programs. */
const SHOWN = new Set(["host", "name", "size", "pool", "protocol", "adopt", "onDelete", "volume"]);

/**
 * Failures as Pulumi may be told of them. It looks the property up among the inputs and prints the value that it finds
 * there, passwords within included, unless they come from a secret of the stack's configuration. A path that it cannot
 * look up has no value to print.
 */
export function withoutValues(
    failures: readonly Failure[],
    inputs: Readonly<Record<string, unknown>>,
): Failure[] {
    return failures.map(({ property, reason }) => {
        const value = inputs[property];
        const shown = value === undefined || (SHOWN.has(property) && typeof value !== "object");
        return { property: shown ? property : `inputs.${property}`, reason };
    });
}
