import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import * as common from "../check";
import { isObjectName } from "./layout";
import type { Context } from "./steps";

export { refuseHalfAdopted, requireData, requirePool, requireReady } from "../check";

/** @throws BlockhostError `invalid` for a name that this driver could not lay out safely. */
export function requireName(name: string): void {
    if (!isObjectName(name)) {
        throw new BlockhostError("invalid", `${JSON.stringify(name)} cannot be the name of an object`, {
            hint: 'use letters, digits, "_", "." and "-"',
        });
    }
}

/** @throws BlockhostError as the common one; `not-ours` also where the data is no regular file. */
export function ownObject(context: Context, name: string, mark: Mark): ObjectFacts | undefined {
    const found = common.ownObject(context, name, mark);
    if (found !== undefined) requireRegular(found);
    return found;
}

/** @throws BlockhostError as the common one; `not-ours` also where the data is no regular file. */
export function sameObject(context: Context, name: string, mark: Mark): ObjectFacts | undefined {
    const found = common.sameObject(context, name, mark);
    if (found !== undefined) requireRegular(found);
    return found;
}

/** @throws BlockhostError `not-ours` for anything but a file in the place of the data. */
export function requireRegular(found: ObjectFacts): void {
    const type = found.extra?.["type"];
    if (type === undefined || type === "f") return;
    throw new BlockhostError("not-ours", `${found.path} is not a regular file`, {
        hint: "somebody has put something else in the place of the data: move it away on the host",
    });
}
