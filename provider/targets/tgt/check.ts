import { UNKNOWN } from "../../validate";
import { addressProblem } from "../address";
import { chapProblems, type Problem } from "../chap";
import { iscsiNameProblem, normalizeIscsiName } from "../iqn";
import { normalizePortal, parsePortal } from "../portal";
import type { Chap, ExportWanted, Initiator } from "../types";
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
        ...checkPortals(target, want),
        ...checkDevicePath(want.devicePath),
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

function checkDuplicates(values: readonly string[], list: string, property: string): Problem[] {
    return values.flatMap((value, i) => {
        const first = values.indexOf(value);
        if (first === i || value === UNKNOWN) return [];
        return [
            {
                path: `${list}[${String(i)}]${property}`,
                reason: `is the same as ${list}[${String(first)}]${property}`,
            },
        ];
    });
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
        if (initiator.chap === undefined || same(initiator.chap, first?.chap)) return [];
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
        if (first?.mutualChap !== undefined && !same(mutualChap, first.mutualChap)) {
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

function known(...values: string[]): boolean {
    return !values.includes(UNKNOWN);
}

/** Values that are not known yet are taken to be the same. */
function same(a: Chap, b: Chap | undefined): boolean {
    if (b === undefined) return false;
    const equal = (x: string, y: string) => x === y || !known(x, y);
    return equal(a.username, b.username) && equal(a.password.value, b.password.value);
}

function checkPortals(target: TgtRef, want: ExportWanted): Problem[] {
    const ours = target.portals.map(normalizePortal);
    const problems = want.portals.flatMap((text, i) => {
        if (text === UNKNOWN) return [];
        const path = `portals[${String(i)}]`;
        if (parsePortal(text) === undefined) {
            const reason = `${JSON.stringify(text)} must be an address and a port: "10.0.0.5:3260" or "[fd00::5]:3260"`;
            return [{ path, reason }];
        }
        if (ours.includes(normalizePortal(text))) return [];
        return [
            {
                path,
                reason: `${text} is not among the target's portals in the host's configuration: ${ours.join(", ")}`,
            },
        ];
    });
    return [...problems, ...checkDuplicates(want.portals.map(normalizePortal), "portals", "")];
}

/** tgtd splits what it is given at commas, and copies a path into 1024 bytes. */
function checkDevicePath(devicePath: string): Problem[] {
    if (devicePath === UNKNOWN) return [];
    const path = "devicePath";
    if (!devicePath.startsWith("/")) return [{ path, reason: "must be an absolute path" }];
    // eslint-disable-next-line no-control-regex
    if (/[,\x00-\x1f\x7f]/.test(devicePath))
        return [{ path, reason: "holds a comma or a control character, which tgt cannot be given" }];
    if (Buffer.byteLength(devicePath) > 1000)
        return [{ path, reason: "is longer than the 1000 bytes that tgt can take" }];
    return [];
}
