// @ts-check
/**
 * A Python environment with Pulumi's SDK, a type checker and ours, packed, for programs that use it; outside the checkout, named after
 * what is in it. Pulumi's own tools make one a project; here all share one.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.mjs";
import { atEnd, removeDirectory, temporaryDirectory } from "../lifetime.mjs";
import { cacheDirectory, checkout } from "../paths.mjs";
import { withLock } from "../prepare/lock.mjs";
import { schemaExamples } from "../schema-examples.mjs";

const sdk = join(checkout, "sdk", "python");
const requirements = join(checkout, "tools", "pulumi", "requirements.txt");

function directory() {
    const hash = createHash("sha256").update(readFileSync(requirements));
    for (const file of sources()) hash.update(`${file}\0`).update(readFileSync(join(sdk, file)));
    return join(cacheDirectory(), `python-${hash.digest("hex").slice(0, 16)}`);
}

function sources() {
    return readdirSync(sdk, { recursive: true, encoding: "utf8" })
        .filter((file) => /\.(py|pyi|toml|typed|json|md)$/.test(file))
        .sort();
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
            say("packing and installing ours");
            // pip builds where the sources are, and leaves things there.
            const copy = join(unfinished, "sdk");
            for (const file of sources()) cpSync(join(sdk, file), join(copy, file));
            await run(join(unfinished, "bin", "python3"), [
                ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", copy],
            ]);
            renameSync(unfinished, target);
        } finally {
            forget();
            remove();
        }
    });
}

/** Types of the example, and of those in the schema, by what our SDK declares. */
export async function checkPython() {
    const python = findPython();
    if (!python) throw new Error("prepare() was not asked for python");
    const cache = join(directory(), "mypy");
    const files = [join(checkout, "examples", "quickstart-python", "__main__.py")];
    const folder = temporaryDirectory("python-examples");
    try {
        for (const { of, text } of schemaExamples("python")) {
            const file = join(folder, `example_${of}.py`);
            writeFileSync(file, text);
            files.push(file);
        }
        await run(python, ["-m", "mypy", "--cache-dir", cache, "--strict", ...files], { cwd: checkout });
    } finally {
        removeDirectory(folder);
    }
}
