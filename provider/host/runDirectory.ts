import { createHash } from "node:crypto";

/** Directory on a host for what goes with the next boot, by directories: one for each state directory. */
export function runDirectory(stateDirectory: string): string {
    return `/run/blockhost-${createHash("sha256").update(stateDirectory).digest("hex").slice(0, 8)}`;
}
