import type { Step } from "../../host/plan";
import { guardBootFile, noteClosed, noteOpened, placeOf, resizeBootFile } from "../boot";
import { unitOf, LUN } from "./compare";
import { runBootFile } from "./ensure";
import { management, type Order } from "./management";
import { exportOf, type TgtContext } from "./model";
import { closeTarget, namesOf, openAgain, removeUnit, setState } from "./units";

/**
 * Makes an export see that its device has grown, or was exchanged (revert).
 *
 * Growth: sessions end for a moment while tgtd opens the device again; initiators come back by themselves and see the
 * new size when they scan. Exchange: before it, logins are turned away, sessions end and tgtd lets go of the device;
 * after it, the boot file sets all up again. What is cut short in between shows as differences of the export, and
 * `ensure` heals it.
 */
export function reopen(
    context: TgtContext,
    want: { name: string; sizeBytes: number; exchanged: boolean },
): { close: readonly Step[]; open: readonly Step[] } {
    const { target, facts } = context;
    const before = exportOf(facts, want.name);
    if (before === undefined) return { close: [], open: [] };
    const { targetName, live, declared, sizeBytes } = before;
    const { controlPort, devicePath } = declared;
    const resized = sizeBytes !== want.sizeBytes;
    const place = placeOf(target, want.name);
    const asSeen = guardBootFile(place, before);
    const note = resized ? [resizeBootFile(place, want.sizeBytes)] : [];
    const has = live !== undefined && unitOf(live) !== undefined;
    const run = { label: `open export ${want.name}`, script: runBootFile(target, want.name) };
    const again = [...note, noteOpened(place), run];
    if (!has && want.exchanged) {
        // An earlier round has closed it, or a run that was cut short.
        if (before.closed && facts.problem === undefined) return { close: [], open: [asSeen, ...again] };
        // Nor is what is not up to come up meanwhile; after that it does as before, at boot or by an update of its own.
        return {
            close: before.closed ? [] : [asSeen, noteClosed(place)],
            open: [...note, noteOpened(place)],
        };
    }
    if (!has) return { close: note.length === 0 ? [] : [asSeen], open: note };
    if (!resized && !want.exchanged) return { close: [], open: [] };
    const use: Order = { verb: "use", name: targetName };
    const known = namesOf(live.sessions);
    if (want.exchanged) {
        const close = management(controlPort, [use, ...closeTarget(known), removeUnit(LUN)]);
        return {
            close: [asSeen, { label: `close export ${want.name}`, script: close }, noteClosed(place)],
            open: again,
        };
    }
    // Whether somebody else is logged in is asked before the device grows; then there is no way back.
    const guard = management(controlPort, [use, { verb: "only", initiators: known }]);
    const cut: Order = { verb: "cut", initiators: [] };
    const open = [use, setState("offline"), cut, openAgain(devicePath), setState("ready")];
    return {
        close: [asSeen, { label: `see who uses export ${want.name}`, script: guard, guard: true }],
        open: [
            { label: `tell tgtd that export ${want.name} has grown`, script: management(controlPort, open) },
            ...note,
        ],
    };
}
