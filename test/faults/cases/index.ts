import { attachments, multipathd } from "./attachments";
import { exports, longExports } from "./exports";
import { ownership } from "./ownership";
import { pools } from "./pools";
import type { Case } from "./types";
import { copies, creations, longWork } from "./volumes";

export const CASES = {
    creations,
    copies,
    longWork,
    ownership,
    exports,
    longExports,
    attachments,
    multipathd,
    pools,
};

/** A case by its title: all that another process can be told of it. */
export function caseOf(title: string): Pick<Case, "act"> {
    const all: readonly Pick<Case, "title" | "act">[] = Object.values(CASES).flat();
    const found = all.find((one) => one.title === title);
    if (found === undefined) throw new TypeError(`no such case: ${title}`);
    return found;
}
