import { lines, type Sh, sh } from "../../sh";
import type { Plan } from "../../host/plan";
import { bootFile, guardBootFile, placeOf, writeBootFile } from "../boot";
import { bootUnitFor, onlyBootUnit } from "../bootUnit";
import { asForetold } from "../foretold";
import type { ExportWanted, Session } from "../types";
import { bootBody } from "./boot";
import { planChange } from "./change";
import { management, orderList, type Order } from "./management";
import { exportOf, type TgtContext, type TgtRef } from "./model";

/**
 * Create, finish, heal or change an export. F4, F5: create_export, ensure_export.
 *
 * What the plan takes for granted is asked again first. Then comes the boot file: it says what is declared, and that it was not carried out yet. Then one perl process takes
 * away what must not be there and makes what must, ending with the note that all of it was done. Whatever is cut short
 * is told by that note, by the differences that an observation finds, or both; the same plan then finishes it.
 */
export function ensure(context: TgtContext, want: ExportWanted): Plan {
    const change = planChange(context, want);
    if (change === undefined) return onlyBootUnit(context, want.name);
    const { target } = context;
    const { declared, targetName, sizeBytes } = change;
    const place = placeOf(target, want.name);
    const accounts = [declared.incoming, declared.outgoing].flatMap((one) =>
        one === undefined ? [] : [one.user],
    );
    const { mark, activation } = want;
    const device = want.devicePath;
    const header = { mark, sizeBytes, targetName, accounts, declared, activation, device };
    const unit = bootUnitFor(context);
    const { controlPort } = target.options;
    const before = exportOf(context.facts, want.name);
    const asSeen = lines(
        unit.guard,
        before === undefined ? asForetold(context, want) : undefined,
        change.guards.length === 0 ? undefined : management(controlPort, change.guards),
    );
    return {
        steps: [
            guardBootFile(place, before, asSeen),
            ...unit.steps,
            writeBootFile(place, header, bootBody(target, want, targetName, declared)),
            {
                label: `set up target ${targetName} in tgtd`,
                script: runBootFile(target, want.name, change.before),
            },
        ],
        touched: { targets: { [target.protocol]: [want.name] } },
        reserved: [...change.reserved, unit.reserved],
    };
}

/** Carries out a boot file, after orders of its own. */
export function runBootFile(target: TgtRef, name: string, before: readonly Order[] = []): Sh {
    const file = bootFile(placeOf(target, name));
    if (before.length === 0) return sh`sh ${file}`;
    return sh`sh ${file} /dev/fd/3 3<<'BLOCKHOST_TGT'
${orderList(target.options.controlPort, before)}
BLOCKHOST_TGT`;
}

/** Sessions that {@link ensure} would cut, and why. */
export function cuts(
    context: TgtContext,
    want: ExportWanted,
): { sessions: readonly Session[]; reason: string } | undefined {
    return planChange(context, want)?.cuts;
}
