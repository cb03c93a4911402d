import * as z from "zod";
import type { HostReference } from "../../host/hosts";
import { formatId, parseId } from "../../names";
import { type HostFunction, hostArgument, placeOf, poolArgument, poolsOf } from "./types";

export const unmanagedResult = z.object({
    objects: z
        .array(
            z
                .object({
                    id: z
                        .string()
                        .describe(
                            "Id for `pulumi import`; empty where its name cannot be one, and for a snapshot, which is adopted.",
                        ),
                    kind: z.string().describe("`volume` or `snapshot`."),
                    pool: z.string().describe("Its pool."),
                    reference: z.string().describe("What `adopt` takes."),
                    sizeBytes: z.number().describe("Size in bytes."),
                    path: z.string().describe("Path on the host."),
                    safeToManage: z.boolean().describe("It can be taken over."),
                    reasonNotSafe: z.string().describe("Why not; empty where it can."),
                })
                .meta({
                    id: "UnmanagedObject",
                    description: "Something in a pool that carries no owner mark.",
                }),
        )
        .describe("Volumes and snapshots, or what looks like one."),
    exports: z
        .array(
            z
                .object({
                    protocol: z.string().describe("`iscsi` or `nvme-tcp`."),
                    path: z.string().describe("Path that is exported."),
                    by: z.string().describe("What exports it."),
                })
                .meta({ id: "UnmanagedExport", description: "An export that another tool has set up." }),
        )
        .describe("Exports that other tools have set up."),
});

/** F30: what is on a host that nobody has declared. */
export const getUnmanaged: HostFunction<{ host: HostReference; pool?: string }> = {
    name: "getUnmanaged",
    args: z
        .strictObject({ host: hostArgument, pool: poolArgument.optional().describe("Only this pool.") })
        .describe(
            "What a host holds that carries no owner mark: volumes to be imported or adopted, others' exports.",
        ),
    result: unmanagedResult,
    async run(context, { host: reference, pool: named }) {
        const place = await placeOf(context, reference);
        const host = place.host.config.name;
        const objects = poolsOf(context, place, named).flatMap((pool) =>
            pool.driver
                .adoptable(pool.ref, pool.facts)
                .filter(({ managedBy }) => managedBy === undefined)
                .flatMap((one) => {
                    const name = pool.driver.resolveReference(pool.ref, pool.facts, one.reference) ?? "";
                    const object = pool.facts.objects.get(name);
                    if (object === undefined || object.mark !== undefined) return [];
                    const ids = [name, one.reference].map((part) =>
                        formatId({ host, container: pool.ref.name, name: part }),
                    );
                    return {
                        id: one.kind === "volume" ? (ids.find((id) => parseId(id) !== undefined) ?? "") : "",
                        kind: one.kind,
                        pool: pool.ref.name,
                        reference: one.reference,
                        sizeBytes: one.sizeBytes,
                        path: object.path,
                        safeToManage: one.safeToManage,
                        reasonNotSafe: one.reason ?? "",
                    };
                }),
        );
        const exports = [...place.facts.targets].flatMap(([protocol, target]) =>
            [...target.foreign].map(([path, by]) => ({ protocol, path, by })),
        );
        return { objects, exports };
    },
};
