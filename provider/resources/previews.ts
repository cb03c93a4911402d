import type * as z from "zod";
import type { HostFacts } from "../host/facts";
import type { Host } from "../host/host";
import type { HostReference } from "../host/hosts";
import { UNKNOWN, hasUnknown } from "../validate";
import { isUnasked, warnUnasked } from "./common";
import type { Context } from "./types";

/**
 * What a preview shows: inputs, and the outputs that can be told already.
 *
 * @param tell outputs from the host's facts; those that it leaves out stay as they are (an update) or unknown (a
 *     creation). It may throw: what is wrong has been said by `check` and `diff`, so here it just tells nothing.
 */
export async function previewed<Args extends { readonly host: HostReference }, State extends Args>(
    context: Context,
    args: Args,
    olds: State | undefined,
    lifecycle: { readonly outputs: z.ZodObject; readonly stable: readonly string[] },
    tell: (host: Host, facts: HostFacts) => Partial<Record<string, unknown>>,
): Promise<State> {
    // Of what refers to something that is only going to be made, the host may not be known yet.
    const known = (args.host as HostReference | undefined) !== undefined && !hasUnknown(args.host);
    const told = known ? await facts(context, args, tell) : undefined;
    const outputs: Record<string, unknown> = {};
    const shape: Record<string, z.ZodType> = lifecycle.outputs.shape;
    for (const [key, schema] of Object.entries(shape)) {
        const before = (olds as Record<string, unknown> | undefined)?.[key];
        const kept = olds !== undefined && (told !== undefined || lifecycle.stable.includes(key));
        if (kept) outputs[key] = before;
        else if (!schema.safeParse(undefined).success) outputs[key] = UNKNOWN;
    }
    return { ...args, ...outputs, ...told } as unknown as State;
}

async function facts(
    context: Context,
    args: { readonly host: HostReference },
    tell: (host: Host, facts: HostFacts) => Partial<Record<string, unknown>>,
): Promise<Partial<Record<string, unknown>> | undefined> {
    try {
        const host = context.hosts.get(args.host);
        return tell(host, await host.facts(context));
    } catch (error) {
        // What the resource goes without has been said by `check` or `diff`.
        if (isUnasked(error)) warnUnasked(context, error);
        return undefined;
    }
}
