import { BlockhostError } from "../../errors";
import type { Mark } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import { claimSpace, showBytes } from "../capacity";
import { cowSnapshots, requireData, requirePool, requireReady, sameObject } from "./check";
import { isThin } from "./options";
import { settleRevert } from "./revert";
import {
    type Context,
    type Data,
    activate,
    changeMark,
    deactivate,
    extendCommand,
    guard,
    plan,
    setMark,
    step,
} from "./steps";

/**
 * Grows a volume in place (F1: extend_volume). LVM resizes a thick volume that has snapshots only while it is inactive, so
 * it is taken down for a moment, which fails if anybody has it open.
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
    const growing = found.mark.extra["growing"] !== undefined;
    if (found.sizeBytes === sizeBytes && !growing) return NOTHING;
    const thin = isThin(context.pool.options);
    const added = sizeBytes - found.sizeBytes;
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin,
        provisionedBytes: added,
        allocatedBytes: thin ? 0 : added,
    });
    const snapshots = cowSnapshots(context, found);
    const steps =
        snapshots.length > 0 || growing
            ? growInactive(
                  context,
                  found,
                  sizeBytes,
                  snapshots.map(({ name: one }) => one),
              )
            : [
                  step(
                      `grow "${name}"`,
                      guard(context, { same: [found] }),
                      extendCommand(context, name, sizeBytes),
                  ),
              ];
    return plan(context, [name, ...snapshots.map((one) => one.name)], steps, {
        claims: [claim],
        timeout: 120_000,
    });
}

function growInactive(
    context: Context,
    found: Data,
    sizeBytes: number,
    snapshots: readonly string[],
): Step[] {
    const { name, mark } = found;
    const { growing: _, ...extra } = mark.extra;
    const settled: Mark = { ...mark, extra };
    const begun: Mark = { ...mark, extra: { ...extra, growing: "1" } };
    return [
        step(
            `mark "${name}" as growing`,
            guard(context, { closed: [found] }),
            setMark(context, found, begun),
        ),
        step(`take "${name}" down`, deactivate(context, name)),
        ...(found.sizeBytes < sizeBytes
            ? [step(`grow "${name}"`, extendCommand(context, name, sizeBytes))]
            : []),
        step(`bring "${name}" up`, activate(context, name, ...snapshots)),
        step(`mark "${name}" as ready`, changeMark(context, name, begun, settled)),
    ];
}
