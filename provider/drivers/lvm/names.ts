import type { PoolRef } from "../types";
import type { LvmOptions } from "./options";

/** Names that LVM can give and does not keep for itself (lvm(8), lib/misc/lvm-string.c: apply_lvname_restrictions). */

const RESERVED_PREFIXES = ["snapshot", "pvmove"];
const RESERVED_PARTS = [
    "_cdata",
    "_cmeta",
    "_corig",
    "_cpool",
    "_cvol",
    "_iorig",
    "_imeta",
    "_mimage",
    "_mlog",
    "_pmspare",
    "_rimage",
    "_rmeta",
    "_tdata",
    "_tmeta",
    "_vdata",
    "_vorigin",
    "_wcorig",
];
/** Longest name of a device-mapper device; hyphens in the parts of it count double, and LVM adds `-cow`, `-real`. */
const DM_NAME_MAX = 127;
const ADDED = "-real".length;

/** Why a text cannot name a volume group; `undefined`: it can. */
export function groupProblem(name: string): string | undefined {
    return grammarProblem(name);
}

/** Why a text cannot name a logical volume; `undefined`: it can. */
export function volumeProblem(name: string): string | undefined {
    const grammar = grammarProblem(name);
    if (grammar !== undefined) return grammar;
    const shown = JSON.stringify(name);
    const prefix = RESERVED_PREFIXES.find((one) => name.startsWith(one));
    if (prefix !== undefined) return `${shown} starts with "${prefix}", which LVM keeps for itself`;
    const part = RESERVED_PARTS.find((one) => name.includes(one));
    if (part !== undefined) return `${shown} holds "${part}", which LVM keeps for itself`;
    return undefined;
}

/** Why an object of a pool cannot have a name. */
export function nameProblem(pool: PoolRef<LvmOptions>, name: string): string | undefined {
    const problem = volumeProblem(name);
    if (problem !== undefined) return problem;
    const { volumeGroup } = pool.options;
    const length = doubled(volumeGroup) + 1 + doubled(`${name}.safety`) + ADDED;
    if (length > DM_NAME_MAX) {
        return `${JSON.stringify(name)} is too long together with volume group "${volumeGroup}": hyphens count double, and the kernel's device names hold ${String(DM_NAME_MAX)} characters`;
    }
    return undefined;
}

function grammarProblem(name: string): string | undefined {
    const shown = JSON.stringify(name.slice(0, 40));
    if (name === "") return "must not be empty";
    if (name === "." || name === "..") return `${shown} is no name for LVM`;
    if (name.startsWith("-")) return `${shown} starts with a hyphen`;
    if (!/^[A-Za-z0-9+_.-]+$/.test(name))
        return `${shown} can hold only letters, digits, "+", "_", "." and "-"`;
    if (name.length > DM_NAME_MAX) return `${shown} has more than ${String(DM_NAME_MAX)} characters`;
    return undefined;
}

function doubled(name: string): number {
    return name.length + (name.match(/-/g)?.length ?? 0);
}
