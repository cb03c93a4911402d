import { BlockhostError } from "../errors";
import type { OwnerInput } from "../resources/common";

/** The parts of a URN: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`. */
export interface Urn {
    readonly stack: string;
    readonly project: string;
    /** Types of the components that it is in, outermost first, joined by `$`; empty: in none. */
    readonly parent: string;
    /** Type token: `blockhost:index:Volume`. */
    readonly type: string;
    readonly name: string;
}

export function parseUrn(urn: string): Urn {
    const [, stack, project, types, name] =
        /^urn:pulumi:(.*?)::(.*?)::(.*?)::(.*)$/s.exec(urn) ?? ([] as (string | undefined)[]);
    if (stack === undefined || project === undefined || types === undefined || name === undefined) {
        throw new BlockhostError("invalid", `not a URN: ${JSON.stringify(urn)}`);
    }
    const last = types.lastIndexOf("$");
    return { stack, project, parent: types.slice(0, Math.max(0, last)), type: types.slice(last + 1), name };
}

/**
 * Who declares a resource, from its URN, in which only the organisation is not. The keys are in the order that values
 * from the wire have.
 */
export function ownerFrom(urn: string, organization: string): OwnerInput {
    const { project, stack, parent, name } = parseUrn(urn);
    return { organization, ...(parent === "" ? {} : { parent }), project, resource: name, stack };
}
