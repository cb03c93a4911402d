import { BlockhostError } from "../../../errors";
import { encodeMark } from "../../../host/mark";
import { NOTHING, type Plan, isEmpty } from "../../../host/plan";
import { roundUp } from "../../../size";
import type { WantedPool } from "../../poolMaker";
import { addDisks, thinPoolPlan } from "./create";
import { isMember } from "./disks";
import { evacuate, stopEvacuation } from "./evacuate";
import { type Context, type GroupFacts, containerOf, thinPoolOf } from "./facts";
import { mendGuardRails } from "./guardRails";
import { wantedData } from "./sizes";
import { guard, mark, plan, step } from "./steps";

/** Makes a pool that is there as it is declared, one thing after the other; data is never lost by any of it. */
export function alter(context: Context, want: WantedPool): Plan {
    const { group } = containerOf(context.facts);
    if (group === undefined) {
        throw new BlockhostError(
            "not-found",
            `volume group "${context.pool.options.volumeGroup}" is not there`,
        );
    }
    const parts = [
        () => ownership(context, group, want),
        () => stopEvacuation(context, group, want),
        () => growth(context, group, want),
        () => thinPoolPlan(context, group, want),
        () => thinPoolGrowth(context, group, want),
        () => guardRails(context, group, want),
        () => evacuate(context, group, want),
    ];
    for (const part of parts) {
        const due = part();
        if (!isEmpty(due)) return due;
    }
    return NOTHING;
}

function ownership(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const found = context.facts.mark;
    if (found === undefined || encodeMark(found) === encodeMark(want.mark)) return NOTHING;
    return plan(context, want.disks ?? [], [guard(context), mark(context, group, want.mark)]);
}

function growth(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const added = (want.disks ?? []).filter((disk) => !isMember(context, group, disk));
    return added.length === 0 ? NOTHING : addDisks(context, group, want, added);
}

/** Data and metadata only ever grow. An adopted pool grows only to what is declared. */
function thinPoolGrowth(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const pool = thinPoolOf(context);
    if (pool === undefined) return NOTHING;
    const name = `${group.name}/${pool.name}`;
    const steps = [];
    const metadata = want.metadataBytes === undefined ? 0 : roundUp(want.metadataBytes, group.extentBytes);
    if (metadata > pool.metadataBytes) {
        steps.push(
            step(
                context,
                `grow the metadata of "${name}"`,
                ...["lvextend", "-q", "--poolmetadatasize", `${String(metadata)}b`, name],
            ),
        );
    }
    if (!want.adopted || want.sizeBytes !== undefined) {
        const extents = wantedData(group, pool, want);
        if (extents * group.extentBytes > pool.sizeBytes) {
            steps.push(
                step(context, `grow thin pool "${name}"`, "lvextend", "-q", "-l", String(extents), name),
            );
        }
    }
    return steps.length === 0 ? NOTHING : plan(context, want.disks ?? [], [guard(context), ...steps]);
}

function guardRails(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const steps = mendGuardRails(context, group, want);
    return steps.length === 0 ? NOTHING : plan(context, want.disks ?? [], [guard(context), ...steps]);
}
