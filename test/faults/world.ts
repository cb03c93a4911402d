import type { ExportState } from "../../provider/resources/export";
import { Client, type ClientOptions } from "../support/client";
import type { Who } from "./access";

/**
 * A host to be tormented. Suites and cases know nothing but this, so another driver, target or kind of host is another
 * implementation (`embeddedWorld.ts` is the one on this machine).
 *
 * Everything that looks at the host does so beside the provider: none of its code, none of its connections.
 */
export interface Tormented {
    /** What it stands for in results: `file, reflink`. */
    readonly title: string;
    /** The host's entry in `blockhost:hosts`. Plain JSON. */
    configuration(more?: Readonly<Record<string, unknown>>): Record<string, unknown>;
    /** A shell command on the host, as root. */
    sh(script: string): Promise<string>;
    stop(): Promise<void>;
    /** Ends and removes everything, after a failure. */
    reset(): Promise<void>;
    /** Makes and deletes one of each, so that all later operations leave the host as it is then. */
    warmUp(client: Client): Promise<void>;
    /** Removes data that carries no mark any more, or what a case has prepared beside its objects. */
    discard(name: string): Promise<void>;

    /**
     * Everything of ours on the host, one line a thing: files, links, objects, targets, accounts, held locks, processes
     * of runs. What differs from one making to the next (generations, serial numbers, target ids) is left out.
     */
    inventory(): Promise<string[]>;

    // What can happen to it.
    killShells(): Promise<void>;
    cutConnections(): Promise<void>;
    /** Cuts the connection once so many bytes more have come in. */
    cutAfter(bytes: number): void;
    /** Everything that runs there ends at once and it cannot be reached. What was not synced is kept all the same. */
    powerOff(): Promise<void>;
    /** It boots, with what brings exports back. */
    powerOn(): Promise<void>;

    /** Where points halt ({@link Saboteur}); on the host, outside of all that is ours. */
    readonly haltDirectory: string;
    /** Whether a file is there. Asked often: to be cheap. */
    sees(path: string): Promise<boolean>;
}

/** A storage host, with what backs its volumes and exports. */
export interface World extends Tormented {
    /** Bytes that sizes are multiples of. */
    readonly grain: number;
    /** Whether it has targets; without, no export is made. */
    readonly exports: boolean;
    /** Whether an export is never reached on a portal that it has given up; with tgt it is where others are. */
    readonly closesPortals: boolean;

    // Data, by the names of objects.
    exists(name: string): Promise<boolean>;
    /** Names of all that there are. */
    objects(): Promise<string[]>;
    /** Bytes. */
    size(name: string): Promise<number>;
    /** Writes one byte over and over from the start, 4 KiB unless told how much. */
    fill(name: string, byte: number, bytes?: number): Promise<void>;
    firstByte(name: string): Promise<number>;
    /** Of the whole content. */
    digest(name: string): Promise<string>;
    /** The owner in an object's mark. */
    ownerOf(name: string): Promise<string>;
    /**
     * Makes data that carries no mark, as an administrator would; gives the reference by which it is adopted. Where
     * snapshots belong to a volume, it is one `of` that, which is overwritten for it.
     */
    somebodysData(name: string, byte: number, bytes: number, of?: string): Promise<string>;

    // Exports.
    /** Addresses by which an export is reached, as its connection has them. */
    portals(state: ExportState): readonly string[];
    /** The reason why a login was refused, or `""`. */
    login(state: ExportState, who: Who, portal?: string): Promise<string>;
    /** The size that initiators see, bytes. */
    capacity(state: ExportState, who: Who): Promise<number>;
    readThrough(state: ExportState, who: Who, length: number): Promise<Buffer>;
    /** Names of all targets that the daemon or kernel has. */
    targets(): Promise<string[]>;
    /** Takes a target away behind everybody's back. */
    dropTarget(targetName: string): Promise<void>;
    exportOwner(name: string): Promise<string>;
    killDaemon(): Promise<void>;
    startDaemon(): Promise<void>;
    /** Takes all the room of a file system; gives what makes room again. */
    fillUp(what: Volume): Promise<() => Promise<void>>;
}

/** {@link Tormented.warmUp} of storage hosts. */
export async function firstVolume(client: Client, exports: boolean): Promise<void> {
    const volume = await client.volume("first");
    if (exports) await client.delete(await client.export("first", "first"));
    await client.delete(volume);
}

/** A file system that can be full: the pool's, or that of the state directory. */
export type Volume = "pool" | "state directory";

/** A process of the provider; several at once where a case needs it. */
export function clientOf(world: Tormented, options: ClientOptions = {}): Client {
    return new Client(world, options);
}
