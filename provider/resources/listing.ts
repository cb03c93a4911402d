import * as z from "zod";
import type { HostReference } from "../host/hosts";
import { problemsOf } from "../validate";
import { hostReferenceSchema } from "./common";
import { placeOf } from "./functions/types";
import { type InventoryItem, inventory } from "./inventory";
import type { Context } from "./types";
import { BlockhostError } from "../errors";

/** What a listing of resources of one kind may be narrowed by. */
export const listingQuery = z.strictObject({
    host: hostReferenceSchema.optional().describe("Only on this host; default: all in `blockhost:hosts`."),
    container: z.string().optional().describe("Only in this pool; for exports: of this protocol."),
    project: z.string().optional().describe("Only of this project."),
    stack: z.string().optional().describe("Only of this stack."),
});

interface Query {
    readonly host?: HostReference;
    readonly container?: string;
    readonly project?: string;
    readonly stack?: string;
}

/**
 * Resources of a kind that hosts hold, whoever has declared them, sorted by id; all of one host before the next.
 *
 * @param after ids up to this one are left out: the last of the page before
 * @throws BlockhostError `invalid`: the query is not right
 */
export async function* listing(
    context: Context,
    kind: string,
    given: Readonly<Record<string, unknown>>,
    after = "",
): AsyncGenerator<InventoryItem> {
    const failures = problemsOf(listingQuery, given);
    if (failures.length > 0) {
        const said = failures.map(({ property, reason }) => `${property}: ${reason}`).join("; ");
        throw new BlockhostError("invalid", said, { doing: `list ${kind}` });
    }
    const query = given as Query;
    const hosts = query.host === undefined ? context.hosts.names().sort() : [query.host];
    let reached = after === "";
    for (const host of hosts) {
        const name = typeof host === "string" ? host : host.name;
        // A page before has all of the hosts before.
        if (!reached && !after.startsWith(`${name}/`)) continue;
        for (const item of inventory(context, await placeOf(context, host))) {
            if (item.kind !== kind || !matches(item, query)) continue;
            if (reached || item.id > after) yield item;
        }
        reached = true;
    }
}

function matches({ container, mark }: InventoryItem, query: Query): boolean {
    return (
        (query.container ?? container) === container &&
        (query.project ?? mark.owner.project) === mark.owner.project &&
        (query.stack ?? mark.owner.stack) === mark.owner.stack
    );
}
