import type * as z from "zod";
import type { CallOptions } from "../host/host";
import type { Hosts } from "../host/hosts";
import type { Failure } from "../validate";

/** What a face hands to every call of a lifecycle. */
export interface Context extends CallOptions {
    readonly hosts: Hosts;
    /** `blockhost:installation`, default `default`. */
    readonly installation: string;
    /** Shown to the user, without failing anything. */
    readonly warn: (message: string) => void;
}

/** What a change does to the running I/O of initiators, mildest first. */
export const CHANGE_CLASSES = ["none", "session-drop", "offline", "data-loss"] as const;
export type ChangeClass = (typeof CHANGE_CLASSES)[number];
/** Classes that have to be allowed by name. */
export const ALLOWABLE = ["session-drop", "offline", "data-loss"] as const;
export type Allowed = (typeof ALLOWABLE)[number];

/** One difference between what is and what is declared. */
export interface Change {
    readonly property: string;
    readonly kind: "update" | "replace";
    readonly class: ChangeClass;
    /** What happens, or why it cannot be otherwise: goes into the refusal. */
    readonly reason: string;
    /** How to get there without it, for the refusal. */
    readonly wayOut?: string;
}

export interface Checked {
    /** Inputs with defaults filled in. */
    readonly inputs: Record<string, unknown>;
    readonly failures: readonly Failure[];
}

/**
 * The lifecycle of one kind of resource. Both faces call this and nothing else. `Args` are inputs that passed
 * {@link check}; `State` is what is recorded: all inputs, and what the host made of them.
 */
export interface Lifecycle<Args = unknown, State = unknown> {
    readonly kind: string;
    readonly args: z.ZodType;
    /** Outputs that must be secret in state, beside inputs that were. */
    readonly secretOutputs: readonly string[];

    /** Every problem at once. For a new resource whose inputs are all known, also what the host has to say. */
    check(context: Context, olds: Partial<Args> | undefined, news: Record<string, unknown>): Promise<Checked>;
    /**
     * What would change. Empty: nothing.
     *
     * @throws BlockhostError for a change that is refused, with its class and the way out.
     */
    diff(context: Context, olds: State, news: Args): Promise<readonly Change[]>;
    /** @throws IncompleteCreation when it failed after something was made, with what is to be recorded. */
    create(context: Context, args: Args): Promise<{ id: string; state: State }>;
    /** `undefined`: gone, and its container is proven to be healthy. */
    read(context: Context, state: State): Promise<{ id: string; state: State } | undefined>;
    update(context: Context, olds: State, news: Args): Promise<State>;
    delete(context: Context, state: State): Promise<void>;
}
