// @ts-check
import { existsSync, readFileSync } from "node:fs";

/** Sums what each provider process said about itself at its end, in BLOCKHOST_STATS_FILE. @param {string} file */
export function readStats(file) {
    const sums = { processes: 0, connections: 0, remoteRuns: 0, operations: 0 };
    if (!existsSync(file)) return sums;
    for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
        const { connections = 0, remoteRuns = 0, operations = 0 } = JSON.parse(line);
        sums.processes++;
        sums.connections += connections;
        sums.remoteRuns += remoteRuns;
        sums.operations += operations;
    }
    return sums;
}
