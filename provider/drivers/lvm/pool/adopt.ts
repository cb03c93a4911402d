import { BlockhostError } from "../../../errors";
import { type Mark, sameOwner } from "../../../host/mark";
import { NOTHING, type Plan } from "../../../host/plan";
import { isMember } from "./disks";
import { type Context, containerOf, thinPoolOf } from "./facts";
import { guard, mark, plan, step } from "./steps";
import { encodeMark } from "../../../host/mark";

/** Puts our tag on a volume group that is there, in one commit of LVM, and changes nothing else. */
export function adopt(context: Context, want: { mark: Mark; disks: readonly string[] | undefined }): Plan {
    const { volumeGroup, thinPool } = context.pool.options;
    const { group } = containerOf(context.facts);
    if (group === undefined) {
        throw new BlockhostError("not-found", `there is no volume group "${volumeGroup}" to adopt`, {
            hint: "see `vgs` on the host; without `adopt`, it is made from `disks`",
        });
    }
    if (thinPool !== undefined && thinPoolOf(context) === undefined) {
        throw new BlockhostError(
            "not-found",
            `volume group "${volumeGroup}" has no thin pool "${thinPool}" to adopt`,
            {
                hint: "see `lvs` on the host, and `thinPool` in the host's configuration",
            },
        );
    }
    const found = context.facts.mark;
    if (found !== undefined) {
        if (sameOwner(found.owner, want.mark.owner)) return NOTHING;
        throw new BlockhostError("not-ours", `volume group "${volumeGroup}" is somebody else's`);
    }
    const { disks } = want;
    const strangers = (disks ?? []).filter((disk) => !isMember(context, group, disk));
    if (disks !== undefined && (strangers.length > 0 || disks.length !== group.members.length)) {
        throw new BlockhostError(
            "invalid",
            `volume group "${volumeGroup}" is on ${group.members.map(({ device }) => device).join(", ")}, which is not what \`disks\` names`,
            {
                hint: "name just these disks, or leave `disks` out; disks are added and removed after it was adopted",
            },
        );
    }
    return plan(context, disks ?? [], [guard(context), mark(context, group, want.mark)]);
}

/** Takes the tag off, and leaves everything else. */
export function release(context: Context, want: { mark: Mark }): Plan {
    const { group } = containerOf(context.facts);
    if (group === undefined || context.facts.mark === undefined) return NOTHING;
    return plan(
        context,
        [],
        [
            guard(context),
            step(
                context,
                `take the mark off "${group.name}"`,
                "vgchange",
                "-q",
                "--deltag",
                encodeMark(want.mark),
                group.name,
            ),
        ],
    );
}
