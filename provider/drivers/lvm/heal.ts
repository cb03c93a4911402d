import type { Mark } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { requirePool, sameObject } from "./check";
import { activation } from "./create";
import type { Context } from "./steps";

/**
 * Activates what is not active: somebody took it down, or it did not come up with the host.
 *
 * @throws BlockhostError `not-ours`.
 */
export function heal(context: Context, want: { name: string; mark: Mark }): Plan {
    requirePool(context);
    const found = sameObject(context, want.name, want.mark);
    return found === undefined ? NOTHING : activation(context, found);
}
