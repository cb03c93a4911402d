import { UNKNOWN } from "../../validate";
import type { Problem } from "../chap";
import { checkDevicePath, checkDuplicates, checkPortals } from "../checks";
import { dhchapProblems } from "../dhchap";
import { nqnProblem } from "../nqn";
import type { ExportWanted, Initiator } from "../types";
import type { NvmetRef } from "./model";

/** Everything about a declaration that nvmet cannot carry out, with the property's path. */
export function check(target: NvmetRef, want: ExportWanted): Problem[] {
    return [
        ...checkAccess(want),
        ...want.initiators.flatMap(checkHost),
        ...checkDuplicates(
            want.initiators.map(({ name }) => name),
            "initiators",
            ".nqn",
        ),
        ...checkModes(want),
        ...checkPortals(target, want.portals),
        ...checkDevicePath(want.devicePath, "nvmet", 1000),
    ];
}

function checkAccess({ initiators, addresses }: ExportWanted): Problem[] {
    if (addresses.length > 0) {
        const reason =
            "nvmet admits hosts by name, not by address: use `initiators`, and a firewall for addresses";
        return [{ path: "addresses", reason }];
    }
    if (initiators.length > 0) return [];
    const reason = "name at least one host; an export without any would admit nobody";
    return [{ path: "initiators", reason }];
}

function checkHost({ name, dhchap }: Initiator, i: number): Problem[] {
    const path = `initiators[${String(i)}]`;
    const reason = name === UNKNOWN ? undefined : nqnProblem(name);
    return [
        ...(reason === undefined ? [] : [{ path: `${path}.nqn`, reason }]),
        ...(dhchap === undefined ? [] : dhchapProblems(dhchap, `${path}.dhchap`)),
    ];
}

function checkModes({ readOnly, discard }: ExportWanted): Problem[] {
    const problems: Problem[] = [];
    if (readOnly) {
        const reason =
            "nvmet opens every device for writing, so it cannot export read-only, as snapshots always are: use iSCSI, or make a volume from the snapshot and export that";
        problems.push({ path: "readOnly", reason });
    }
    if (!readOnly && !discard) {
        const reason = "nvmet always offers discard where the device has it: leave `discard` out";
        problems.push({ path: "discard", reason });
    }
    return problems;
}
