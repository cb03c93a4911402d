import type { Step } from "../../host/plan";
import { sh } from "../../sh";
import { bootFile } from "../boot";
import { exportOf, placeOf } from "../configfs/model";
import { isFile, type LioContext, type LioDeclared } from "./model";
import { ROOT } from "./body";
import { closeUnit, guard } from "./take";

/**
 * Makes an export see that its device has grown, or was exchanged (revert).
 *
 * Growth: a block device's size LIO always reads anew; a file's it is told. Initiators see it when they scan, and nobody
 * is logged out. Exchange: sessions end, and LIO lets go of the device; the boot file then sets it up again. What is cut
 * short in between shows as differences of the export, and `ensure` heals it.
 */
export function reopen(
    context: LioContext,
    want: { name: string; sizeBytes: number; exchanged: boolean },
): { close: readonly Step[]; open: readonly Step[] } {
    const before = exportOf<LioDeclared>(context.facts, want.name);
    if (before === undefined) return { close: [], open: [] };
    const { declared, live } = before;
    if (live.tree.value(`${declared.backstore}/enable`) !== "1") return { close: [], open: [] };
    const place = placeOf(context.target, want.name);
    const run = sh`. ${bootFile(place)}`;
    if (want.exchanged) {
        const close = sh`cd ${ROOT} || exit
${guard(before, "all")}
${closeUnit(declared)}`;
        return {
            close: [{ label: `close export ${want.name}`, script: close }],
            open: [{ label: `open export ${want.name}`, script: run }],
        };
    }
    if (!isFile(declared) || live.device?.bytes === want.sizeBytes) return { close: [], open: [] };
    return { close: [], open: [{ label: `tell LIO that export ${want.name} has grown`, script: run }] };
}
