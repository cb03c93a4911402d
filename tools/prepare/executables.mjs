// @ts-check
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where administrators' tools are, which an ordinary user's PATH may lack. */
const systemDirectories = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/**
 * The path of an executable on PATH (or among the administrators' tools), without starting anything.
 *
 * @param {string} name
 * @param {readonly string[]} [directories]
 * @returns {string | undefined}
 */
export function findExecutable(name, directories = searchPath()) {
    return directories.map((directory) => join(directory, name)).find(isExecutable);
}

export function searchPath() {
    return [...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), ...systemDirectories];
}

/** @param {string} path */
export function isExecutable(path) {
    try {
        accessSync(path, constants.X_OK);
        return true;
    } catch {
        return false;
    }
}
