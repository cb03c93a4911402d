import type { Step } from "../../host/plan";
import { resizeBootFile } from "../boot";
import { refuseOrders } from "./boot";
import { openAgain, removeUnit } from "./change";
import { LUN, unitOf } from "./compare";
import { runBootFile } from "./ensure";
import { management, type Order } from "./management";
import { exportOf, placeOf, type TgtContext } from "./model";

/**
 * Makes an export see that its device has grown, or was exchanged (revert).
 *
 * Growth: tgtd opens the device again; sessions stay, and see the new size when the initiator scans again. Exchange: the
 * target admits nobody, ends its sessions and lets go of the device before, and the boot file sets all up again after.
 * What is cut short in between shows as differences of the export, and `ensure` heals it.
 */
export function reopen(
    context: TgtContext,
    want: { name: string; sizeBytes: number; exchanged: boolean },
): { close: readonly Step[]; open: readonly Step[] } {
    const { target, facts } = context;
    const before = exportOf(facts, want.name);
    if (before === undefined) return { close: [], open: [] };
    const place = placeOf(target, want.name);
    const { controlPort, devicePath } = before.declared;
    const note = before.sizeBytes === want.sizeBytes ? [] : [resizeBootFile(place, want.sizeBytes)];
    const { live } = before;
    if (live === undefined || unitOf(live) === undefined) return { close: [], open: note };
    if (!want.exchanged) {
        if (note.length === 0) return { close: [], open: [] };
        const orders: Order[] = [{ verb: "use", name: before.targetName }, openAgain(devicePath)];
        const label = `tell tgtd that export ${want.name} has grown`;
        return { close: [], open: [{ label, script: management(controlPort, orders) }, ...note] };
    }
    const sessions = [...new Set(live.sessions.map(({ initiator }) => initiator))];
    const orders: Order[] = [
        { verb: "use", name: before.targetName },
        { verb: "only", initiators: sessions },
        ...live.acl.flatMap(refuseOrders),
        { verb: "cut", initiators: [] },
        removeUnit(LUN),
    ];
    return {
        close: [{ label: `close export ${want.name}`, script: management(controlPort, orders) }],
        open: [...note, { label: `open export ${want.name}`, script: runBootFile(target, want.name) }],
    };
}
