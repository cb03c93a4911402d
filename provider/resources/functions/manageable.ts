import * as z from "zod";
import type { HostReference } from "../../host/hosts";
import { type HostFunction, hostArgument, placeOf, poolArgument, poolOf } from "./types";

const SORT_KEYS = ["reference", "sizeBytes"] as const;

interface Args {
    readonly host: HostReference;
    readonly pool: string;
    readonly kind?: "volume" | "snapshot";
    readonly marker?: string;
    readonly limit?: number;
    readonly offset?: number;
    readonly sortKey?: (typeof SORT_KEYS)[number];
    readonly sortDirection?: "asc" | "desc";
}

export const manageableResult = z.object({
    items: z
        .array(
            z
                .object({
                    reference: z.string().describe("What `adopt` takes."),
                    kind: z.string().describe("`volume` or `snapshot`."),
                    sizeBytes: z.number().describe("Size in bytes."),
                    safeToManage: z.boolean().describe("It can be taken over."),
                    reasonNotSafe: z.string().describe("Why not; empty where it can."),
                    managedBy: z.string().describe("Who manages it already; empty where nobody does."),
                    extra: z.record(z.string(), z.string()).describe("What only the driver tells."),
                })
                .meta({
                    id: "Manageable",
                    description: "Something in a pool, and whether it can be taken over.",
                }),
        )
        .describe("One page."),
    total: z.number().describe("How many there are on all pages."),
    next: z.string().describe("`marker` of the next page; empty on the last."),
});

/** F7: get_manageable_volumes, get_manageable_snapshots. */
export const getManageable: HostFunction<Args> = {
    name: "getManageable",
    args: z
        .strictObject({
            host: hostArgument,
            pool: poolArgument,
            kind: z
                .enum(["volume", "snapshot"])
                .meta({
                    id: "ObjectKind",
                    description: "What an object of a pool is.",
                    values: { volume: "A volume.", snapshot: "A snapshot." },
                })
                .optional()
                .describe("Only these."),
            marker: z.string().optional().describe("Begin after this reference: `next` of the page before."),
            limit: z.int().min(1).optional().describe("Most items of a page; default 1000."),
            offset: z.int().min(0).optional().describe("Leave out so many more at the beginning."),
            sortKey: z
                .enum(SORT_KEYS)
                .meta({
                    id: "SortKey",
                    description: "What a list is sorted by.",
                    values: { reference: "What `adopt` takes.", sizeBytes: "The size." },
                })
                .optional()
                .describe("Default `reference`."),
            sortDirection: z
                .enum(["asc", "desc"])
                .meta({
                    id: "SortDirection",
                    description: "How a list is sorted.",
                    values: { asc: "The smallest first.", desc: "The greatest first." },
                })
                .optional()
                .describe("Default `asc`."),
        })
        .describe("What a pool holds that could be taken over with `adopt`, or the reason why not."),
    result: manageableResult,
    async run(context, args) {
        const pool = poolOf(await placeOf(context, args.host), args.pool);
        const all = pool.driver
            .adoptable(pool.ref, pool.facts)
            .filter(({ kind }) => args.kind === undefined || kind === args.kind)
            .map(({ reason, managedBy, extra, ...item }) => ({
                ...item,
                reasonNotSafe: reason ?? "",
                managedBy: managedBy ?? "",
                extra: { ...extra },
            }));
        const key = args.sortKey ?? "reference";
        const direction = args.sortDirection === "desc" ? -1 : 1;
        all.sort((a, b) => direction * compare([a[key], a.reference], [b[key], b.reference]));
        const after =
            args.marker === undefined ? -1 : all.findIndex(({ reference }) => reference === args.marker);
        const start = after + 1 + (args.offset ?? 0);
        const items = all.slice(start, start + (args.limit ?? 1000));
        const more = start + items.length < all.length;
        return { items, total: all.length, next: more ? (items.at(-1)?.reference ?? "") : "" };
    },
};

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
    for (const [i, one] of a.entries()) {
        const other = b[i] ?? "";
        if (one !== other) return one < other ? -1 : 1;
    }
    return 0;
}
