import * as pulumi from "@pulumi/pulumi";
import type * as Functions from "../../provider/faces/dynamic/functions";
import type * as results from "./results";
import type { Host } from "./types";

/**
 * Functions that read hosts and change nothing, with the same names, arguments and results as those of the plugin. They
 * run in the program itself, over a connection of its own.
 */

type Plain<T> = { [K in keyof T]: T[K] };
/** The same arguments, each of which may be an output. */
export type Inputs<T> = { [K in keyof T]: pulumi.Input<T[K]> };

type PlainHost = pulumi.Unwrap<Host>;

export interface GetHostArgs {
    /** Name of a host in `blockhost:hosts`, or a host given inline. */
    host: PlainHost;
}

export interface GetPoolArgs extends GetHostArgs {
    /** Name of a pool of the host. */
    pool: string;
}

export interface GetVolumeArgs extends GetPoolArgs {
    /** Name on the host. */
    name: string;
}

export type GetSnapshotArgs = GetVolumeArgs;

export interface GetManageableArgs extends GetPoolArgs {
    kind?: "volume" | "snapshot";
    /** Begin after this reference: `next` of the page before. */
    marker?: string;
    /** Most items of a page; default 1000. */
    limit?: number;
    offset?: number;
    sortKey?: "reference" | "sizeBytes";
    sortDirection?: "asc" | "desc";
}

export interface GetOrphansArgs extends GetHostArgs {
    organization?: string;
    project?: string;
    stack?: string;
    /** Ids of what the stack does declare: with it, all else of its objects is an orphan, too. */
    known?: string[];
}

export interface GetUnmanagedArgs extends GetHostArgs {
    pool?: string;
}

async function call<Result>(name: string, args: object): Promise<Result> {
    // Loaded when first called: most programs have no use for it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const core = require("../../provider/faces/dynamic/functions") as typeof Functions;
    const config = new pulumi.Config("blockhost");
    const result: unknown = await core.call(
        name,
        args as Record<string, unknown>,
        (key) => config.get(key),
        (message) => void pulumi.log.warn(message),
    );
    return result as Result;
}

function output<Result>(name: string, args: object): pulumi.Output<Result> {
    return pulumi
        .output(args as Record<string, unknown>)
        .apply((known) => call<Result>(name, known as object));
}

/** Facts of a host: what it is, what its pools and targets lack, and its names as an initiator. */
export const getHost = (args: Plain<GetHostArgs>) => call<results.GetHostResult>("getHost", args);
export const getHostOutput = (args: Inputs<GetHostArgs>) => output<results.GetHostResult>("getHost", args);

/** Capacity, over-subscription and capabilities of a pool. */
export const getPool = (args: GetPoolArgs) => call<results.GetPoolResult>("getPool", args);
export const getPoolOutput = (args: Inputs<GetPoolArgs>) => output<results.GetPoolResult>("getPool", args);

/** A volume as it is on the host, whoever made it. */
export const getVolume = (args: GetVolumeArgs) => call<results.GetVolumeResult>("getVolume", args);
export const getVolumeOutput = (args: Inputs<GetVolumeArgs>) =>
    output<results.GetVolumeResult>("getVolume", args);

/** A snapshot as it is on the host, whoever made it. */
export const getSnapshot = (args: GetSnapshotArgs) => call<results.GetSnapshotResult>("getSnapshot", args);
export const getSnapshotOutput = (args: Inputs<GetSnapshotArgs>) =>
    output<results.GetSnapshotResult>("getSnapshot", args);

/** What a pool holds that could be taken over with `adopt`, or the reason why not. */
export const getManageable = (args: GetManageableArgs) =>
    call<results.GetManageableResult>("getManageable", args);
export const getManageableOutput = (args: Inputs<GetManageableArgs>) =>
    output<results.GetManageableResult>("getManageable", args);

/** What carries an owner mark, but is of no use any more. */
export const getOrphans = (args: GetOrphansArgs) => call<results.GetOrphansResult>("getOrphans", args);
export const getOrphansOutput = (args: Inputs<GetOrphansArgs>) =>
    output<results.GetOrphansResult>("getOrphans", args);

/** What a host holds that carries no owner mark. */
export const getUnmanaged = (args: GetUnmanagedArgs) =>
    call<results.GetUnmanagedResult>("getUnmanaged", args);
export const getUnmanagedOutput = (args: Inputs<GetUnmanagedArgs>) =>
    output<results.GetUnmanagedResult>("getUnmanaged", args);
