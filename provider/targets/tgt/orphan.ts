import type { ExportWanted } from "../types";
import { unitOf } from "./compare";
import { declare, extraOf, nameOfTarget, type TgtContext, type TgtExport } from "./model";

/**
 * An export whose boot file is gone (the state directory was lost, or another one is configured), which tgtd still serves.
 * Only the state can tell that it is ours: its target name is new for each making, and its unit's serial number follows
 * from the generation; both have to be right.
 *
 * What comes of it is an unfinished export: to `ensure` it writes the boot file anew, to `remove` it takes it out of tgtd.
 * That the secret of an account is the one in the state is taken on trust where the account is bound to the target:
 * tgtd does not tell, and an account that other targets have bound, too, cannot be made anew.
 */
export function orphan(context: TgtContext, want: ExportWanted, targetName: string): TgtExport | undefined {
    const { facts, target } = context;
    if (facts.exports.has(want.name) || extraOf(facts).boot.has(want.name)) return undefined;
    // A creation whose answer was lost is recorded without its target's name.
    const name = targetName === "" ? nameOfTarget(context, want) : targetName;
    const live = extraOf(facts).live.get(name);
    if (live === undefined) return undefined;
    const declared = declare(target, want);
    const unit = unitOf(live);
    if (unit !== undefined && unit.serial !== declared.serial) return undefined;
    const bound = [...live.incoming, ...(live.outgoing === undefined ? [] : [live.outgoing])];
    const users = [declared.incoming, declared.outgoing].flatMap((one) =>
        one === undefined ? [] : [one.user],
    );
    return {
        name: want.name,
        mark: { ...want.mark, phase: "creating" },
        targetName: name,
        devicePath: want.devicePath,
        serial: declared.serial,
        digest: declared.digest,
        differences: ["missing at the next start of the host: its boot file is gone"],
        sessions: live.sessions,
        orphaned: true,
        extra: {},
        declared: { ...declared, retired: [], uncertain: users.filter((user) => !bound.includes(user)) },
        applied: false,
        closed: false,
        sizeBytes: want.sizeBytes,
        device: "unknown",
        live,
    };
}
