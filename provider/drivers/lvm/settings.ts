import { createHash } from "node:crypto";
import { Sh, quote, raw } from "../../sh";
import type { LvmOptions } from "./options";

/**
 * LVM's settings for every command of ours, given with `--config`. Logical volumes are never scanned for volume groups
 * (guests keep their own in them), nor are suspended devices, on which LVM would hang; and the filter keeps it off
 * devices whose content belongs to somebody else.
 */
export function settingsOf({ deviceFilter = DEFAULT_FILTER }: LvmOptions): string {
    const filter =
        deviceFilter.length === 0 ? "" : ` filter=[${deviceFilter.map((entry) => `"${entry}"`).join(",")}]`;
    return `devices { scan_lvs=0 ignore_suspended_devices=1${filter} }`;
}

const DEFAULT_FILTER = [
    "r|^/dev/drbd|",
    "r|^/dev/nbd|",
    "r|^/dev/rbd|",
    "r|^/dev/zd|",
    "r|^/dev/zvol/|",
    "r|^/dev/disk/by-path/.*-iscsi-|",
];

/** The shell variable that holds the settings: pools with the same settings share one. */
export function settingsName(options: LvmOptions): string {
    return `bh_lvm_c${createHash("sha256").update(settingsOf(options)).digest("hex").slice(0, 8)}`;
}

/** `bh_lvm…='…'`, once for each set of settings. */
export function defineSettings(all: readonly LvmOptions[]): Sh {
    const distinct = new Map(all.map((options) => [settingsName(options), settingsOf(options)]));
    return raw([...distinct].map(([name, text]) => `${name}=${quote(text)}`).join("\n"));
}

/**
 * An argument for LVM. Its shell takes lines apart at blanks and knows single quotes, but no escape for them.
 *
 * @throws TypeError for a text that must never have come this far.
 */
export function argument(text: string): string {
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (/['\\\x00-\x1f\x7f]/.test(text))
        throw new TypeError(`not an argument for LVM: ${JSON.stringify(text)}`);
    return text;
}

/** A command for LVM, run by the function `run`: `<run> <settings> <command> <arguments>`; shown as the plain command. */
export function command(run: string, options: LvmOptions, ...words: readonly string[]): Sh {
    const args = words.map((word) => quote(argument(word))).join(" ");
    return new Sh(`${run} "$${settingsName(options)}" ${args}`, `lvm ${args}`);
}
