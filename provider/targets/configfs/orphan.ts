import type { ExportWanted, TargetContext } from "../types";
import { type CommonDeclared, extraOf, type Helper, type KernelExport } from "./model";

/**
 * An export whose boot file is gone (the state directory was lost, or another one is configured), which the kernel still
 * serves. Only the state can tell that it is ours: its name is new for each making, and its serial number follows from
 * the generation; both have to be right.
 *
 * What comes of it is an unfinished export: to `ensure` it writes the boot file anew and all that differs, to `remove` it
 * takes it out of the kernel.
 */
export function orphan<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    context: TargetContext<O>,
    want: ExportWanted,
    targetName: string,
): KernelExport<D> | undefined {
    const { facts, target } = context;
    const extra = extraOf<Own>(facts);
    if (facts.exports.has(want.name) || extra.unreadable.has(want.name) || extra.gone.has(want.name))
        return undefined;
    // A creation whose answer was lost is recorded without its target's name.
    const name = targetName === "" ? helper.targetName(target, want.name, want.mark.generation) : targetName;
    const { declared, secrets } = helper.declare(context, want, name);
    const live = { ...extra.live, listeners: extra.listeners };
    if (!helper.isLive(declared, live)) return undefined;
    return {
        name: want.name,
        mark: { ...want.mark, phase: "creating" },
        targetName: name,
        devicePath: want.devicePath,
        serial: declared.serial,
        digest: declared.digest,
        differences: ["missing at the next start of the host: its boot file is gone"],
        sessions: helper.sessions(declared, live),
        orphaned: true,
        extra: {},
        declared,
        applied: false,
        closed: false,
        secrets,
        activation: want.activation,
        live,
    };
}
