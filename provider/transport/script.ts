/** What can be sent as a script at all. */
import { BlockhostError } from "../errors";

/** @throws BlockhostError `invalid` for a NUL byte, which no shell can take in. */
export function checkScript(script: string): void {
    if (!script.includes("\0")) return;
    throw new BlockhostError("invalid", "the script holds a NUL character, which a shell cannot take in", {
        hint: "check the names and values that went into it",
    });
}
