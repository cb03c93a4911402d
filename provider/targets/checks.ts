import { BlockhostError } from "../errors";
import { UNKNOWN } from "../validate";
import type { Problem } from "./chap";
import { normalizePortal, portalProblem } from "./portal";
import type { Chap, TargetRef } from "./types";

/** Checks of a declaration that helpers share. A value that is not known yet is taken on trust. */

export function checkDuplicates(values: readonly string[], list: string, property: string): Problem[] {
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

export function checkPortals(target: TargetRef, portals: readonly string[]): Problem[] {
    const ours = target.portals.map(normalizePortal);
    const problems = portals.flatMap((text, i) => {
        if (text === UNKNOWN) return [];
        const path = `portals[${String(i)}]`;
        const reason = portalProblem(text);
        if (reason !== undefined) return [{ path, reason: `${JSON.stringify(text)} ${reason}` }];
        if (ours.includes(normalizePortal(text))) return [];
        return [
            {
                path,
                reason: `${text} is not among the target's portals in the host's configuration: ${ours.join(", ")}`,
            },
        ];
    });
    return [...problems, ...checkDuplicates(portals.map(normalizePortal), "portals", "")];
}

/** @throws BlockhostError `invalid`, with all problems, of the property of the first. */
export function refuseProblems(problems: readonly Problem[]): void {
    const [first] = problems;
    if (first === undefined) return;
    const all = problems.map(({ path, reason }) => `${path}: ${reason}`).join("; ");
    throw new BlockhostError("invalid", all, {
        // The path is the source's.
        property: first.path === "devicePath" ? "source" : first.path,
        hint: "nothing was changed: mend it in the program, then run the same again",
    });
}

/** A path that a helper reads up to a character that it takes for the end. */
export function checkDevicePath(devicePath: string, helper: string, maxBytes: number): Problem[] {
    if (devicePath === UNKNOWN) return [];
    const path = "devicePath";
    if (!devicePath.startsWith("/")) return [{ path, reason: "must be an absolute path" }];
    // eslint-disable-next-line no-control-regex
    if (/[,\x00-\x1f\x7f]/.test(devicePath))
        return [{ path, reason: `holds a comma or a control character, which ${helper} cannot be given` }];
    if (Buffer.byteLength(devicePath) > maxBytes)
        return [{ path, reason: `is longer than the ${String(maxBytes)} bytes that ${helper} can take` }];
    return [];
}

export function known(...values: string[]): boolean {
    return !values.includes(UNKNOWN);
}

/** Values that are not known yet are taken to be the same. */
export function sameChap(a: Chap, b: Chap | undefined): boolean {
    if (b === undefined) return false;
    const equal = (x: string, y: string) => x === y || !known(x, y);
    return equal(a.username, b.username) && equal(a.password.value, b.password.value);
}
