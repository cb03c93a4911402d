import { BlockhostError } from "../../errors";
import { exportsOf, extraOf } from "../configfs/model";
import { refuseAddresses, refuseTaken } from "../configfs/portals";
import { groupOf, type LioContext, type LioDeclared, type LioExport } from "./model";
import { ownOf } from "./own";
import type { ExportWanted } from "../types";

/** Refuses what the rest of the host does not allow. */
export function refuse(
    context: LioContext,
    want: ExportWanted,
    declared: LioDeclared,
    before?: LioExport,
): void {
    const { facts } = context;
    refuseSharedDevice(context, want, before?.orphaned === true);
    const group = groupOf(declared);
    const missing = declared.listen.filter(
        (portal) => before?.live.tree.has(`${group}/np/${portal}`) !== true,
    );
    const extra = extraOf(facts);
    refuseTaken(extra, declared.listen);
    refuseAddresses(extra, missing);
}

/** LIO opens a block device for itself alone, and each export has a backstore of its own. */
function refuseSharedDevice({ facts, host }: LioContext, want: ExportWanted, orphaned: boolean): void {
    const other = exportsOf<LioDeclared>(facts).find(
        (one) => one.name !== want.name && one.declared.devicePath === want.devicePath,
    );
    const reserved = [...host.reserved].find(
        (text) => text.startsWith(`lio/device/${want.devicePath}\n`) && !text.endsWith(`\n${want.name}`),
    );
    // One whose boot file is gone looks like somebody else's.
    const foreign = orphaned ? undefined : ownOf(facts)?.devices.get(want.devicePath);
    const by =
        foreign ??
        (other === undefined ? undefined : `export "${other.name}"`) ??
        (reserved === undefined ? undefined : `export "${reserved.split("\n")[1] ?? ""}"`);
    if (by === undefined) return;
    throw new BlockhostError("in-use", `${want.devicePath} is already exported by ${by}`, {
        property: "source",
        hint: "LIO opens a device once: add the initiators to that export, or remove it first",
    });
}

export function reserved(_context: LioContext, want: ExportWanted): string[] {
    return [`lio/device/${want.devicePath}\n${want.name}`];
}
