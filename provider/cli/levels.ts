/** How bad something is, as monitoring plugins say it; the exit status of each. */
export const LEVELS = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const;

export type Level = keyof typeof LEVELS;

/** What is not known may be as bad as anything, but what is known to be critical is worse. */
const ORDER: readonly Level[] = ["ok", "warning", "unknown", "critical"];

export function worst(levels: Iterable<Level>): Level {
    let index = 0;
    for (const level of levels) index = Math.max(index, ORDER.indexOf(level));
    return ORDER[index] ?? "ok";
}
