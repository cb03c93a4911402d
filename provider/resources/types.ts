import type * as z from "zod";
import type { CallOptions } from "../host/host";
import type { Hosts } from "../host/hosts";
import type { Owner } from "../host/mark";
import type { Failure } from "../validate";

/** What a face hands to every call of a lifecycle. */
export interface Context extends CallOptions {
    readonly hosts: Hosts;
    /** `blockhost:installation`, default `default`. */
    readonly installation: string;
    /**
     * Shown to the user, without failing anything; the same message once.
     *
     * @param of the resource that the call is about, or the run as a whole: a host that several resources are on
     */
    readonly warn: (message: string, of?: "resource" | "run") => void;
    /** What is no reason to worry, of the run as a whole; the same message once. */
    readonly inform?: (message: string) => void;
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

export interface Imported<State = unknown> {
    readonly id: string;
    readonly inputs: Record<string, unknown>;
    readonly state: State;
}

/**
 * The lifecycle of one kind of resource. Both faces call this and nothing else. `Args` are inputs that passed
 * {@link check}; `State` is what is recorded: all inputs, and what the host made of them.
 */
export interface Lifecycle<Args = unknown, State = unknown> {
    readonly kind: string;
    readonly args: z.ZodType;
    /** What is recorded beside the inputs: outputs, each with a description. */
    readonly outputs?: z.ZodObject;
    /** Outputs that no update changes. */
    readonly stable?: readonly string[];
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
    /**
     * What a preview shows of a creation (without `olds`) or an update: outputs that follow from the host's facts,
     * {@link UNKNOWN} for those that only the operation itself can tell. Never changes anything; a host that cannot be
     * reached is a warning.
     */
    preview?(context: Context, args: Args, olds: State | undefined): Promise<State>;
    /**
     * What the host holds under an id: inputs that declare just that, and the state. Changes nothing. A volume that
     * carries no mark is imported with an empty generation: the next update takes it over.
     *
     * @param given what was given beside the id (an inline `host`)
     * @returns `undefined`: there is no such object.
     * @throws BlockhostError `not-ours`, `invalid` (not an id, unknown host or pool).
     */
    import?(
        context: Context,
        id: string,
        owner: Owner,
        given: Readonly<Record<string, unknown>>,
    ): Promise<Imported<State> | undefined>;
    /** `undefined`: gone, and its container is proven to be healthy. */
    read(context: Context, state: State): Promise<{ id: string; state: State } | undefined>;
    update(context: Context, olds: State, news: Args): Promise<State>;
    delete(context: Context, state: State): Promise<void>;
}
