// @ts-check
/**
 * The package as users get it, in node_modules/pulumi-blockhost of this checkout: compiled, packed and unpacked again.
 *
 * Not a symbolic link to the sources: Pulumi's closure serialiser copies what it finds through a link by value into
 * every resource's state, and a file that `files` in package.json forgets would not be missed.
 */
import { createHash } from "node:crypto";
import {
    cpSync,
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { run } from "./command.mjs";
import { atEnd } from "./lifetime.mjs";
import { checkout } from "./paths.mjs";
import { withLock } from "./prepare/lock.mjs";
import { StepFailed } from "./prepare/progress.mjs";

const unpacked = join(checkout, "node_modules", "pulumi-blockhost");
const stampFile = join(unpacked, ".packed-from");

/** What goes into the package, or decides what does. */
const sources = [
    "provider",
    "sdk/nodejs",
    "sdk/plugin",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "tsconfig.plugin.json",
];
const carriedAlong = [
    "package.json",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "docs",
    "bin",
    "plugin",
    "schema.json",
];

/** Whether node_modules/pulumi-blockhost was packed from the sources as they are now. */
export function packageIsUnpacked() {
    return existsSync(stampFile) && readFileSync(stampFile, "utf8") === sourcesHash();
}

/** Makes node_modules/pulumi-blockhost anew. */
export async function unpackPackage() {
    await withLock(unpacked, async () => {
        if (packageIsUnpacked()) return;
        const hash = sourcesHash();
        await inWorkDirectory(async (directory) => {
            const tarball = await pack(directory);
            await run("tar", ["-xzf", tarball, "-C", directory]);
            writeFileSync(join(directory, "package", ".packed-from"), hash);
            rmSync(unpacked, { recursive: true, force: true });
            renameSync(join(directory, "package"), unpacked);
        });
    });
}

/**
 * Compiles the sources and packs them.
 *
 * @param {string} directory to work in; must be empty
 * @returns {Promise<string>} the tarball's path
 */
export async function pack(directory) {
    const stage = join(directory, "stage");
    mkdirSync(stage, { recursive: true });
    for (const name of carriedAlong) {
        if (existsSync(join(checkout, name)))
            cpSync(join(checkout, name), join(stage, name), { recursive: true });
    }
    await compile(join(stage, "dist"));
    const packed = await run(
        "npm",
        ["pack", "--json", "--ignore-scripts", "--loglevel=error", "--pack-destination", directory],
        { cwd: stage },
    );
    return join(directory, JSON.parse(packed.stdout)[0].filename);
}

/** Compiles into `dist`, with nothing left there of earlier times. What `npm pack` and `npm publish` take it from. */
export async function build() {
    const dist = join(checkout, "dist");
    rmSync(dist, { recursive: true, force: true });
    await compile(dist);
}

/** @param {string} outDir */
async function compile(outDir) {
    const tsc = join(checkout, "node_modules", "typescript", "bin", "tsc");
    try {
        for (const config of ["tsconfig.build.json", "tsconfig.plugin.json"]) {
            await run(process.execPath, [tsc, "-p", config, "--outDir", outDir], { cwd: checkout });
        }
    } catch (error) {
        throw new StepFailed(
            "The provider does not compile.",
            "correct the errors above, then run this again.",
            error,
        );
    }
}

/**
 * Inside node_modules: the result is renamed into place, which needs the same file system.
 *
 * @param {(directory: string) => Promise<void>} work
 */
async function inWorkDirectory(work) {
    const directory = join(checkout, "node_modules", `.pulumi-blockhost-${process.pid}`);
    const remove = () => rmSync(directory, { recursive: true, force: true });
    const forget = atEnd(remove);
    remove();
    try {
        await work(directory);
    } finally {
        forget();
        remove();
    }
}

function sourcesHash() {
    const hash = createHash("sha256");
    for (const path of [...new Set([...sources, ...carriedAlong])].flatMap(filesBelow).sort()) {
        const content = readFileSync(join(checkout, path));
        hash.update(`${path}\0${content.length}\0`).update(content);
    }
    return hash.digest("hex");
}

/**
 * @param {string} path relative to the checkout
 * @returns {string[]}
 */
function filesBelow(path) {
    const absolute = join(checkout, path);
    if (!existsSync(absolute)) return [];
    try {
        return readdirSync(absolute).flatMap((name) => filesBelow(join(path, name)));
    } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOTDIR") return [path];
        throw error;
    }
}
