import { createHash } from "node:crypto";
import { BlockhostError } from "../../../errors";
import { NOTHING, type Plan, type Step } from "../../../host/plan";
import { forgetUnit, startUnit, stopUnit } from "../../../host/units";
import { lines, raw, sh } from "../../../sh";
import { showBytes } from "../../capacity";
import type { WantedPool } from "../../poolMaker";
import { clearLabel } from "./disks";
import { type Context, type GroupFacts, type MemberFacts, containerOf } from "./facts";
import { guard, lvm, lvmProcess, onMembers, plan } from "./steps";

/**
 * Taking disks out of a group while it is in use: no new extents from them, pvmove(8) as long work, vgreduce, pvremove.
 * pvmove keeps how far it has come in the group's metadata; started again, it goes on from there, after a power cut too.
 */
export function evacuate(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const leaving = leavingMembers(context, group, want);
    const disks = [...new Set([...(want.disks ?? []), ...Object.keys(want.former ?? {})])];
    if (leaving.length === 0) return clearFormer(context, want, disks);
    const unitName = `${unitPrefix(group)}${digest(leaving.map(({ uuid }) => uuid))}`;
    const unit = context.host.units.get(unitName);
    const moving = leaving.reduce((sum, { usedExtents }) => sum + usedExtents, 0);
    if (moving === 0)
        return dismiss(context, group, leaving, disks, unit === undefined ? undefined : unitName);
    if (unit?.state === "running") return plan(context, disks, [], unitName);
    if (unit?.state === "failed") {
        throw new BlockhostError("command-failed", "moving data off the disks failed", {
            exitStatus: unit.exitStatus,
            stderr: unit.log,
            hint: "no data was lost: what has moved has moved, the rest is where it was. Mend what the host complains of, then run the same again",
        });
    }
    requireRoom(group, leaving, moving);
    const names = leaving.map(({ device }) => device);
    const fence = leaving.filter(({ allocatable }) => allocatable);
    return plan(
        context,
        disks,
        [
            guard(context),
            ...(fence.length === 0
                ? []
                : [
                      onMembers(
                          context,
                          "put nothing more on the disks that leave",
                          fence,
                          "pvchange",
                          "-q",
                          "-xn",
                      ),
                  ]),
            startUnit(context.pool.stateDirectory, {
                name: unitName,
                label: `move data off ${names.join(", ")}`,
                script: lines(...leaving.map((member) => move(context, member)), flushGroup(context, group)),
                progress: progress(context, group, leaving, moving),
                totalBytes: moving * group.extentBytes,
            }),
        ],
        unitName,
    );
}

/** Members that no name of a declared disk leads to. */
export function leavingMembers(context: Context, group: GroupFacts, want: WantedPool): MemberFacts[] {
    if (want.disks === undefined) return [];
    const { labels } = containerOf(context.facts);
    const staying = new Set(want.disks.map((disk) => labels.get(disk)));
    return group.members.filter(({ uuid }) => !staying.has(uuid));
}

function move(context: Context, { uuid }: MemberFacts) {
    const { options } = context.pool;
    const which = `pv_uuid="${uuid}"`;
    const ask = lvm(options, "pvs", "--noheadings", "-o", "pv_name,pv_pe_alloc_count", "-S", which);
    return sh`bh_v=$(${ask}) || exit
set -- $bh_v
[ "$2" = 0 ] || ${lvmProcess(options, ["pvmove", "-i", "5"], ' "$1"')} || exit`;
}

/** What has moved is written through before anybody gives up the disks that it came from. */
function flushGroup(context: Context, group: GroupFacts) {
    const which = `vg_uuid="${group.uuid}"`;
    return sh`bh_v=$(${lvm(context.pool.options, "pvs", "--noheadings", "-o", "pv_name", "-S", which)}) && sync -- $bh_v`;
}

/** Bytes that have left, counting whole pieces that LVM has committed and, of the piece under way, its percentage. */
function progress(context: Context, group: GroupFacts, leaving: readonly MemberFacts[], moving: number) {
    const { options } = context.pool;
    const left = lvm(options, "pvs", "--noheadings", "-o", "pv_pe_alloc_count", "-S", anyOf(leaving));
    const percent = lvm(
        options,
        ...["lvs", "-a", "--noheadings", "--units", "b", "--nosuffix", "-o", "copy_percent,lv_size"],
        ...["-S", 'lv_name=~"^pvmove"', group.name],
    );
    return sh`bh_left=$(${left} 2>/dev/null | tr -s ' \\n' '++' | sed 's/^+*//; s/+*$//')
bh_now=$(${percent} 2>/dev/null | head -n 1)
set -- $bh_now
bh_p=\${1:-0} bh_s=\${2:-0}
echo $(( (${moving} - (\${bh_left:-0})) * ${group.extentBytes} + \${bh_s%%.*} / 100 * \${bh_p%%.*} ))`;
}

function requireRoom(group: GroupFacts, leaving: readonly MemberFacts[], moving: number): void {
    const staying = group.members.filter((member) => !leaving.includes(member) && member.allocatable);
    const free = staying.reduce((sum, { extents, usedExtents }) => sum + extents - usedExtents, 0);
    if (free >= moving) return;
    throw new BlockhostError(
        "no-space",
        `the disks that stay have ${showBytes(free * group.extentBytes)} free; ${showBytes(moving * group.extentBytes)} would have to move to them from ${leaving.map(({ device }) => device).join(", ")}`,
        {
            hint: "add disks in the same `pulumi up`, or delete volumes first; a thin pool takes the space of all its size, written or not",
        },
    );
}

function dismiss(
    context: Context,
    group: GroupFacts,
    leaving: readonly MemberFacts[],
    disks: readonly string[],
    unit: string | undefined,
): Plan {
    const devices = leaving.map(({ device }) => device);
    const steps: Step[] = [
        guard(context),
        // First: when nobody leaves any more, nobody looks for it.
        ...(unit === undefined ? [] : [forgetUnit(context.pool.stateDirectory, unit)]),
        onMembers(
            context,
            `take ${devices.join(", ")} out of "${group.name}"`,
            leaving,
            "vgreduce",
            "-q",
            group.name,
        ),
        ...leaving.map(({ device, uuid }) => clearLabel(context, { device, uuid })),
    ];
    return plan(context, disks, steps);
}

/** A run cut short between vgreduce and pvremove leaves a label without a group. */
function clearFormer(context: Context, want: WantedPool, disks: readonly string[]): Plan {
    const { labels, orphans } = containerOf(context.facts);
    const left = Object.entries(want.former ?? {}).filter(
        ([disk, uuid]) =>
            want.disks?.includes(disk) === false && labels.get(disk) === uuid && orphans.has(uuid),
    );
    if (left.length === 0) return NOTHING;
    return plan(
        context,
        disks,
        left.map(([disk, uuid]) => clearLabel(context, { device: disk, uuid })),
    );
}

/** A disk that is declared again while it is being evacuated stays. */
export function stopEvacuation(context: Context, group: GroupFacts, want: WantedPool): Plan {
    if (want.disks === undefined || want.adopted) return NOTHING;
    const leaving = leavingMembers(context, group, want);
    const fenced = group.members.filter((member) => !member.allocatable && !leaving.includes(member));
    if (fenced.length === 0) return NOTHING;
    const units = [...context.host.units.values()].filter(
        ({ name, state }) => state === "running" && name.startsWith(unitPrefix(group)),
    );
    const { options, stateDirectory } = context.pool;
    return plan(context, want.disks, [
        guard(context),
        ...units.map(({ name }) => ({
            label: "stop moving data",
            script: lines(sh`( ${stopUnit(stateDirectory, name)} )`, raw(":")),
        })),
        {
            label: "give up what was being moved",
            script: sh`bh_v=$(${lvm(options, "lvs", "-a", "--noheadings", "-o", "lv_name", "-S", 'lv_name=~"^pvmove"', group.name)}) || exit
[ -n "$bh_v" ] || exit 0
bh_v=$(${lvm(options, "pvs", "--noheadings", "-o", "pv_name", "-S", anyOf(fenced))}) || exit
for bh_d in $bh_v; do ${lvmProcess(options, ["pvmove", "--abort"], ' "$bh_d"')} || exit; done`,
        },
        onMembers(context, "let the disks be used again", fenced, "pvchange", "-q", "-xy"),
    ]);
}

function unitPrefix(group: GroupFacts): string {
    return `evacuate-${digest([group.uuid])}-`;
}

function anyOf(members: readonly MemberFacts[]): string {
    return members.map(({ uuid }) => `pv_uuid="${uuid}"`).join("||");
}

function digest(parts: readonly string[]): string {
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}
