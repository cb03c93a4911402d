// @ts-check
/** Where things are. */
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** What is slow to build, keyed by what it was made from; outside the checkout, so that every checkout shares it. */
export function cacheDirectory() {
    return (
        process.env["BLOCKHOST_CACHE"] ??
        join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "blockhost")
    );
}
