import { BlockhostError } from "../errors";
import type { Capacity, HostFacts, ObjectFacts, PoolFacts } from "../host/facts";
import type { Claim } from "../host/plan";
import type { PoolLimits, PoolRef } from "./types";

/**
 * Capacity arithmetic common to drivers, as Cinder has it (`cinder/utils.py`: calculate_capacity_factors,
 * calculate_max_over_subscription_ratio; `capacity_filter.py`). All figures are bytes.
 */

/** Cinder's INITIAL_AUTO_MOSR: the ratio that `auto` starts with while nothing is provisioned. */
export const INITIAL_AUTO_RATIO = 20;
const GIB = 2 ** 30;

export interface CapacityFigures extends Capacity {
    readonly thin: boolean;
    /** Never given out. */
    readonly reservedBytes: number;
    /** 1 for thick pools. */
    readonly overSubscriptionRatio: number;
    /** What new volumes may still ask for, all together; negative in a pool that is over its limit. */
    readonly virtualFreeBytes: number;
    /** What may still be written at once (copies, thick volumes). */
    readonly usableFreeBytes: number;
}

/** Sum of the virtual sizes of all objects in a pool, ours or not. */
export function provisionedBytes(objects: ReadonlyMap<string, ObjectFacts>): number {
    let sum = 0;
    for (const { provisionedBytes, sizeBytes } of objects.values()) sum += provisionedBytes ?? sizeBytes ?? 0;
    return sum;
}

/**
 * Cinder's calculate_max_over_subscription_ratio: `auto` is 1 + provisioned / (used + 1 GiB), 20 while nothing is
 * provisioned.
 */
export function overSubscriptionRatio(limits: PoolLimits, capacity: Capacity): number {
    if (limits.maxOverSubscriptionRatio !== "auto") return limits.maxOverSubscriptionRatio;
    if (capacity.provisionedBytes === 0) return INITIAL_AUTO_RATIO;
    const used = Math.max(0, capacity.totalBytes - capacity.freeBytes);
    return 1 + capacity.provisionedBytes / (used + GIB);
}

/** A pool's figures with what plans are going to take already taken off. */
export function capacityFigures(
    pool: PoolRef,
    facts: PoolFacts,
    thin: boolean,
    claims: readonly Claim[] = [],
): CapacityFigures {
    // Summed anew: a read-back of a few objects only knows the sizes of those.
    const capacity = { ...facts.capacity, provisionedBytes: provisionedBytes(facts.objects) };
    const { totalBytes, freeBytes } = capacity;
    const reservedBytes = Math.floor((totalBytes * pool.limits.reservedPercentage) / 100);
    const ratio = thin ? overSubscriptionRatio(pool.limits, capacity) : 1;
    const claimed = latestClaims(claims, pool.name);
    const claimedVirtual = sum(claimed, (claim) => claim.provisionedBytes);
    const claimedAtOnce = sum(claimed, (claim) => claim.allocatedBytes);
    const usableFreeBytes = freeBytes - reservedBytes - claimedAtOnce;
    const promised =
        Math.floor((totalBytes - reservedBytes) * ratio) - capacity.provisionedBytes - claimedVirtual;
    return {
        ...capacity,
        thin,
        reservedBytes,
        overSubscriptionRatio: ratio,
        // A thick pool shares its file system with other data, so the real free space can be the smaller figure.
        virtualFreeBytes: thin ? promised : Math.min(promised, usableFreeBytes),
        usableFreeBytes,
    };
}

/** What an object is going to take beyond what the facts count for it already. */
export interface Need {
    readonly name: string;
    readonly thin: boolean;
    /** Additional virtual bytes. */
    readonly provisionedBytes: number;
    /** Additional bytes that are written or preallocated at once. */
    readonly allocatedBytes: number;
}

/**
 * The claim for what a plan needs.
 *
 * @throws BlockhostError `no-space` with the figures and the ways out.
 */
export function claimSpace(pool: PoolRef, facts: PoolFacts, host: HostFacts, need: Need): Claim {
    const others = host.claims.filter((claim) => claim.pool !== pool.name || claim.name !== need.name);
    const figures = capacityFigures(pool, facts, need.thin, others);
    if (need.provisionedBytes > Math.max(0, figures.virtualFreeBytes)) throw noSpace(pool, figures, need);
    if (need.allocatedBytes > Math.max(0, figures.usableFreeBytes)) throw noSpace(pool, figures, need);
    return {
        pool: pool.name,
        name: need.name,
        provisionedBytes: need.provisionedBytes,
        allocatedBytes: need.allocatedBytes,
    };
}

function noSpace(pool: PoolRef, figures: CapacityFigures, need: Need): BlockhostError {
    const atOnce = need.provisionedBytes <= Math.max(0, figures.virtualFreeBytes);
    const wanted = atOnce ? need.allocatedBytes : need.provisionedBytes;
    const left = Math.max(0, atOnce ? figures.usableFreeBytes : figures.virtualFreeBytes);
    const reserved =
        figures.reservedBytes === 0
            ? ""
            : `, ${showBytes(figures.reservedBytes)} reserved (${String(pool.limits.reservedPercentage)} %)`;
    const ratio = figures.thin
        ? `, over-subscription ratio ${String(round(figures.overSubscriptionRatio))}`
        : "";
    const what = `${showBytes(wanted)} ${atOnce ? "of data at once" : "more"}`;
    return new BlockhostError(
        "no-space",
        `pool "${pool.name}" has no room for ${what}: ${showBytes(left)} left of ${showBytes(figures.totalBytes)} ` +
            `(${showBytes(figures.freeBytes)} free, ${showBytes(figures.provisionedBytes)} provisioned${reserved}${ratio})`,
        { hint: waysOut(figures, atOnce) },
    );
}

/** Promises can be allowed to be larger; what is written at once needs room that is there. */
function waysOut(figures: CapacityFigures, atOnce: boolean): string {
    const ways = [
        ...(atOnce ? [] : ["ask for less"]),
        "delete volumes or snapshots that are not needed",
        "grow the pool",
        ...(figures.thin && !atOnce ? ["raise `maxOverSubscriptionRatio`"] : []),
        ...(figures.reservedBytes > 0 ? ["lower `reservedPercentage`"] : []),
    ];
    return `${ways.slice(0, -1).join(", ")} or ${ways.at(-1) ?? ""}`;
}

function latestClaims(claims: readonly Claim[], pool: string): Claim[] {
    const latest = new Map<string, Claim>();
    for (const claim of claims) if (claim.pool === pool) latest.set(claim.name, claim);
    return [...latest.values()];
}

function sum<T>(items: readonly T[], figure: (item: T) => number): number {
    return items.reduce((total, item) => total + figure(item), 0);
}

function round(value: number): number {
    return Math.round(value * 100) / 100;
}

/** Bytes for people: `1.5 GiB`. */
export function showBytes(bytes: number): string {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let value = bytes;
    let unit = 0;
    while (Math.abs(value) >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit++;
    }
    return `${String(round(value))} ${units[unit] ?? "B"}`;
}
