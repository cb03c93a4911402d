import type { AttachmentState } from "../../../provider/resources/attachment";
import type { ExportState } from "../../../provider/resources/export";
import type { PoolState } from "../../../provider/resources/pool";
import type { SnapshotState } from "../../../provider/resources/snapshot";
import type { VolumeState } from "../../../provider/resources/volume";
import type { ConnectionProperties } from "../../../provider/targets/types";
import type { Client } from "../../support/client";
import type { World } from "../world";

/**
 * An operation as a table row: what has to be there before, what a process of the provider is asked for, and how it
 * must look in the end. The same for every driver and target; what is on the host is seen through the {@link World} (or
 * another kind of host that is tormented) only.
 */
export interface Case<W = World> {
    readonly title: string;
    /** Makes what has to be there before; gives the states that {@link act} starts from. */
    readonly prepare?: (client: Client, name: string, world: W) => Promise<States>;
    /** The operation. It also runs in a process of its own: what it needs is in its arguments. */
    readonly act: (client: Client, name: string, before: States) => Promise<States>;
    /** Looks at the host, not at what the provider says of it. */
    readonly verify: (world: W, name: string, after: States, before: States) => Promise<void>;
    /** What must hold whenever the operation has been stopped, before anybody goes on with it. */
    readonly always?: (world: W, name: string) => Promise<void>;
    /** Names of what it leaves on the host without an owner, for {@link World.discard}. */
    readonly leaves?: (name: string) => readonly string[];
    /** Snapshots among them, which go before the volume that they are of. */
    readonly leavesSnapshots?: (name: string) => readonly string[];
    /** Has an export: stops of the target's daemon concern it. */
    readonly exported?: true;
    /** Concerns only targets that export read-only. */
    readonly readOnly?: true;
    /** `false`: no room of the pool is needed for it. */
    readonly touchesPool?: false;
    /** Remote runs in which a new process finds that there is nothing to do; default 1. */
    readonly reads?: number;
    /** Takes seconds a run (long work on the host): every third point is tried, and fewer within steps. */
    readonly slow?: true;
}

/** What the provider recorded, by a word of the case's own. Plain JSON, so that it can go to another process. */
export interface States {
    readonly volume?: VolumeState;
    readonly origin?: VolumeState;
    readonly snapshot?: SnapshotState;
    readonly export?: ExportState;
    readonly attachment?: AttachmentState;
    readonly pool?: PoolState;
    /** Of an export that is to be attached. */
    readonly connection?: ConnectionProperties;
    /** By what data of somebody else is adopted. */
    readonly reference?: string;
}

/** @throws TypeError when a case asks for what it has not prepared. */
export function need<T>(state: T | undefined): T {
    if (state === undefined) throw new TypeError("the case has not prepared this");
    return state;
}
