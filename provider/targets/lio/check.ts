import { UNKNOWN } from "../../validate";
import { chapProblems, type Problem } from "../chap";
import { checkDevicePath, checkDuplicates, checkPortals, known } from "../checks";
import { iscsiNameProblem, normalizeIscsiName } from "../iqn";
import type { Chap, ExportWanted, Initiator } from "../types";
import { capabilities } from "./capabilities";
import type { LioRef } from "./model";

/** Everything about a declaration that LIO cannot carry out, with the property's path. */
export function check(target: LioRef, want: ExportWanted): Problem[] {
    const names = want.initiators.map(({ name }) => normalizeIscsiName(name));
    return [
        ...checkAccess(want),
        ...want.initiators.flatMap(checkInitiator),
        ...checkDuplicates(names, "initiators", ".iqn"),
        ...checkAllOrNone(want.initiators),
        ...checkPortals(target, want.portals),
        // UDEV_PATH_LEN and FD_MAX_DEV_NAME, with their end marks.
        ...checkDevicePath(want.devicePath, "LIO", want.devicePath.startsWith("/dev/") ? 511 : 255),
    ];
}

function checkAccess({ initiators, addresses }: ExportWanted): Problem[] {
    if (addresses.length > 0) {
        const reason =
            "LIO admits initiators by name, not by address: use `initiators`, and a firewall for addresses";
        return [{ path: "addresses", reason }];
    }
    if (initiators.length > 0) return [];
    const reason = "name at least one initiator; an export without any would admit nobody";
    return [{ path: "initiators", reason }];
}

function checkInitiator(initiator: Initiator, i: number): Problem[] {
    const path = `initiators[${String(i)}]`;
    const name = initiator.name === UNKNOWN ? undefined : iscsiNameProblem(initiator.name);
    const { chap, mutualChap } = initiator;
    return [
        ...(name === undefined ? [] : [{ path: `${path}.iqn`, reason: name }]),
        ...(chap === undefined ? [] : credentials(chap, `${path}.chap`)),
        ...(mutualChap === undefined ? [] : credentials(mutualChap, `${path}.mutualChap`)),
        ...checkMutual(chap, mutualChap, `${path}.mutualChap`),
    ];
}

function credentials(chap: Chap, path: string): Problem[] {
    const problems = chapProblems(chap, path, capabilities.maxSecretLength);
    const reason = 'begins with "NULL", which LIO takes for "not set"';
    if (chap.username.startsWith("NULL")) problems.push({ path: `${path}.username`, reason });
    if (chap.password.value.startsWith("NULL")) problems.push({ path: `${path}.password`, reason });
    return problems;
}

function checkMutual(chap: Chap | undefined, mutual: Chap | undefined, path: string): Problem[] {
    if (mutual === undefined) return [];
    if (chap === undefined) {
        const reason = "needs `chap`: an initiator that asks who the target is has to say who it is itself";
        return [{ path, reason }];
    }
    if (!known(chap.password.value, mutual.password.value) || chap.password.value !== mutual.password.value)
        return [];
    const reason =
        "must differ from chap.password: else the answer of one side can be played back by the other (RFC 7143, 9.2.1)";
    return [{ path: `${path}.password`, reason }];
}

/**
 * LIO demands authentication of a whole target (before Linux 6.0, and by default since). An initiator without it beside
 * one with it would in any case be a way around it: names are not proven.
 */
function checkAllOrNone(initiators: readonly Initiator[]): Problem[] {
    const first = initiators[0];
    return initiators.flatMap(({ chap }, i) => {
        if ((chap === undefined) === (first?.chap === undefined)) return [];
        const reason =
            "either all initiators of an export have `chap` or none has: anybody could come in under the name of one without it";
        return [{ path: `initiators[${String(i)}].chap`, reason }];
    });
}
