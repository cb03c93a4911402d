import type { Step } from "../../host/plan";
import { sh } from "../../sh";
import { bootFile, guardBootFile, noteClosed, noteOpened, placeOf } from "../boot";
import type { TargetContext } from "../types";
import { type CommonDeclared, exportOf, type Helper } from "./model";

/**
 * Makes an export see that its device has grown, or was exchanged (revert).
 *
 * Growth: what the kernel does not find out by itself it is told, and nobody is logged out. Exchange: sessions end, and
 * the kernel lets go of the device; the boot file then sets it up again. What is cut short in between shows as differences
 * of the export, and `ensure` heals it.
 */
export function reopen<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    { target, facts }: TargetContext<O>,
    want: { name: string; sizeBytes: number; exchanged: boolean },
): { close: readonly Step[]; open: readonly Step[] } {
    const nothing = { close: [], open: [] };
    const before = exportOf<D>(facts, want.name);
    if (before === undefined) return nothing;
    const place = placeOf(target, want.name);
    const open = helper.isOpen(before.declared, before.live);
    // Asked before the device changes; then there is no way back.
    const asSeen = guardBootFile(place, before);
    const run = sh`. ${bootFile(place)}`;
    if (want.exchanged) {
        const again = [noteOpened(place), { label: `open export ${want.name}`, script: run }];
        // An earlier round has closed it, or a run that was cut short.
        if (!open && before.closed) return { close: [], open: [asSeen, ...again] };
        // Nor is what is not up to come up meanwhile; after that it does as before, at boot or by an update of its own.
        if (!open) return { close: [asSeen, noteClosed(place)], open: [noteOpened(place)] };
        const close = sh`cd ${helper.root} || exit
${helper.guard(before, "all")}
${helper.close(before.declared)}`;
        return {
            close: [asSeen, { label: `close export ${want.name}`, script: close }, noteClosed(place)],
            open: again,
        };
    }
    if (!open) return nothing;
    if (helper.knowsSize(before, want.sizeBytes)) return nothing;
    const label = `tell ${helper.label} that export ${want.name} has grown`;
    return { close: [asSeen], open: [{ label, script: run }] };
}
