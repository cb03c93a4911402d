import * as z from "zod";
import { capacityFigures } from "../../drivers/capacity";
import type { HostReference } from "../../host/hosts";
import { type HostFunction, hostArgument, placeOf, poolArgument, poolOf } from "./types";

const bytes = (what: string) => z.number().describe(`${what} Bytes.`);

export const poolResult = z.object({
    id: z.string().describe("Identity of the pool."),
    driver: z.string().describe("Driver that keeps the bytes."),
    totalBytes: bytes(
        "Size: of the file system, of the volume group (with `raid`, what can be used of it), or of the thin pool.",
    ),
    freeBytes: bytes(
        "What nothing has been written to or allocated from: of the file system, of the volume group, or of the thin pool's data. What thin volumes may still write is part of it, and `reservedBytes` are not taken off: what can be asked for is `virtualFreeBytes`, and what can be written `usableFreeBytes`.",
    ),
    reservedBytes: bytes("Never given out (`reservedPercentage`)."),
    provisionedBytes: bytes("Promised: sum of the sizes of all that is in it."),
    overSubscriptionRatio: z.number().describe("How many times its size it may promise; 1 for thick pools."),
    virtualFreeBytes: bytes(
        "What new volumes may still ask for, all together: (`totalBytes` - `reservedBytes`) x `overSubscriptionRatio` - `provisionedBytes`, and in a thick pool at most `usableFreeBytes`. Negative in a pool that is over its limit.",
    ),
    usableFreeBytes: bytes(
        "What may still be written at once (copies, thick volumes): `freeBytes` - `reservedBytes`. Negative where the reserve is in use.",
    ),
    objects: z.number().describe("How many volumes and snapshots it holds, ours or not."),
    health: z.array(z.string()).describe("What is wrong with it although it can be used, and what to do."),
    capabilities: z
        .object({
            thin: z.boolean().describe("Volumes take space as they are written."),
            thick: z.boolean().describe("Volumes can take all their space at creation."),
            growsInUse: z.boolean().describe("Volumes can grow while they are used."),
            snapshots: z.string().describe("How a snapshot is made: `instant`, `copy` or `depends`."),
            revert: z.boolean().describe("A volume can go back to a snapshot."),
            discard: z.boolean().describe("Discarding gives space back."),
        })
        .meta({ id: "PoolCapabilities", description: "What a pool can do." })
        .describe("What the pool can do."),
    extra: z
        .record(z.string(), z.string())
        .describe("What only the driver tells, each key prefixed with its name."),
});

/** Capacity and capabilities of a pool. F14: get_volume_stats. */
export const getPool: HostFunction<{ host: HostReference; pool: string }> = {
    name: "getPool",
    args: z
        .strictObject({ host: hostArgument, pool: poolArgument })
        .describe("Capacity, over-subscription and capabilities of a pool."),
    result: poolResult,
    async run(context, { host: reference, pool: name }) {
        const place = await placeOf(context, reference);
        const pool = poolOf(place, name);
        const capabilities = pool.driver.capabilities(pool.ref.options);
        const figures = capacityFigures(pool.ref, pool.facts, capabilities.thin, place.facts.claims);
        return {
            id: pool.facts.id,
            driver: pool.driver.name,
            totalBytes: figures.totalBytes,
            freeBytes: figures.freeBytes,
            reservedBytes: figures.reservedBytes,
            provisionedBytes: figures.provisionedBytes,
            overSubscriptionRatio: figures.overSubscriptionRatio,
            virtualFreeBytes: figures.virtualFreeBytes,
            usableFreeBytes: figures.usableFreeBytes,
            objects: pool.facts.objects.size,
            health: pool.facts.health ?? [],
            capabilities,
            extra: Object.fromEntries(
                Object.entries(pool.facts.extra).map(([key, value]) => [`${pool.driver.name}:${key}`, value]),
            ),
        };
    },
};
