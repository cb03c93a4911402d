// @ts-check
/**
 * A Python environment with Pulumi's SDK, for programs that use sdk/python; outside the checkout, named after what is in
 * it. Pulumi's own tools make one a project; here all share one.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.mjs";
import { atEnd } from "../lifetime.mjs";
import { cacheDirectory, checkout } from "../paths.mjs";
import { withLock } from "../prepare/lock.mjs";

const requirements = join(checkout, "tools", "pulumi", "requirements.txt");

function directory() {
    const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
    return join(cacheDirectory(), `python-${hash.slice(0, 16)}`);
}

/** @returns {string | undefined} the interpreter, if it is there */
export function findPython() {
    const python = join(directory(), "bin", "python3");
    return existsSync(python) ? python : undefined;
}

/** @param {import("../prepare/progress.mjs").Say} say */
export async function preparePython(say) {
    const target = directory();
    await withLock(target, async () => {
        if (findPython()) return;
        const unfinished = `${target}.${process.pid}`;
        const remove = () => rmSync(unfinished, { recursive: true, force: true });
        const forget = atEnd(remove);
        try {
            // Not --copies of an unfinished place: scripts in bin name their own path, and are not used.
            await run("python3", ["-m", "venv", unfinished]);
            say("installing Pulumi's SDK");
            await run(join(unfinished, "bin", "python3"), [
                ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements],
            ]);
            renameSync(unfinished, target);
        } finally {
            forget();
            remove();
        }
    });
}
