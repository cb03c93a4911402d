import { readFileSync } from "node:fs";
import { BlockhostError } from "../errors";

/** What states know: by stack, the ids of its resources. */
export type KnownResources = readonly {
    readonly organization: string;
    readonly project: string;
    readonly stack: string;
    readonly ids: readonly string[];
}[];

interface Exported {
    readonly deployment?: {
        readonly resources?: readonly {
            readonly type?: string;
            readonly id?: string;
            readonly inputs?: { readonly owner?: Owner };
            readonly outputs?: { readonly owner?: Owner };
        }[];
    };
}

interface Owner {
    readonly organization?: string;
    readonly project?: string;
    readonly stack?: string;
}

/**
 * Reads what `pulumi stack export` wrote. A state without a resource of ours knows nothing about owners, and says nothing.
 *
 * @throws BlockhostError `invalid`
 */
export function readState(file: string): KnownResources {
    let parsed: Exported;
    try {
        parsed = JSON.parse(readFileSync(file, "utf8")) as Exported;
    } catch (error) {
        throw new BlockhostError("invalid", `${file} could not be read: ${String(error)}`);
    }
    if (parsed.deployment === undefined) {
        throw new BlockhostError("invalid", `${file} is not a state`, {
            hint: "write it by `pulumi stack export --file`",
        });
    }
    const stacks = new Map<string, { organization: string; project: string; stack: string; ids: string[] }>();
    for (const { type = "", id, inputs, outputs } of parsed.deployment.resources ?? []) {
        const owner = outputs?.owner ?? inputs?.owner;
        if (!/\bblockhost[:/]/.test(type) || id === undefined || owner === undefined) continue;
        const { organization = "", project = "", stack = "" } = owner;
        const key = JSON.stringify([organization, project, stack]);
        const known = stacks.get(key) ?? { organization, project, stack, ids: [] };
        known.ids.push(id);
        stacks.set(key, known);
    }
    return [...stacks.values()];
}
