import * as z from "zod";
import type { Host } from "../../host/host";
import type { HostFacts } from "../../host/facts";
import type { HostReference } from "../../host/hosts";
import { BlockhostError } from "../../errors";
import { problemsOf } from "../../validate";
import { hostReferenceProblems, hostReferenceSchema, usablePool, type UsablePool } from "../common";
import type { Context } from "../types";

/** A function (data source): reads hosts, and changes nothing. Both faces offer it under the same name. */
export interface HostFunction<Args = Record<string, unknown>, Result = unknown> {
    readonly name: string;
    readonly args: z.ZodObject;
    readonly result: z.ZodObject;
    run(context: Context, args: Args): Promise<Result>;
}

export const hostArgument = hostReferenceSchema;
export const poolArgument = z.string().min(1).describe("Name of a pool of the host.");

/** Everything wrong with a function's arguments. */
export function argumentProblems(context: Context, of: HostFunction, args: Record<string, unknown>) {
    const failures = problemsOf(of.args, args);
    return [...failures, ...(args["host"] === undefined ? [] : hostReferenceProblems(context, args["host"]))];
}

/**
 * Calls a function.
 *
 * @throws BlockhostError `invalid` naming every argument that is not right
 */
export async function callFunction(
    context: Context,
    of: HostFunction,
    args: Record<string, unknown>,
): Promise<unknown> {
    const failures = argumentProblems(context, of, args);
    if (failures.length > 0) {
        throw new BlockhostError(
            "invalid",
            failures.map(({ property, reason }) => `${property}: ${reason}`).join("; "),
            { doing: of.name },
        );
    }
    return of.run(context, args);
}

export interface Place {
    readonly host: Host;
    readonly facts: HostFacts;
}

export async function placeOf(context: Context, reference: HostReference): Promise<Place> {
    const host = context.hosts.get(reference);
    return { host, facts: await host.facts(context) };
}

export function poolOf({ host, facts }: Place, pool: string): UsablePool {
    return usablePool(host.config, facts, pool);
}

/** Pools to look at: the one named, or all that can be read. */
export function poolsOf(context: Context, place: Place, named: string | undefined): UsablePool[] {
    if (named !== undefined) return [poolOf(place, named)];
    return [...place.host.config.pools.keys()].flatMap((name) => {
        try {
            return [poolOf(place, name)];
        } catch (error) {
            context.warn(error instanceof Error ? error.message : String(error));
            return [];
        }
    });
}
