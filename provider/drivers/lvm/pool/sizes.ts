import type { PoolPolicy } from "../../poolMaker";
import { BlockhostError } from "../../../errors";
import { showBytes } from "../../capacity";
import { roundUp } from "../../../size";
import type { VolumeFacts, GroupFacts } from "./facts";

/**
 * How a volume group is laid out: data and metadata of the thin pool, the spare of the same size as the metadata that
 * LVM repairs it with, and room for dmeventd to extend into. Sizes are bytes.
 */

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** What the kernel can address (dm-thin-metadata.h: THIN_METADATA_MAX_SECTORS; 15.81 GiB), in whole extents of any size. */
const METADATA_MAX = 15 * GIB;
const METADATA_MIN = 16 * MIB;
/**
 * Metadata for each chunk. LVM counts 64 bytes, which is one mapping; snapshots whose data has moved on have mappings
 * of their own, so we count two.
 */
const BYTES_PER_CHUNK = 128;
/** Chunks get larger before metadata gets larger than this. */
const METADATA_COMFORT = GIB;
const CHUNK_MIN = 64 * KIB;
const CHUNK_MAX = GIB;

export const DEFAULT_AUTO_EXTEND = { threshold: 80, percent: 20 } as const;

export interface Layout {
    readonly dataExtents: number;
    readonly metadataBytes: number;
    readonly chunkBytes: number;
}

/** Smallest power of two, from 64 KiB, with which the metadata stays comfortable. */
export function defaultChunk(dataBytes: number): number {
    let chunk = CHUNK_MIN;
    while (chunk < CHUNK_MAX && (dataBytes / chunk) * BYTES_PER_CHUNK > METADATA_COMFORT) chunk *= 2;
    return chunk;
}

export function defaultMetadata(dataBytes: number, chunkBytes: number, extentBytes: number): number {
    const wanted = Math.ceil(dataBytes / chunkBytes) * BYTES_PER_CHUNK;
    return roundUp(Math.min(METADATA_MAX, Math.max(METADATA_MIN, wanted)), extentBytes);
}

/**
 * A new thin pool: of the size declared, or of all that is free, less what the metadata, its spare and one automatic
 * extension of each take.
 *
 * @throws BlockhostError `no-space`
 */
export function newLayout(group: GroupFacts, policy: PoolPolicy): Layout {
    const { extentBytes, freeExtents } = group;
    const free = freeExtents * extentBytes;
    const chunkBytes = policy.chunkBytes ?? defaultChunk(policy.sizeBytes ?? free);
    const metadataBytes = roundUp(
        policy.metadataBytes ?? defaultMetadata(policy.sizeBytes ?? free, chunkBytes, extentBytes),
        extentBytes,
    );
    const metadataExtents = metadataBytes / extentBytes;
    const room = dataRoom(freeExtents, metadataExtents, growth(policy));
    const dataExtents = policy.sizeBytes === undefined ? room : Math.ceil(policy.sizeBytes / extentBytes);
    const most = freeExtents - 2 * metadataExtents;
    if (dataExtents < 1 || dataExtents > most) {
        const wanted = showBytes(Math.max(1, dataExtents) * extentBytes);
        throw new BlockhostError(
            "no-space",
            `the volume group has no room for a thin pool of ${wanted}: ${showBytes(free)} are free, of which metadata and its spare take ${showBytes(2 * metadataBytes)}`,
            { hint: "declare a smaller `size` or `metadataSize`, or add disks" },
        );
    }
    return { dataExtents, metadataBytes, chunkBytes };
}

/** Extents that the data of an existing thin pool should have; never less than it has. */
export function wantedData(group: GroupFacts, pool: VolumeFacts, policy: PoolPolicy): number {
    const now = Math.ceil(pool.sizeBytes / group.extentBytes);
    if (policy.sizeBytes !== undefined) return Math.max(now, Math.ceil(policy.sizeBytes / group.extentBytes));
    const metadataExtents = Math.ceil(pool.metadataBytes / group.extentBytes);
    // What the pool may have: all that is free, its own data, metadata and spare.
    const own = group.freeExtents + now + 2 * metadataExtents;
    return Math.max(now, dataRoom(own, metadataExtents, growth(policy)));
}

function dataRoom(extents: number, metadataExtents: number, percent: number): number {
    const factor = 1 + percent / 100;
    return Math.floor((extents - Math.ceil(2 * metadataExtents * factor)) / factor);
}

/** Percent by which it may be extended by itself. */
function growth({ autoExtend = DEFAULT_AUTO_EXTEND, monitoring = true }: PoolPolicy): number {
    return autoExtend === false || !monitoring ? 0 : autoExtend.percent;
}
