import * as z from "zod";
import type { HostReference } from "../../host/hosts";
import type { Mark, Owner } from "../../host/mark";
import { type InventoryItem, inventory } from "../inventory";
import { ownerResult } from "./objects";
import { type HostFunction, hostArgument, placeOf } from "./types";

interface Args {
    readonly host: HostReference;
    readonly organization?: string;
    readonly project?: string;
    readonly stack?: string;
    readonly known?: readonly string[];
}

export const orphansResult = z.object({
    orphans: z
        .array(
            z
                .object({
                    id: z.string().describe("Id of the object."),
                    type: z
                        .string()
                        .describe(
                            "Type of resource: `blockhost:index:Volume`; `safety` for a safety snapshot.",
                        ),
                    owner: ownerResult.describe("Who has declared it."),
                    generation: z.string().describe("Its generation."),
                    sizeBytes: z.number().describe("Size in bytes; 0 for exports."),
                    path: z.string().describe("Path on the host."),
                    reason: z.string().describe("Why it counts as an orphan."),
                })
                .meta({
                    id: "Orphan",
                    description: "Something that carries an owner mark, and that nobody will miss.",
                }),
        )
        .describe("All that were found."),
});

/** F30: what carries an owner mark, and that nobody will miss. */
export const getOrphans: HostFunction<Args> = {
    name: "getOrphans",
    args: z
        .strictObject({
            host: hostArgument,
            organization: z.string().optional().describe("Only of this organisation."),
            project: z.string().optional().describe("Only of this project."),
            stack: z.string().optional().describe("Only of this stack."),
            known: z
                .array(z.string())
                .optional()
                .describe(
                    "Ids of what the stack does declare: with it, all else of its objects is an orphan, too.",
                ),
        })
        .describe(
            "What carries an owner mark, but is of no use any more: half-made objects, marks without data, safety snapshots and snapshots whose volume is gone, exports whose device is gone; with `known`, also what a stack no longer declares.",
        ),
    result: orphansResult,
    async run(context, args) {
        const place = await placeOf(context, args.host);
        const all = inventory(context, place).filter(({ mark }) => wanted(mark, args, context.installation));
        const volumes = new Set(
            all
                .filter(({ kind }) => kind === "Volume")
                .map(({ container, name, mark }) => key(container, name, mark.owner)),
        );
        return {
            orphans: all.flatMap((item) => {
                const reason = reasonOf(item, volumes, args.known);
                return reason === undefined
                    ? []
                    : [
                          {
                              id: item.id,
                              type: item.kind === "safety" ? "safety" : `blockhost:index:${item.kind}`,
                              owner: item.mark.owner,
                              generation: item.mark.generation,
                              sizeBytes: item.sizeBytes ?? 0,
                              path: item.path,
                              reason,
                          },
                      ];
            }),
        };
    },
};

function wanted({ owner }: Mark, args: Args, installation: string): boolean {
    return (
        owner.installation === installation &&
        (args.organization ?? owner.organization) === owner.organization &&
        (args.project ?? owner.project) === owner.project &&
        (args.stack ?? owner.stack) === owner.stack
    );
}

function reasonOf(
    item: InventoryItem,
    volumes: ReadonlySet<string>,
    known: readonly string[] | undefined,
): string | undefined {
    const { mark } = item;
    if (mark.phase !== "ready") return `${mark.phase} was cut short`;
    if (item.missing !== undefined) return item.missing;
    const origin = mark.extra["origin"];
    if (origin !== undefined && !volumes.has(key(item.container, origin, mark.owner))) {
        return `its volume "${origin}" is gone`;
    }
    if (known === undefined || item.kind === "safety" || known.includes(item.id)) return undefined;
    return "the stack does not declare it";
}

/** Volume and snapshot belong to one stack, though to different resources. */
function key(container: string, name: string, owner: Owner): string {
    const { installation, organization, project, stack } = owner;
    return JSON.stringify([container, name, installation, organization, project, stack]);
}
