import type { Client, ClientOptions } from "../../support/client";

/** A host with a pool of one driver, and what tests do there behind the provider's back. */
export interface VolumeBackend {
    start(): Promise<void>;
    stop(): Promise<void>;
    /** A process of the provider with this host; its pool is called as `POOL`. */
    client(options: ClientOptions): Client;

    /** Bytes that sizes are multiples of; 4 MiB is a multiple of it. */
    readonly grain: number;
    /** Space is taken as it is written. */
    readonly thin: boolean;
    /** How many volumes count as many here; a multiple of 20. */
    readonly many: number;
    /** Options of the same pool when it promises no more than it has. */
    readonly withoutOverSubscription: Readonly<Record<string, unknown>>;

    /** The device or file that an object must have. */
    path(name: string): string;
    exists(name: string): Promise<boolean>;
    sizeOf(name: string): Promise<number>;
    /** Overwrites the beginning of an object. */
    fill(name: string, byte: number, length?: number): Promise<void>;
    firstByte(name: string): Promise<number | undefined>;
    /** Keeps an object open until the function returned is called. */
    open(name: string): Promise<() => Promise<void>>;

    /** Makes an object of 4 MiB without a mark that has the name of one of ours. */
    foreign(name: string, byte: number): Promise<void>;
    /** Makes one to be adopted; returns the reference. */
    legacy(name: string, byte: number): Promise<string>;
    removeBehind(name: string): Promise<void>;
    unmark(name: string): Promise<void>;
    growBehind(name: string, sizeBytes: number): Promise<void>;
    /** Takes an object's device away, where that is not the object itself. */
    readonly takeDown?: (name: string) => Promise<void>;
    /** Ways to take the pool away; each returns how to bring it back. */
    readonly takeAway: Readonly<Record<string, () => Promise<() => Promise<void>>>>;
    /** Unfinished copies, units and the like. */
    leftovers(): Promise<string[]>;
}
