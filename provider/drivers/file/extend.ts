import { BlockhostError } from "../../errors";
import type { Mark } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { sh } from "../../sh";
import { claimSpace, showBytes } from "../capacity";
import { requireData, requirePool, requireReady, sameObject } from "./check";
import { dataFile } from "./layout";
import { prepare } from "./pool";
import { preallocate } from "./preallocate";
import { settleRevert } from "./revert";
import { flushed } from "./settle";
import { type Context, guard, plan, step } from "./steps";

/**
 * Grows a volume in place; the new part reads as zeros (F1: extend_volume). No command used can make a file shorter. A
 * revert that was stopped half-way is ended first.
 *
 * @throws BlockhostError `invalid` (it is larger already), `no-space`, `not-found`, `not-ours`, `conflict` (half-made).
 */
export function extend(context: Context, want: { name: string; mark: Mark; sizeBytes: number }): Plan {
    requirePool(context);
    const { name, sizeBytes } = want;
    const found = requireData(context, name, sameObject(context, name, want.mark));
    if (found.mark.phase === "reverting") return settleRevert(context, found);
    requireReady(name, found.mark);
    if (found.sizeBytes > sizeBytes) {
        throw new BlockhostError(
            "invalid",
            `"${name}" has ${showBytes(found.sizeBytes)}, more than the ${showBytes(sizeBytes)} asked for`,
            { hint: `volumes never shrink: ask for ${String(found.sizeBytes)} bytes or more` },
        );
    }
    if (found.sizeBytes === sizeBytes) return NOTHING;
    const thin = context.pool.options.provisioning === "thin";
    const added = sizeBytes - found.sizeBytes;
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin,
        provisionedBytes: added,
        allocatedBytes: thin ? 0 : added,
    });
    const file = dataFile(name);
    // `>`: at least this size. The size shows that the work is done, so it must come after the space.
    const grow = sh`truncate -s ${`>${String(sizeBytes)}`} -- ${file}`;
    const script = thin ? grow : preallocate(file, sizeBytes);
    const steps = [
        ...prepare(context, found.mark),
        guard(context, { marked: [found], present: [file] }),
        step(context, `grow ${file}`, script),
    ];
    return plan(context, [name], steps, {
        claims: [claim],
        ...flushed(context, name),
        ...(thin ? {} : { timeout: 300_000 }),
    });
}
