import { BlockhostError } from "../../../errors";
import type { Mark } from "../../../host/mark";
import { IN_USE, NOTHING, type Plan, type Step } from "../../../host/plan";
import { sh } from "../../../sh";
import type { MadePool } from "../../poolMaker";
import { clearLabel } from "./disks";
import { type Context, type GroupFacts, containerOf, thinPoolOf } from "./facts";
import { clearProfiles } from "./profile";
import { forget, guard, lvm, mark, plan, step } from "./steps";

/**
 * Deletes an empty pool: thin pool, volume group, labels. LVM refuses by itself, under its own lock, to remove a thin
 * pool with volumes (by the selection) and a group with volumes (no -f), should one appear meanwhile.
 */
export function remove(context: Context, want: { mark: Mark; made: MadePool }): Plan {
    const { group } = containerOf(context.facts);
    const disks = Object.keys(want.made.members);
    if (group === undefined) return clearLabels(context, want.made, disks);
    refuseContent(context, group);
    const pool = thinPoolOf(context);
    const steps: Step[] = [guard(context), mark(context, group, { ...want.mark, phase: "deleting" })];
    if (pool !== undefined) {
        const only = `lv_uuid="${pool.uuid}"&&thin_count=0`;
        const label = `delete thin pool "${pool.name}"`;
        steps.push(step(context, label, "lvremove", "-q", "-y", "-S", only, group.name));
    }
    steps.push(empty(context, group), forget(context));
    // While the group is there: without it nobody asks for them any more.
    steps.push({
        label: "remove profiles that nothing goes by",
        script: clearProfiles(context.pool.options),
    });
    steps.push(step(context, `delete volume group "${group.name}"`, "vgremove", "-q", group.name));
    for (const { device, uuid } of group.members) steps.push(clearLabel(context, { device, uuid }));
    return plan(context, disks, steps);
}

/** Whoever made something in it meanwhile is told by name. */
function empty(context: Context, group: GroupFacts): Step {
    const ask = lvm(context.pool.options, "lvs", "--noheadings", "-o", "lv_name", group.name);
    return {
        label: "check that nothing is inside",
        script: sh`bh_v=$(${ask}) || exit
set -- $bh_v
[ $# = 0 ] || { echo "it holds $*" >&2; exit ${IN_USE}; }`,
    };
}

function refuseContent(context: Context, group: GroupFacts): void {
    const inside = group.volumes.filter(({ name }) => name !== context.pool.options.thinPool);
    if (inside.length === 0) return;
    const shown = inside.slice(0, 10).map(({ name }) => name);
    const more = inside.length > shown.length ? ` and ${String(inside.length - shown.length)} more` : "";
    throw new BlockhostError(
        "in-use",
        `pool "${context.pool.name}" still holds ${shown.join(", ")}${more} (volume group "${group.name}")`,
        { hint: 'delete these first, ours or not, or keep the pool with `onDelete: "retain"`' },
    );
}

/** A run cut short after the group was deleted leaves labels. */
function clearLabels(context: Context, made: MadePool, disks: readonly string[]): Plan {
    const { labels, orphans } = containerOf(context.facts);
    const left = Object.entries(made.members).filter(
        ([disk, uuid]) => labels.get(disk) === uuid && orphans.has(uuid),
    );
    if (left.length === 0) return NOTHING;
    return plan(
        context,
        disks,
        left.map(([disk, uuid]) => clearLabel(context, { device: disk, uuid })),
    );
}
