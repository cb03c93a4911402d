import { LUN } from "./compare";
import { declare, extraOf, type TgtContext, type TgtExport } from "./model";
import type { ExportWanted } from "../types";

/**
 * An export whose boot file is gone, which tgtd still serves. Only the state can tell that it is ours: its target name
 * is new for each making, and its unit's serial number follows from the generation; both have to be right.
 *
 * What comes of it is an unfinished export: to ensure it writes the boot file anew, to remove it takes it out of tgtd.
 */
export function orphan(context: TgtContext, want: ExportWanted, targetName: string): TgtExport | undefined {
    const live = extraOf(context.facts).live.get(targetName);
    if (live === undefined || context.facts.exports.has(want.name)) return undefined;
    const declared = declare(context.target, want);
    const unit = live.units.find(({ lun }) => lun === LUN);
    if (unit !== undefined && unit.serial !== declared.serial) return undefined;
    const users = [declared.incoming, declared.outgoing].flatMap((one) =>
        one === undefined ? [] : [one.user],
    );
    return {
        name: want.name,
        mark: { ...want.mark, phase: "creating" },
        targetName,
        devicePath: want.devicePath,
        serial: declared.serial,
        digest: declared.digest,
        differences: ["missing at the next start of the host: its boot file is gone"],
        sessions: live.sessions,
        extra: {},
        // Which secrets tgtd has for them was in the boot file only.
        declared: { ...declared, retired: [], uncertain: users },
        applied: false,
        sizeBytes: want.sizeBytes,
        device: "unknown",
        live,
    };
}
