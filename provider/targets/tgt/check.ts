import { UNKNOWN } from "../../validate";
import { addressProblem } from "../address";
import { chapProblems, type Problem } from "../chap";
import { iscsiNameProblem, normalizeIscsiName } from "../iqn";
import { checkDevicePath, checkDuplicates, checkPortals, known, sameChap } from "../checks";
import type { ExportWanted, Initiator } from "../types";
import { capabilities } from "./capabilities";
import type { TgtRef } from "./model";

/** Everything about a declaration that tgt cannot carry out, with the property's path. */
export function check(target: TgtRef, want: ExportWanted): Problem[] {
    return [
        ...checkAccess(want),
        ...want.initiators.flatMap(checkInitiator),
        ...checkDuplicates(
            want.initiators.map(({ name }) => normalizeIscsiName(name)),
            "initiators",
            ".iqn",
        ),
        ...checkChap(want.initiators),
        ...checkMutualChap(want.initiators),
        ...want.addresses.flatMap((text, i) => {
            const reason = text === UNKNOWN ? undefined : addressProblem(text);
            return reason === undefined ? [] : [{ path: `addresses[${String(i)}]`, reason }];
        }),
        ...checkDuplicates(want.addresses, "addresses", ""),
        ...checkPortals(target, want.portals),
        ...checkDevicePath(want.devicePath, "tgt", 1000),
    ];
}

/** tgt admits whoever matches either list, and nobody where both are empty. */
function checkAccess({ initiators, addresses }: ExportWanted): Problem[] {
    if (initiators.length === 0 && addresses.length === 0) {
        return [
            {
                path: "initiators",
                reason: "name at least one initiator; an export without any would admit nobody",
            },
        ];
    }
    if (initiators.length > 0 && addresses.length > 0) {
        const reason =
            "tgt cannot demand both: it admits whoever has one of the names or comes from one of the addresses; " +
            "give `initiators` (with `chap`, which proves who they are), or `addresses`, but not both";
        return [{ path: "addresses", reason }];
    }
    return [];
}

function checkInitiator(initiator: Initiator, i: number): Problem[] {
    const path = `initiators[${String(i)}]`;
    const name = initiator.name === UNKNOWN ? undefined : iscsiNameProblem(initiator.name);
    const { maxSecretLength } = capabilities;
    return [
        ...(name === undefined ? [] : [{ path: `${path}.iqn`, reason: name }]),
        ...(initiator.chap === undefined
            ? []
            : chapProblems(initiator.chap, `${path}.chap`, maxSecretLength)),
        ...(initiator.mutualChap === undefined
            ? []
            : chapProblems(initiator.mutualChap, `${path}.mutualChap`, maxSecretLength)),
    ];
}

function checkChap(initiators: readonly Initiator[]): Problem[] {
    const first = initiators[0];
    return initiators.slice(1).flatMap((initiator, i) => {
        const path = `initiators[${String(i + 1)}].chap`;
        if ((initiator.chap === undefined) !== (first?.chap === undefined)) {
            const reason =
                "tgt binds accounts to an export, not to an initiator: either all initiators have `chap` or none has";
            return [{ path, reason }];
        }
        if (initiator.chap === undefined || sameChap(initiator.chap, first?.chap)) return [];
        const reason =
            "differs from initiators[0].chap: tgt binds accounts to an export, not to an initiator, so all initiators of an export " +
            "share one user name and password; make an export for each, or use one pair for all";
        return [{ path, reason }];
    });
}

function checkMutualChap(initiators: readonly Initiator[]): Problem[] {
    const first = initiators[0];
    return initiators.flatMap(({ chap, mutualChap }, i) => {
        const path = `initiators[${String(i)}].mutualChap`;
        const found: Problem[] = [];
        if ((mutualChap === undefined) !== (first?.mutualChap === undefined)) {
            found.push({
                path,
                reason: "tgt has one account of its own per export: either all initiators have `mutualChap` or none has",
            });
        }
        if (mutualChap === undefined) return found;
        if (first?.mutualChap !== undefined && !sameChap(mutualChap, first.mutualChap)) {
            found.push({
                path,
                reason: "differs from initiators[0].mutualChap: tgt has one account of its own per export",
            });
        }
        if (chap === undefined) {
            found.push({
                path,
                reason: "needs `chap`: an initiator that asks who the target is has to say who it is itself",
            });
            return found;
        }
        if (
            known(chap.password.value, mutualChap.password.value) &&
            chap.password.value === mutualChap.password.value
        ) {
            found.push({
                path: `${path}.password`,
                reason: "must differ from chap.password: else the answer of one side can be played back by the other (RFC 7143, 9.2.1)",
            });
        }
        if (known(chap.username, mutualChap.username) && chap.username === mutualChap.username) {
            found.push({
                path: `${path}.username`,
                reason: "must differ from chap.username: tgt knows an account by its user name alone",
            });
        }
        return found;
    });
}
