/** What functions give. That these are what the definitions say is a matter of `test/unit/sdk/results.test.ts`. */

/** What {@link getHost} gives. */
export interface GetHostResult {
    /** Name in the configuration. */
    name: string;
    /** Address in the configuration. */
    address: string;
    /** Kernel release. */
    kernel: string;
    /** Operating system. */
    os: string;
    /** Kernel modules that are loaded. */
    modules: string[];
    /** Stock tools that are there, of those that the configured drivers and helpers need. */
    tools: string[];
    /** Tools that are needed and not there. */
    missing: MissingTool[];
    /** Names of the pools configured. */
    pools: string[];
    /** Protocols configured. */
    targets: string[];
    /** Its name as an iSCSI initiator; empty where open-iscsi has none. */
    iqn: string;
    /** Its name as an NVMe host; empty where nvme-cli has none. */
    nqn: string;
    /** What is wrong with pools and targets, and what to do. */
    problems: string[];
}

/** What {@link getPool} gives. */
export interface GetPoolResult {
    /** Identity of the pool. */
    id: string;
    /** Driver that keeps the bytes. */
    driver: string;
    /** Size: of the file system, of the volume group (with `raid`, what can be used of it), or of the thin pool. Bytes. */
    totalBytes: number;
    /**
     * What nothing has been written to or allocated from: of the file system, of the volume group, or of the thin pool's
     * data. What thin volumes may still write is part of it, and {@link reservedBytes} are not taken off. Bytes.
     */
    freeBytes: number;
    /** Never given out (`reservedPercentage`). Bytes. */
    reservedBytes: number;
    /** Promised: sum of the sizes of all that is in it. Bytes. */
    provisionedBytes: number;
    /** How many times its size it may promise; 1 for thick pools. */
    overSubscriptionRatio: number;
    /**
     * What new volumes may still ask for, all together: (`totalBytes` - `reservedBytes`) x `overSubscriptionRatio` -
     * `provisionedBytes`, and in a thick pool at most `usableFreeBytes`. Negative in a pool that is over its limit. Bytes.
     */
    virtualFreeBytes: number;
    /**
     * What may still be written at once (copies, thick volumes): `freeBytes` - `reservedBytes`. Negative where the
     * reserve is in use. Bytes.
     */
    usableFreeBytes: number;
    /** How many volumes and snapshots it holds, ours or not. */
    objects: number;
    /** What is wrong with it although it can be used, and what to do. */
    health: string[];
    /** What the pool can do. */
    capabilities: PoolCapabilities;
    /** What only the driver tells, each key prefixed with its name. */
    extra: Record<string, string>;
}

/** What {@link getVolume} gives. */
export interface GetVolumeResult {
    /** `<host>/<pool>/<name>`. */
    id: string;
    /** Size in bytes. */
    sizeBytes: number;
    /** Bytes that it really takes, where the driver tells. */
    allocatedBytes?: number;
    /** Path on the host. */
    path: string;
    /** It carries an owner mark. */
    managed: boolean;
    /** Who has declared it; absent where it is not managed. */
    owner?: Owner;
    /** Its generation; empty where it is not managed. */
    generation: string;
    /** `ready`, or what is under way with it; empty where it is not managed. */
    phase: string;
    /** Ids of exports of it. */
    exports: string[];
    /** Initiators that are logged in to these. */
    sessions: string[];
    /** What is wrong with it, and what to do. */
    health: string[];
    /** Ids of its snapshots. */
    snapshots: string[];
    /** Name of its safety snapshot; empty where there is none. */
    safetySnapshot: string;
}

/** What {@link getSnapshot} gives. */
export interface GetSnapshotResult {
    /** `<host>/<pool>/<name>`. */
    id: string;
    /** Size in bytes. */
    sizeBytes: number;
    /** Bytes that it really takes, where the driver tells. */
    allocatedBytes?: number;
    /** Path on the host. */
    path: string;
    /** It carries an owner mark. */
    managed: boolean;
    /** Who has declared it; absent where it is not managed. */
    owner?: Owner;
    /** Its generation; empty where it is not managed. */
    generation: string;
    /** `ready`, or what is under way with it; empty where it is not managed. */
    phase: string;
    /** Ids of exports of it. */
    exports: string[];
    /** Initiators that are logged in to these. */
    sessions: string[];
    /** What is wrong with it, and what to do. */
    health: string[];
    /** Id of its volume; empty where it is not managed. */
    volume: string;
}

/** What {@link getManageable} gives. */
export interface GetManageableResult {
    /** One page. */
    items: Manageable[];
    /** How many there are on all pages. */
    total: number;
    /** `marker` of the next page; empty on the last. */
    next: string;
}

/** What {@link getOrphans} gives. */
export interface GetOrphansResult {
    /** All that were found. */
    orphans: Orphan[];
}

/** What {@link getUnmanaged} gives. */
export interface GetUnmanagedResult {
    /** Volumes and snapshots, or what looks like one. */
    objects: UnmanagedObject[];
    /** Exports that other tools have set up. */
    exports: UnmanagedExport[];
}

/** An entry of what a function gives. */
export interface Manageable {
    /** What `adopt` takes. */
    reference: string;
    /** `volume` or `snapshot`. */
    kind: string;
    /** Size in bytes. */
    sizeBytes: number;
    /** It can be taken over. */
    safeToManage: boolean;
    /** Why not; empty where it can. */
    reasonNotSafe: string;
    /** Who manages it already; empty where nobody does. */
    managedBy: string;
    /** What only the driver tells. */
    extra: Record<string, string>;
}

/** An entry of what a function gives. */
export interface MissingTool {
    /** The tool. */
    tool: string;
    /** Debian package that has it. */
    package: string;
}

/** An entry of what a function gives. */
export interface Orphan {
    /** Id of the object. */
    id: string;
    /** Type of resource: `blockhost:index:Volume`; `safety` for a safety snapshot. */
    type: string;
    /** Who has declared it. */
    owner: Owner;
    /** Its generation. */
    generation: string;
    /** Size in bytes; 0 for exports. */
    sizeBytes: number;
    /** Path on the host. */
    path: string;
    /** Why it counts as an orphan. */
    reason: string;
}

/** Who has declared an object: its owner mark. */
export interface Owner {
    /** `blockhost:installation` of the stack. */
    installation: string;
    /** Organisation. */
    organization: string;
    /** Project. */
    project: string;
    /** Stack. */
    stack: string;
    /** Name of the resource. */
    resource: string;
}

/** An entry of what a function gives. */
export interface PoolCapabilities {
    /** Volumes take space as they are written. */
    thin: boolean;
    /** Volumes can take all their space at creation. */
    thick: boolean;
    /** Volumes can grow while they are used. */
    growsInUse: boolean;
    /** How a snapshot is made: `instant`, `copy` or `depends`. */
    snapshots: string;
    /** A volume can go back to a snapshot. */
    revert: boolean;
    /** Discarding gives space back. */
    discard: boolean;
}

/** An entry of what a function gives. */
export interface UnmanagedExport {
    /** `iscsi` or `nvme-tcp`. */
    protocol: string;
    /** Path that is exported. */
    path: string;
    /** What exports it. */
    by: string;
}

/** An entry of what a function gives. */
export interface UnmanagedObject {
    /** Id for `pulumi import`; empty where its name cannot be one, and for a snapshot, which is adopted. */
    id: string;
    /** `volume` or `snapshot`. */
    kind: string;
    /** Its pool. */
    pool: string;
    /** What `adopt` takes. */
    reference: string;
    /** Size in bytes. */
    sizeBytes: number;
    /** Path on the host. */
    path: string;
    /** It can be taken over. */
    safeToManage: boolean;
    /** Why not; empty where it can. */
    reasonNotSafe: string;
}
