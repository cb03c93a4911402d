import { createHash } from "node:crypto";

/** Eight digits that tell a state directory from others, in names that have room for no path. */
export function stateDirectoryKey(stateDirectory: string): string {
    return createHash("sha256").update(stateDirectory).digest("hex").slice(0, 8);
}

/** Directory on a host for what goes with the next boot, by directories: one for each state directory. */
export function runDirectory(stateDirectory: string): string {
    return `/run/blockhost-${stateDirectoryKey(stateDirectory)}`;
}
