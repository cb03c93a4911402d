// @ts-check
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.mjs";
import { checkout } from "../paths.mjs";
import { StepFailed } from "./progress.mjs";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lock
 */

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes node_modules/.package-lock.json last, so it
 * is there only after a complete install, and it says what is installed: a better stamp than one of our own, as it
 * also knows about an `npm install` done by hand.
 */
export function npmPackagesAreInstalled() {
    const installedPath = join(checkout, "node_modules", ".package-lock.json");
    if (!existsSync(installedPath)) return false;
    const wanted = readLock(join(checkout, "package-lock.json"));
    const installed = readLock(installedPath);
    return Object.entries(wanted.packages).every(([path, want]) => {
        if (path === "") return true;
        const have = installed.packages[path];
        if (!have) return want.optional === true || want.devOptional === true; // other platforms' binaries
        return have.version === want.version && have.integrity === want.integrity;
    });
}

/** @param {import("./progress.mjs").Say} say */
export async function installNpmPackages(say) {
    try {
        await run("npm", ["ci", "--no-progress", "--no-fund", "--no-audit"], {
            cwd: checkout,
            env: withoutNpmOptions(process.env),
            onLine: (line) => /^npm warn/.test(line) || say(line.slice(0, 60)),
        });
    } catch (error) {
        throw new StepFailed(
            "The npm packages could not be installed.",
            "see that the npm registry can be reached (`npm ping`), then run this again.",
            error,
        );
    }
}

/**
 * Within `npm pack --dry-run`, say, npm hands its own options on, and `npm ci` would follow them.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
function withoutNpmOptions(environment) {
    const options = ["npm_config_dry_run", "npm_config_json", "npm_config_ignore_scripts"];
    return Object.fromEntries(Object.entries(environment).filter(([name]) => !options.includes(name)));
}

/**
 * @param {string} path
 * @returns {Lock}
 */
function readLock(path) {
    return JSON.parse(readFileSync(path, "utf8"));
}
