import type { ContainerFacts } from "../../../host/facts";
import type { PoolContext } from "../../poolMaker";
import type { LvmOptions } from "../options";

/** What is read of a volume group as a whole. Sizes are bytes. */

export type Context = PoolContext<LvmOptions>;

export interface GroupFacts {
    readonly name: string;
    readonly uuid: string;
    readonly tags: readonly string[];
    readonly extentBytes: number;
    readonly extents: number;
    readonly freeExtents: number;
    readonly members: readonly MemberFacts[];
    /** Logical volumes that people see; not the parts that LVM keeps for itself. */
    readonly volumes: readonly VolumeFacts[];
}

/** A physical volume. */
export interface MemberFacts {
    readonly device: string;
    readonly uuid: string;
    readonly extents: number;
    readonly usedExtents: number;
    /** New extents may be taken from it. */
    readonly allocatable: boolean;
    /** Room for LVM's own metadata. */
    readonly metadataBytes: number;
}

export interface VolumeFacts {
    readonly name: string;
    readonly uuid: string;
    readonly tags: readonly string[];
    readonly sizeBytes: number;
    readonly isThinPool: boolean;
    /** Of which thin pool it is a volume. */
    readonly thinPool: string;
    readonly active: boolean;
    readonly open: boolean;
    /** Of thin pools only. */
    readonly metadataBytes: number;
    readonly chunkBytes: number;
    readonly whenFull: string;
    readonly profile: string;
    readonly monitored: boolean;
}

export interface LvmContainer {
    /** The volume group of the configured name. */
    readonly group?: GroupFacts;
    /** All volume groups of the host: name by UUID. */
    readonly groups: ReadonlyMap<string, string>;
    /** UUIDs of physical volumes that are in no volume group. */
    readonly orphans: ReadonlySet<string>;
    /** By disk name: UUID of the physical volume that it carries. */
    readonly labels: ReadonlyMap<string, string>;
    /** By the UUID of a physical volume of the group: a name of its disk that stays, where it has one. */
    readonly names: ReadonlyMap<string, string>;
    /** UUIDs of the groups that the host remembers under the configured name. */
    readonly remembered: readonly string[];
    /** Our profile files: content by name. */
    readonly profiles: ReadonlyMap<string, string>;
}

const NONE: LvmContainer = {
    groups: new Map(),
    orphans: new Set(),
    labels: new Map(),
    names: new Map(),
    remembered: [],
    profiles: new Map(),
};

export function containerOf(facts: ContainerFacts): LvmContainer {
    return (facts.extra as LvmContainer | undefined) ?? NONE;
}

export function thinPoolOf({ pool, facts }: Context): VolumeFacts | undefined {
    const { group } = containerOf(facts);
    return group?.volumes.find(({ name, isThinPool }) => isThinPool && name === pool.options.thinPool);
}
