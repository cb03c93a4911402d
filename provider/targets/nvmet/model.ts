import { createHash } from "node:crypto";
import * as z from "zod";
import { commonDeclared, type Declaration, digestOf, type KernelExport, secretHash } from "../configfs/model";
import { portalsOf } from "../portals";
import { unitIdentity } from "../serial";
import type { ExportWanted, TargetContext, TargetRef } from "../types";
import type { NvmetOptions } from "./options";

export type NvmetRef = TargetRef<NvmetOptions>;
export type NvmetContext = TargetContext<NvmetOptions>;

export const ROOT = "/sys/kernel/config/nvmet";
/** The one namespace that an export has. */
export const NAMESPACE = 1;
/** Shown to hosts; with the serial number it is what udev's by-id names are made of. */
export const MODEL = "blockhost";

/** The boot file's `declared` line. Later versions may add fields; these stay. */
export const declaredSchema = commonDeclared.extend({
    /** `subsystems/<NQN>`. */
    subsystem: z.string(),
    uuid: z.string(),
    /** With hyphens, as the kernel shows it. */
    nguid: z.string(),
    /** Of hosts that have keys. */
    dhGroup: z.string(),
});
export type NvmetDeclared = Readonly<z.output<typeof declaredSchema>>;
export type NvmetExport = KernelExport<NvmetDeclared>;

/** Keys of secrets in the boot file's header. */
export function hostKey(nqn: string): string {
    return `host ${nqn}`;
}
export function controllerKey(nqn: string): string {
    return `controller ${nqn}`;
}

export function nqnOf({ subsystem }: Pick<NvmetDeclared, "subsystem">): string {
    return subsystem.replace("subsystems/", "");
}

export function declare(
    { target }: NvmetContext,
    want: ExportWanted,
    targetName: string,
): Declaration<NvmetDeclared> {
    const secrets: Record<string, string> = {};
    for (const { name, dhchap } of want.initiators) {
        if (dhchap === undefined) continue;
        secrets[hostKey(name)] = secretHash(dhchap.key.value);
        if (dhchap.controllerKey !== undefined)
            secrets[controllerKey(name)] = secretHash(dhchap.controllerKey.value);
    }
    const { serial } = unitIdentity(want.mark.generation);
    const fields = {
        devicePath: want.devicePath,
        readOnly: want.readOnly,
        discard: want.discard,
        initiators: want.initiators.map(({ name }) => name).sort(),
        portals: portalsOf(target, want),
        serial,
        subsystem: `subsystems/${targetName}`,
        ...namespaceIdentity(want.mark.generation),
        dhGroup: target.options.dhGroup,
    };
    const declared: NvmetDeclared = { digest: digestOf(want, fields, secrets), ...fields };
    return { declared, secrets, roots: [declared.subsystem] };
}

/** What hosts know a namespace by; new for each generation, and the same for its life. */
export function namespaceIdentity(generation: string): { uuid: string; nguid: string } {
    const hash = createHash("sha256").update(`blockhost namespace ${generation}`).digest("hex");
    const hyphens = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    // Version 8 of RFC 9562: of our own making. An NGUID has no such form, but must not begin with zeroes alone.
    const uuid = `${hash.slice(0, 12)}8${hash.slice(13, 16)}a${hash.slice(17, 32)}`;
    return { uuid: hyphens(uuid), nguid: hyphens(hash.slice(32, 64)) };
}
