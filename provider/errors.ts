/**
 * The one error of the project. Every failure that a user can meet is a {@link BlockhostError} with one code of
 * a closed set, so that both faces can map it (to a retry, to a gRPC status) without reading its text.
 */

/** The closed set of error codes. */
export const ERROR_CODES = [
    "not-found",
    "exists",
    "not-ours",
    "busy",
    "in-use",
    "no-space",
    "conflict",
    "unsupported",
    "invalid",
    "auth",
    "host-key",
    "unreachable",
    "timeout",
    "cancelled",
    "command-failed",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Names of gRPC status codes, as `grpc.status` has them. */
export type GrpcStatus =
    | "CANCELLED"
    | "INVALID_ARGUMENT"
    | "DEADLINE_EXCEEDED"
    | "NOT_FOUND"
    | "ALREADY_EXISTS"
    | "PERMISSION_DENIED"
    | "RESOURCE_EXHAUSTED"
    | "FAILED_PRECONDITION"
    | "ABORTED"
    | "UNIMPLEMENTED"
    | "UNAVAILABLE"
    | "UNAUTHENTICATED";

/**
 * What each code means to the faces: the gRPC status of the plugin, and whether trying again may help.
 *
 * Never INTERNAL, UNKNOWN or DATA_LOSS: Pulumi takes these to mean that nobody knows what has become of the resource,
 * and asks a person. We do know: what was begun is marked on the host, and is finished by the next run.
 */
export const ERROR_TABLE: Record<ErrorCode, { grpc: GrpcStatus; retry: boolean }> = {
    "not-found": { grpc: "NOT_FOUND", retry: false },
    exists: { grpc: "ALREADY_EXISTS", retry: false },
    "not-ours": { grpc: "PERMISSION_DENIED", retry: false },
    busy: { grpc: "UNAVAILABLE", retry: true },
    "in-use": { grpc: "FAILED_PRECONDITION", retry: false },
    "no-space": { grpc: "RESOURCE_EXHAUSTED", retry: false },
    conflict: { grpc: "ABORTED", retry: true },
    unsupported: { grpc: "UNIMPLEMENTED", retry: false },
    invalid: { grpc: "INVALID_ARGUMENT", retry: false },
    auth: { grpc: "UNAUTHENTICATED", retry: false },
    "host-key": { grpc: "UNAUTHENTICATED", retry: false },
    unreachable: { grpc: "UNAVAILABLE", retry: true },
    timeout: { grpc: "DEADLINE_EXCEEDED", retry: true },
    cancelled: { grpc: "CANCELLED", retry: false },
    "command-failed": { grpc: "FAILED_PRECONDITION", retry: false },
};

export interface ErrorDetails {
    /** What was being done, as a user would say it: `create volume "pg-data"`. */
    doing?: string | undefined;
    /** Name of the storage host as in the configuration. */
    host?: string | undefined;
    /** Label of the step that failed. */
    step?: string | undefined;
    /** The command of that step, secrets redacted. */
    command?: string | undefined;
    /** Exit status on the host. */
    exitStatus?: number | undefined;
    /** The end of what the host wrote on standard error, secrets redacted. */
    stderr?: string | undefined;
    /** Path of the input that has to be changed, where one has: `source.snapshot`. */
    property?: string | undefined;
    /** What to do next. */
    hint?: string | undefined;
    /** Steps were sent to the host before it failed, so something may have been made or changed there. */
    begun?: boolean | undefined;
    /** Inputs that it is about. */
    properties?: readonly string[] | undefined;
    cause?: unknown;
}

/** An error with a code, where it happened, what the host said and what to do next. */
export class BlockhostError extends Error {
    readonly code: ErrorCode;
    readonly details: ErrorDetails;
    /** The bare sentence, without the context that `message` adds. */
    readonly summary: string;

    constructor(code: ErrorCode, summary: string, details: ErrorDetails = {}) {
        super(
            compose(code, summary, details),
            details.cause === undefined ? undefined : { cause: details.cause },
        );
        this.name = "BlockhostError";
        this.code = code;
        this.summary = summary;
        this.details = details;
    }

    /** The same error with more context; what is already known stays. */
    with(details: ErrorDetails): BlockhostError {
        const known = Object.fromEntries(Object.entries(this.details).filter(([, v]) => v !== undefined));
        return new BlockhostError(this.code, this.summary, { ...details, ...known });
    }
}

function compose(code: ErrorCode, summary: string, d: ErrorDetails): string {
    const place = [d.doing, d.host === undefined ? undefined : `on host "${d.host}"`]
        .filter(Boolean)
        .join(" ");
    const lines = [`${place === "" ? "" : `${place}: `}${summary} [${code}]`];
    if (d.step !== undefined) {
        const status = d.exitStatus === undefined ? "" : ` (exit status ${String(d.exitStatus)})`;
        lines.push(`  step: ${d.step}${status}`);
    }
    if (d.command !== undefined) lines.push(`  command: ${tail(d.command, 400)}`);
    if (d.stderr !== undefined && d.stderr.trim() !== "") {
        lines.push(`  the host said: ${tail(d.stderr.trim(), 2000).replaceAll("\n", "\n    ")}`);
    }
    if (d.hint !== undefined) lines.push(`  what to do: ${d.hint}`);
    return lines.join("\n");
}

function tail(text: string, length: number): string {
    return text.length <= length ? text : `…${text.slice(-length)}`;
}

/** Anything thrown, as a {@link BlockhostError}; an unknown error becomes `command-failed` with its cause kept. */
export function toBlockhostError(error: unknown, details: ErrorDetails = {}): BlockhostError {
    if (error instanceof BlockhostError) return error.with(details);
    const message = error instanceof Error ? error.message : String(error);
    return new BlockhostError("command-failed", message, { ...details, cause: error });
}

/** True for an error of this project with one of the codes given. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is BlockhostError {
    return error instanceof BlockhostError && codes.includes(error.code);
}
