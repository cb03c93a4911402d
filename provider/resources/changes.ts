import { BlockhostError } from "../errors";
import { type Allowed, type Change, CHANGE_CLASSES, type ChangeClass } from "./types";

/** Why a change that concerns nothing on the host is one. */
export const RECORDED = "is recorded";

/** A property that only counts for us, or in the owner mark. */
export function recorded(property: string): Change {
    const reason = property === "owner" ? "the owner mark on the host is changed to it" : RECORDED;
    return { property, kind: "update", class: "none", reason };
}

/** A creation that was cut short is finished. */
export const COMPLETION: Change = {
    property: "incomplete",
    kind: "update",
    class: "none",
    reason: "what was begun is finished",
};

/** What is wrong with an object on the host is mended. */
export const MENDING: Change = {
    property: "health",
    kind: "update",
    class: "none",
    reason: "what is wrong with it on the host is mended",
};

/** A revert has closed an export, and has left it so. */
export const OPENING: Change = {
    property: "health",
    kind: "update",
    class: "none",
    reason: "what going back to a snapshot has closed is exported again",
};

/** What was imported without a mark gets one. */
export const TAKING_OVER: Change = {
    property: "generation",
    kind: "update",
    class: "none",
    reason: "it is taken over: it gets an owner mark, and its data stays as it is",
};

/**
 * Refuses changes of a class that `allow` does not name.
 *
 * @throws BlockhostError `in-use` (`data-loss`: `invalid`) with all that is refused, why, and the ways out.
 */
export function refuseUnlessAllowed(
    doing: string,
    changes: readonly Change[],
    allow: readonly Allowed[],
    host: string | undefined,
): void {
    const refused = changes.filter((change) => change.class !== "none" && !allow.includes(change.class));
    const worst = worstClass(refused);
    if (worst === "none") return;
    const said = refused
        .map(({ property, class: c, reason }) => `\`${property}\`: ${reason} (${c})`)
        .join("; ");
    const ways = [...new Set(refused.map(({ wayOut }) => wayOut).filter((way) => way !== undefined))];
    const classes = [...new Set(refused.map((change) => `"${change.class}"`))].join(", ");
    ways.push(`if it is meant, set \`allow: [${classes}]\` on the resource`);
    throw new BlockhostError(worst === "data-loss" ? "invalid" : "in-use", `refused: ${said}`, {
        doing,
        host,
        hint: ways.join("; or "),
        properties: [...new Set(refused.map(({ property }) => property))],
    });
}

export function worstClass(changes: readonly Change[]): ChangeClass {
    const worst = Math.max(0, ...changes.map((change) => CHANGE_CLASSES.indexOf(change.class)));
    return CHANGE_CLASSES[worst] ?? "none";
}
