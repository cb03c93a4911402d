import { BlockhostError } from "../../../errors";
import { type Plan, type Step, isEmpty, NOTHING } from "../../../host/plan";
import { type Mark, encodeMark, sameOwner } from "../../../host/mark";
import type { WantedPool } from "../../poolMaker";
import { alter } from "./alter";
import { isMember, prepareDisks } from "./disks";
import { type Context, type GroupFacts, containerOf, thinPoolOf } from "./facts";
import { mendGuardRails, wantedProfile } from "./guardRails";
import { profileName, writeProfile } from "./profile";
import { newLayout } from "./sizes";
import { forget, guard, mark, plan, step } from "./steps";

/**
 * Physical volumes, then the volume group with the mark in phase `creating` (one commit of LVM), then the thin pool, its
 * guard rails, and the mark in phase `ready`. What a run that was cut short has left is finished from wherever it stands.
 */
export function create(context: Context, want: WantedPool): Plan {
    const { group } = containerOf(context.facts);
    const disks = want.disks ?? [];
    if (group === undefined) {
        refuseRemembered(context);
        const creating: Mark = { ...want.mark, phase: "creating" };
        const { volumeGroup } = context.pool.options;
        return plan(context, disks, [
            ...prepareDisks(context, want, disks),
            step(
                context,
                `make volume group "${volumeGroup}"`,
                ...["vgcreate", "-q", "--addtag", encodeMark(creating), volumeGroup, ...disks],
            ),
        ]);
    }
    const found = context.facts.mark;
    if (found === undefined || !sameOwner(found.owner, want.mark.owner)) {
        throw new BlockhostError(
            "not-ours",
            `volume group "${group.name}" exists already and is not this pool's`,
        );
    }
    if (found.phase === "ready")
        return alter(context, { ...want, mark: { ...want.mark, generation: found.generation } });
    return finish(context, group, { ...want, mark: { ...want.mark, generation: found.generation } });
}

/** The host has seen a group of this name that is not there now: its disks may come back. */
function refuseRemembered(context: Context): void {
    const { groups, remembered } = containerOf(context.facts);
    const [uuid] = remembered;
    if (uuid === undefined) return;
    const { name, options, stateDirectory } = context.pool;
    const { volumeGroup } = options;
    const renamed = groups.get(uuid);
    throw new BlockhostError(
        "not-found",
        renamed === undefined
            ? `the host knows a volume group "${volumeGroup}" (${uuid}), whose disks are not there`
            : `the volume group of pool "${name}" is called "${renamed}" by now`,
        {
            hint:
                renamed === undefined
                    ? `attach its disks; if it is lost or was deleted for good, remove ${stateDirectory}/pools/lvm@${volumeGroup}* on the host`
                    : `on the host: vgrename ${renamed} ${volumeGroup}`,
        },
    );
}

function finish(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const disks = want.disks ?? [];
    const missing = disks.filter((disk) => !isMember(context, group, disk));
    if (missing.length > 0) return addDisks(context, group, want, missing);
    const pool = thinPoolPlan(context, group, want);
    if (!isEmpty(pool)) return pool;
    const rails = mendGuardRails(context, group, want);
    return plan(context, disks, [
        guard(context),
        ...rails,
        mark(context, group, { ...want.mark, phase: "ready" }),
    ]);
}

export function addDisks(
    context: Context,
    group: GroupFacts,
    want: WantedPool,
    added: readonly string[],
): Plan {
    return plan(
        context,
        [...(want.disks ?? []), ...added],
        [
            guard(context),
            ...prepareDisks(context, want, added),
            step(
                context,
                `add disks to volume group "${group.name}"`,
                "vgextend",
                "-q",
                group.name,
                ...added,
            ),
        ],
    );
}

/** Makes the thin pool where there is none. */
export function thinPoolPlan(context: Context, group: GroupFacts, want: WantedPool): Plan {
    const { thinPool } = context.pool.options;
    if (thinPool === undefined || thinPoolOf(context) !== undefined) return NOTHING;
    const leftovers = group.volumes.filter(({ name }) => name === thinPool || name === `${thinPool}_tmeta`);
    const used = leftovers.find(({ open, tags }) => open || tags.length > 0);
    if (used !== undefined || (leftovers.length > 0 && context.facts.mark?.phase === "ready")) {
        throw new BlockhostError("exists", `"${group.name}/${thinPool}" exists and is not a thin pool`, {
            hint: "rename or remove it on the host, or configure another `thinPool`",
        });
    }
    const layout = newLayout(group, want);
    const autoExtend = wantedProfile(want);
    const steps: Step[] = [guard(context)];
    if (context.facts.mark?.phase === "ready") steps.push(forget(context));
    // lvcreate(8) commits several times; what it leaves when it is cut short carries the pool's name and nothing else.
    for (const { name, uuid } of leftovers) {
        const only = `lv_uuid="${uuid}"&&lv_tags=""`;
        steps.push(
            step(context, `remove the unfinished ${name}`, "lvremove", "-q", "-y", "-S", only, group.name),
        );
    }
    if (autoExtend !== undefined) {
        steps.push({ label: "write the profile of automatic extension", script: writeProfile(autoExtend) });
    }
    steps.push(
        step(
            context,
            `make thin pool "${thinPool}"`,
            ...["lvcreate", "-q", "--type", "thin-pool", "-n", thinPool],
            ...["-l", String(layout.dataExtents)],
            ...["--chunksize", `${String(layout.chunkBytes)}b`],
            ...["--poolmetadatasize", `${String(layout.metadataBytes)}b`],
            ...["--monitor", want.monitoring === false ? "n" : "y"],
            ...(autoExtend === undefined ? [] : ["--metadataprofile", profileName(autoExtend)]),
            group.name,
        ),
    );
    return plan(context, want.disks ?? [], steps);
}
