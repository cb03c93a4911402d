import type { Step } from "../../host/plan";
import { sh } from "../../sh";
import { bootFile } from "../boot";
import { exportOf, placeOf } from "../configfs/model";
import { NAMESPACE, type NvmetContext, type NvmetDeclared, ROOT } from "./model";
import { closeNamespace, guard } from "./take";

/**
 * Makes an export see that its device has grown, or was exchanged (revert).
 *
 * Growth: the namespace is told to look, and tells its hosts, which go on undisturbed. Exchange: connections end, and
 * nvmet lets go of the device; the boot file then sets it up again. What is cut short in between shows as differences of
 * the export, and `ensure` heals it.
 */
export function reopen(
    context: NvmetContext,
    want: { name: string; sizeBytes: number; exchanged: boolean },
): { close: readonly Step[]; open: readonly Step[] } {
    const before = exportOf<NvmetDeclared>(context.facts, want.name);
    if (before === undefined) return { close: [], open: [] };
    const { declared, live } = before;
    if (live.tree.value(`${declared.subsystem}/namespaces/${String(NAMESPACE)}/enable`) !== "1")
        return { close: [], open: [] };
    const run = sh`. ${bootFile(placeOf(context.target, want.name))}`;
    if (want.exchanged) {
        const close = sh`cd ${ROOT} || exit
${guard(before)}
${closeNamespace(declared)}`;
        return {
            close: [{ label: `close export ${want.name}`, script: close }],
            open: [{ label: `open export ${want.name}`, script: run }],
        };
    }
    if (live.noted?.device.bytes === want.sizeBytes) return { close: [], open: [] };
    return { close: [], open: [{ label: `tell nvmet that export ${want.name} has grown`, script: run }] };
}
