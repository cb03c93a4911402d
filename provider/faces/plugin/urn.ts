import { BlockhostError } from "../../errors";

/** The parts of a URN: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`. */
export interface Urn {
    readonly stack: string;
    readonly project: string;
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
    return { stack, project, type: types.slice(types.lastIndexOf("$") + 1), name };
}
