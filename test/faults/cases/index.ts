import { exports } from "./exports";
import { ownership } from "./ownership";
import type { Case } from "./types";
import { copies, creations, longWork } from "./volumes";

export const CASES = { creations, copies, longWork, ownership, exports };

/** A case by its title: all that another process can be told of it. */
export function caseOf(title: string): Case {
    const found = Object.values(CASES)
        .flat()
        .find((one) => one.title === title);
    if (found === undefined) throw new TypeError(`no such case: ${title}`);
    return found;
}
