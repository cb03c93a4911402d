import { type BlockhostError, toBlockhostError } from "../errors";
import type { HostFacts } from "../host/facts";
import type { Host, Operation } from "../host/host";
import { isEmpty } from "../host/plan";
import type { Context } from "./types";

/**
 * A creation failed after it had begun to change the host. What there is of the resource is recorded, so that the next
 * run finishes it, or deletes it if the program no longer has it.
 */
export class IncompleteCreation extends Error {
    readonly id: string;
    /** As a creation that succeeded would have returned it. */
    readonly state: unknown;
    override readonly cause: BlockhostError;

    constructor(id: string, state: unknown, cause: BlockhostError) {
        super(cause.message);
        this.name = "IncompleteCreation";
        this.id = id;
        this.state = state;
        this.cause = cause;
    }
}

/**
 * Carries out a creation.
 *
 * @param incomplete what to record of it after a failure; facts are `undefined` where the host cannot be asked any more.
 *     Gives `undefined` where nothing was made.
 * @throws IncompleteCreation, or a BlockhostError where nothing was made.
 */
export async function performCreation<T>(
    context: Context,
    host: Host,
    operation: Operation<T>,
    id: string,
    incomplete: (facts: HostFacts | undefined) => T | undefined,
): Promise<{ id: string; state: T }> {
    let planned = false;
    const plan = (facts: HostFacts) => {
        const next = operation.plan(facts);
        planned ||= !isEmpty(next);
        return next;
    };
    try {
        const state = await host.perform({ ...operation, plan }, context);
        if (!planned)
            context.warn(
                `${operation.doing}: it was there already, made for this resource by an earlier run`,
            );
        return { id, state };
    } catch (error) {
        const failure = toBlockhostError(error);
        if (failure.details.begun !== true) throw failure;
        // Without the operation's signal: also what was cancelled has to be recorded.
        const facts = await host.facts().catch(() => undefined);
        const state = incomplete(facts);
        throw state === undefined ? failure : new IncompleteCreation(id, state, failure);
    }
}
