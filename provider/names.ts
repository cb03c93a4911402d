/**
 * Names of objects on a host. The grammar is the common part of what LVM, file names, IQNs and NQNs can carry, so a
 * name never has to change when a volume moves to another driver.
 */

export const NAME_MAX_LENGTH = 63;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** Ending that the safety snapshot of a revert gets. */
export const SAFETY_SUFFIX = ".safety";

/** Why a text cannot be the name of a volume, a snapshot or an export; `undefined`: it can. */
export function nameProblem(name: string): string | undefined {
    const shown = JSON.stringify(name.length <= 40 ? name : `${name.slice(0, 37)}…`);
    if (name === "") return "must not be empty";
    if (name.length > NAME_MAX_LENGTH) {
        return `${shown} has ${String(name.length)} characters; at most ${String(NAME_MAX_LENGTH)} are possible`;
    }
    if (!NAME.test(name)) {
        return `${shown} can hold only the letters A to Z and a to z, digits, "_", "." and "-", and must start with a letter, a digit or "_"`;
    }
    if (name.endsWith(SAFETY_SUFFIX))
        return `${shown} ends in "${SAFETY_SUFFIX}", which is kept for safety snapshots`;
    return undefined;
}

/** Second part of an attachment's id, where exports have their protocol. */
export const ATTACHMENTS = "attachment";

/**
 * The parts of a resource's id: `<host>/<pool>/<name>`, for exports `<host>/<protocol>/<name>`, for attachments
 * `<host>/attachment/<name>`.
 */
export interface Id {
    readonly host: string;
    /** Pool, protocol, or {@link ATTACHMENTS}. */
    readonly container: string;
    readonly name: string;
}

export function formatId(id: Id): string {
    return `${id.host}/${id.container}/${id.name}`;
}

export function parseId(text: string): Id | undefined {
    const [host, container, name, ...rest] = text.split("/");
    if (host === undefined || container === undefined || name === undefined || rest.length > 0)
        return undefined;
    if (HOST_NAME.test(host) && HOST_NAME.test(container) && nameProblem(name) === undefined) {
        return { host, container, name };
    }
    return undefined;
}

/** Names of hosts and pools in the configuration. */
export const HOST_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;
