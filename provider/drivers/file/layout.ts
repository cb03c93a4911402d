import { createHash } from "node:crypto";
import { encodeField } from "../../host/mark";
import type { PlanContext, PoolRef } from "../types";
import type { FileOptions } from "./options";

/**
 * Where things lie in a pool.
 *
 *     <directory>/<name>.img                   bytes of a volume, snapshot or safety snapshot (one namespace)
 *     <directory>/.blockhost/pool              the pool's identity
 *     <directory>/.blockhost/reflink           `yes` or `no`: whether files can share extents
 *     <directory>/.blockhost/marks/<name>      owner mark of <name>.img
 *     <directory>/.blockhost/work/<name>~<id>.part|.done    a copy under way, a copy that is complete
 *     <state directory>/pools/<directory>      the identity that this host saw there last
 *
 * Identity, marks and notes are **symbolic links whose target is the text**. `symlink(2)` creates one atomically and
 * exclusively (EEXIST is the guard), `ln -sfnT` replaces one atomically (coreutils ≥ 8.30: `symlinkat` to a temporary
 * name, `renameat`), one `find -printf %l` reads them all, and a link's text is journaled as metadata (XFS, btrfs,
 * ext4), so a power cut leaves the old or the new mark, never half of one. The 1024 characters of a mark are the most
 * that XFS can take.
 *
 * All paths below are relative to the pool's directory.
 */

export const OWN = ".blockhost";
export const POOL_LINK = `${OWN}/pool`;
export const REFLINK_LINK = `${OWN}/reflink`;
export const MARKS = `${OWN}/marks`;
export const WORK = `${OWN}/work`;

/** A name that may become part of a path; the resources' grammar (`provider/names.ts`) is narrower. */
export function isObjectName(name: string): boolean {
    return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) && name.length <= 200;
}

/** @throws TypeError for a name that must never have come this far. */
export function dataFile(name: string): string {
    return `${checked(name)}.img`;
}

export function markFile(name: string): string {
    return `${MARKS}/${checked(name)}`;
}

/** A copy: `.part` until it is complete and on disk, then `.done`. */
export function workFile(name: string, id: string, state: "part" | "done"): string {
    return `${WORK}/${checked(name)}~${id}.${state}`;
}

function checked(name: string): string {
    if (!isObjectName(name)) throw new TypeError(`not the name of an object: ${JSON.stringify(name)}`);
    return name;
}

/**
 * How an object is called in facts: `<name>` for `<name>.img`, and `./<file>` for any other file, which no name of
 * ours can clash with.
 */
export function objectOfFile(file: string): string {
    const stem = /^(.+)\.img$/s.exec(file)?.[1];
    return stem !== undefined && isObjectName(stem) ? stem : `./${file}`;
}

/** The file name that {@link objectOfFile} was made from. */
export function fileOfObject(object: string): string {
    return object.startsWith("./") ? object.slice(2) : `${object}.img`;
}

/** Where the host remembers which pool a directory held; filed under the directory as configured. */
export function recordFile(pool: PoolRef<FileOptions>): string {
    const encoded = encodeField(pool.options.directory.slice(1));
    const name = encoded.length <= 200 ? encoded : digest(pool.options.directory, 64);
    return `${pool.stateDirectory}/pools/${name}`;
}

/** The pool's real directory, symbolic links resolved; as configured while it has not been seen. */
export function poolDirectory(context: PlanContext<FileOptions>): string {
    return context.facts.extra["directory"] ?? context.pool.options.directory;
}

/** Short name for something whose own name may hold anything. */
export function digest(text: string, length = 12): string {
    return createHash("sha256").update(text).digest("hex").slice(0, length);
}
