import { BlockhostError } from "../../errors";
import { describeOwner, encodeMark, sameOwner } from "../../host/mark";
import { addressAdmitted } from "../address";
import { refuseUnreadable } from "../boot";
import { refuseAddresses, refuseTaken } from "../portals";
import { isTargetOf } from "../iqn";
import type { ExportWanted, Session } from "../types";
import { planAccounts } from "./accounts";
import { refuseOrders } from "./boot";
import { refuseProblems } from "../checks";
import { check } from "./check";
import { differences, extraUnits, LUN, sizeDifference, unheardPortals, unitIsOther, unitOf } from "./compare";
import type { Order } from "./management";
import {
    type Declared,
    declare,
    exportOf,
    extraOf,
    nameOfTarget,
    requireAnswer,
    type TgtContext,
    type TgtExport,
} from "./model";
import { closeTarget, namesOf, openAgain, removeUnit } from "./units";

/** What has to be done to make an export as wanted. */
export interface Change {
    readonly targetName: string;
    readonly declared: Declared;
    /** Size of the device as tgtd is going to see it. */
    readonly sizeBytes: number;
    /** What it takes for granted of what other exports share with this one. */
    readonly guards: readonly Order[];
    /** Taking away what must not be there, before the boot file's own orders make what must. */
    readonly before: readonly Order[];
    /** Sessions that this ends, and why. */
    readonly cuts?: { readonly sessions: readonly Session[]; readonly reason: string };
    readonly reserved: readonly string[];
}

/**
 * The change from what is to what is wanted; `undefined`: it is so already.
 *
 * @throws BlockhostError `invalid`, `not-found` (tgtd or the device), `not-ours`, `exists`, `in-use` (a portal is taken).
 */
export function planChange(context: TgtContext, want: ExportWanted): Change | undefined {
    const { facts, target } = context;
    refuseProblems(check(context.target, want));
    requireAnswer(facts);
    const before = exportOf(facts, want.name);
    refuseOthers(context, before, want);
    const targetName = nameOfTarget(context, want);
    const wanted = declare(target, want);
    const accounts = planAccounts(context, want.name, targetName, wanted);
    const declared: Declared = {
        ...wanted,
        retired: [...accounts.retired],
        uncertain: [...accounts.uncertain],
    };
    const samePath = before?.declared.devicePath === want.devicePath;
    const sizeBytes = (samePath ? before.deviceSizeBytes : undefined) ?? want.sizeBytes;
    if (before !== undefined && isAsWanted(context, before, declared, want)) return undefined;
    refusePortals(context, declared);
    if (samePath && before.device === "gone") {
        throw new BlockhostError(
            "not-found",
            `there is nothing at ${want.devicePath} that could be exported`,
            {
                hint: "the volume's data is gone or its pool is not mounted: put it back, or delete the export",
            },
        );
    }
    const live = before?.live;
    if (before === undefined || live === undefined) {
        // Nothing of it is in tgtd, accounts excepted.
        const orders = [...accounts.orders, ...accounts.drops];
        const { guards, reserved } = accounts;
        return { targetName, declared, sizeBytes, guards, before: orders, reserved };
    }
    const unit = unitOf(live);
    const remake = unit === undefined ? undefined : whyRemake(declared, before, unit, samePath);
    const grown = unit === undefined ? undefined : sizeDifference(unit, before.sizeBytes, sizeBytes);
    const becomesReadOnly = unit !== undefined && declared.readOnly && !unit.readOnly;
    const everybody =
        remake ?? grown ?? (becomesReadOnly ? "readOnly: the export becomes read-only" : undefined);
    const cut =
        everybody === undefined ? live.sessions.filter((one) => !admitted(declared, one)) : live.sessions;
    const initiators = namesOf(cut);
    const refused = live.acl.filter(
        (entry) => !declared.acl.includes(entry) || (accounts.closeAccess && everybody === undefined),
    );
    const orders: Order[] = [
        { verb: "use", name: targetName },
        ...(everybody === undefined ? [] : closeTarget(namesOf(live.sessions))),
        ...refused.flatMap(refuseOrders),
        ...(everybody === undefined && initiators.length > 0 ? [{ verb: "cut", initiators } as const] : []),
        ...accounts.orders,
        ...extraUnits(live).map(({ lun }) => removeUnit(lun)),
        ...(remake === undefined ? [] : [removeUnit(LUN)]),
        ...(remake === undefined && grown !== undefined ? [openAgain(declared.devicePath)] : []),
        ...accounts.drops,
    ];
    const reason = everybody ?? `no longer admitted: ${initiators.join(", ")}`;
    return {
        targetName,
        declared,
        sizeBytes,
        guards: accounts.guards,
        before: orders,
        ...(cut.length === 0 ? {} : { cuts: { sessions: cut, reason } }),
        reserved: accounts.reserved,
    };
}

function isAsWanted(context: TgtContext, before: TgtExport, declared: Declared, want: ExportWanted): boolean {
    return (
        before.applied &&
        !before.closed &&
        before.declared.digest === declared.digest &&
        encodeMark({ ...before.mark, phase: "ready" }) === encodeMark({ ...want.mark, phase: "ready" }) &&
        before.sizeBytes === (before.deviceSizeBytes ?? want.sizeBytes) &&
        differences(declared, before.live, before, extraOf(context.facts)).length === 0
    );
}

/** Why the unit has to be made anew; all sessions end with it, since another disk must not appear under a live one. */
function whyRemake(
    declared: Declared,
    before: TgtExport,
    unit: NonNullable<ReturnType<typeof unitOf>>,
    samePath: boolean,
): string | undefined {
    return (
        unitIsOther(declared, unit) ??
        (samePath && before.device === "stale" ? "devicePath: what is at the path was exchanged" : undefined)
    );
}

function admitted(declared: Declared, { initiator, address }: Session): boolean {
    return (
        declared.acl.includes(initiator) ||
        (address !== undefined && addressAdmitted(address, declared.addresses))
    );
}

function refuseOthers(
    { facts, target }: TgtContext,
    before: TgtExport | undefined,
    want: ExportWanted,
): void {
    refuseUnreadable(facts, want.name, target.stateDirectory);
    if (before === undefined) {
        // Of whatever generation: a lost boot file must not lead to a second target beside the first.
        const { names, ours } = extraOf(facts);
        const { prefix } = target.options;
        const name = [...names].find((one) => isTargetOf(prefix, want.name, one) && !ours.has(one));
        if (name === undefined) return;
        throw new BlockhostError(
            "not-ours",
            `tgtd already has a target ${name}, and no boot file of ours says why`,
            {
                hint: "it stays untouched: put back the state directory if that was lost or changed, remove the target by hand (`tgtadm`), or give this export another `name`",
            },
        );
    }
    if (!sameOwner(before.mark.owner, want.mark.owner) || before.mark.generation !== want.mark.generation) {
        const when = sameOwner(before.mark.owner, want.mark.owner) ? " and was made at another time" : "";
        throw new BlockhostError(
            "not-ours",
            `export "${want.name}" belongs to ${describeOwner(before.mark.owner)}${when}`,
            {
                hint: "it stays untouched: give this export another `name`",
            },
        );
    }
    if (before.declared.controlPort !== target.options.controlPort) {
        const port = String(before.declared.controlPort);
        throw new BlockhostError(
            "invalid",
            `export "${want.name}" was made in the tgtd with control port ${port}`,
            {
                hint: `set \`controlPort: ${port}\` in the host's configuration, or delete the export first`,
            },
        );
    }
}

function refusePortals({ facts }: TgtContext, declared: Declared): void {
    const extra = extraOf(facts);
    const missing = unheardPortals(declared.portals, extra.portals);
    refuseTaken(missing, extra.taken);
    refuseAddresses(missing, extra.addresses);
}
