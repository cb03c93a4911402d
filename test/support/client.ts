import assert from "node:assert/strict";
import { BlockhostError, type ErrorCode } from "../../provider/errors";
import { Hosts } from "../../provider/host/hosts";
import { attachment, type AttachmentArgs, type AttachmentState } from "../../provider/resources/attachment";
import { exportLifecycle, type ExportArgs, type ExportState } from "../../provider/resources/export";
import { pool, type PoolArgs, type PoolState } from "../../provider/resources/pool";
import { IncompleteCreation } from "../../provider/resources/creation";
import { snapshot, type SnapshotArgs, type SnapshotState } from "../../provider/resources/snapshot";
import type { Context } from "../../provider/resources/types";
import { volume, type VolumeArgs, type VolumeState } from "../../provider/resources/volume";
import type { ConnectionProperties, Protocol } from "../../provider/targets/types";
import type { createTransport } from "../../provider/transport";

export const HOST = "emb";
export const POOL = "fast";
export const MiB = 1024 * 1024;

/** A storage host, as the provider's configuration has it. */
export interface ConfiguredHost {
    configuration(more?: Readonly<Record<string, unknown>>): unknown;
}

export interface ClientOptions {
    /** More for the host's configuration. */
    readonly configuration?: Readonly<Record<string, unknown>>;
    readonly transport?: typeof createTransport;
    readonly stack?: string;
}

/** One process of the provider, with one storage host; a stack of its own where asked for. */
export class Client {
    readonly hosts: Hosts;
    readonly context: Context;
    readonly warnings: string[] = [];
    /** What is exported over where nothing else is asked for: iSCSI, unless the host has only the other. */
    readonly protocol: Protocol;
    private readonly stack: string;

    constructor(host: ConfiguredHost, options: ClientOptions = {}) {
        this.stack = options.stack ?? "test";
        const configuration = host.configuration(options.configuration);
        const { targets = {} } = configuration as { targets?: object };
        this.protocol = "nvme-tcp" in targets && !("iscsi" in targets) ? "nvme-tcp" : "iscsi";
        this.hosts = new Hosts({ [HOST]: configuration }, options.transport);
        this.context = {
            hosts: this.hosts,
            installation: "default",
            warn: (message) => this.warnings.push(message),
            progress: () => undefined,
        };
    }

    get host() {
        return this.hosts.get(HOST);
    }

    /** Remote runs so far. */
    get runs(): number {
        return this.host.counters.runs;
    }

    owner(resource: string) {
        return { organization: "acme", project: "shop", stack: this.stack, resource };
    }

    volumeArgs(name: string, more: Partial<VolumeArgs> = {}): VolumeArgs {
        const size = more.source === undefined && more.adopt === undefined ? { size: "4MiB" } : {};
        return { host: HOST, pool: POOL, name, ...size, owner: this.owner(name), ...more };
    }

    snapshotArgs(name: string, of: string, more: Partial<SnapshotArgs> = {}): SnapshotArgs {
        return { host: HOST, volume: id(of), name, owner: this.owner(name), ...more };
    }

    exportArgs(name: string, source: string, more: Partial<ExportArgs> = {}): ExportArgs {
        return {
            host: HOST,
            source: id(source),
            protocol: this.protocol,
            name,
            initiators: [this.protocol === "iscsi" ? { iqn: CLIENT, chap: CHAP } : { nqn: CLIENT_NQN }],
            owner: this.owner(name),
            ...more,
        };
    }

    async volume(name: string, more: Partial<VolumeArgs> = {}): Promise<VolumeState> {
        return (await volume.create(this.context, this.volumeArgs(name, more))).state;
    }

    async snapshot(name: string, of: string, more: Partial<SnapshotArgs> = {}): Promise<SnapshotState> {
        return (await snapshot.create(this.context, this.snapshotArgs(name, of, more))).state;
    }

    async export(name: string, source: string, more: Partial<ExportArgs> = {}): Promise<ExportState> {
        return (await exportLifecycle.create(this.context, this.exportArgs(name, source, more))).state;
    }

    /** What an update without another input would do. */
    async due(olds: VolumeState): Promise<string[]> {
        const changes = await volume.diff(this.context, olds, volumeInputs(olds));
        return changes.map(({ reason }) => reason);
    }

    /** As an update of the inputs named; what `diff` refuses is refused. */
    async change(olds: VolumeState, more: Partial<VolumeArgs>): Promise<VolumeState> {
        const news = { ...volumeInputs(olds), ...more };
        await volume.diff(this.context, olds, news);
        return volume.update(this.context, olds, news);
    }

    async changeExport(olds: ExportState, more: Partial<ExportArgs>): Promise<ExportState> {
        const news = { ...exportInputs(olds), ...more };
        await exportLifecycle.diff(this.context, olds, news);
        return exportLifecycle.update(this.context, olds, news);
    }

    async read(state: VolumeState): Promise<VolumeState | undefined> {
        return (await volume.read(this.context, state))?.state;
    }

    /** Makes the pool that volumes go into. */
    async pool(more: Partial<PoolArgs>): Promise<PoolState> {
        const args = { host: HOST, name: POOL, owner: this.owner(POOL), ...more };
        return (await pool.create(this.context, args)).state;
    }

    async changePool(olds: PoolState, more: Partial<PoolArgs>): Promise<PoolState> {
        const news = { ...poolInputs(olds), ...more };
        await pool.diff(this.context, olds, news);
        return pool.update(this.context, olds, news);
    }

    /** Attaches an export of another host here. */
    async attach(name: string, connection: ConnectionProperties): Promise<AttachmentState> {
        const args = { host: HOST, name, connection, owner: this.owner(name) };
        return (await attachment.create(this.context, args)).state;
    }

    async changeAttachment(olds: AttachmentState, more: Partial<AttachmentArgs>): Promise<AttachmentState> {
        const news = { ...attachmentInputs(olds), ...more };
        await attachment.diff(this.context, olds, news);
        return attachment.update(this.context, olds, news);
    }

    async delete(
        state: VolumeState | SnapshotState | ExportState | AttachmentState | PoolState,
    ): Promise<void> {
        if ("containerId" in state) await pool.delete(this.context, state);
        else if ("multipathed" in state) await attachment.delete(this.context, state);
        else if ("drift" in state) await exportLifecycle.delete(this.context, state);
        else if ("volume" in state) await snapshot.delete(this.context, state);
        else await volume.delete(this.context, state);
    }

    close(): Promise<void> {
        return this.hosts.close();
    }
}

export const CLIENT = "iqn.2024-01.com.example:db1";
export const CLIENT_NQN = "nqn.2024-01.com.example:db1";
export const CHAP = { username: "db1", password: "Open-Sesame-123" };

export function id(name: string): string {
    return `${HOST}/${POOL}/${name}`;
}

/** The inputs in a state. */
export function volumeInputs(state: VolumeState): VolumeArgs {
    const { sizeBytes: _1, path: _2, generation: _3, poolId: _4, ...rest } = state;
    const { revertedWith: _5, safetySnapshot: _6, ...inputs } = rest;
    return inputs;
}

export function exportInputs(state: ExportState): ExportArgs {
    const { targetName: _1, serial: _2, devicePath: _3, generation: _4, drift: _5, ...rest } = state;
    const { connection: _6, poolId: _7, ...inputs } = rest;
    return inputs;
}

export function attachmentInputs(state: AttachmentState): AttachmentArgs {
    const { devicePath: _1, deviceBytes: _2, initiator: _3, paths: _4, multipathed: _5, ...rest } = state;
    const { targetName: _6, generation: _7, drift: _8, ...inputs } = rest;
    return inputs;
}

export function poolInputs(state: PoolState): PoolArgs {
    const { containerId: _1, generation: _2, sizeBytes: _3, members: _4, thinPool: _5, ...rest } = state;
    const { drift: _6, incomplete: _7, ...inputs } = rest;
    return inputs;
}

/** What is wrong, whether or not something was made before. */
export function failureOf(error: unknown): unknown {
    return error instanceof IncompleteCreation ? error.cause : error;
}

/** Expects an error with a code; returns it for more. */
export async function refused(what: Promise<unknown>, code: ErrorCode): Promise<BlockhostError> {
    const error = failureOf(
        await what.then(
            () => undefined,
            (reason: unknown) => reason,
        ),
    );
    assert(error instanceof BlockhostError, `expected the error ${code}, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return error;
}
