import { BlockhostError } from "../../../errors";
import { showBytes } from "../../capacity";
import { roundUp } from "../../../size";
import type { MadePool, PoolPolicy, WantedPool } from "../../poolMaker";
import type { PoolRef } from "../../types";
import { isThin, type LvmOptions } from "../options";
import { isMember, memberUuid } from "./disks";
import { leavingMembers } from "./evacuate";
import { type Context, containerOf, thinPoolOf } from "./facts";
import { brokenRails } from "./guardRails";

/** In what a pool differs from its declaration. */
export function drift(context: Context, want: WantedPool): string[] {
    const { group } = containerOf(context.facts);
    if (group === undefined) return [];
    const { thinPool } = context.pool.options;
    const pool = thinPoolOf(context);
    const differences: string[] = [];
    if (context.facts.mark !== undefined && context.facts.mark.phase !== "ready")
        differences.push(`it is half made or half deleted (phase ${context.facts.mark.phase})`);
    for (const disk of want.disks ?? [])
        if (!isMember(context, group, disk))
            differences.push(`disk ${disk} is not in volume group "${group.name}"`);
    for (const { device } of leavingMembers(context, group, want))
        differences.push(`${device} is in volume group "${group.name}", and is not declared`);
    if (want.disks !== undefined && !want.adopted) {
        for (const { device, allocatable } of group.members)
            if (!allocatable) differences.push(`${device} takes no new data (pvchange -xn)`);
    }
    if (thinPool !== undefined && pool === undefined)
        differences.push(`${THIN_POOL_MISSING} "${group.name}/${thinPool}"`);
    if (pool !== undefined) {
        const { extentBytes } = group;
        if (want.sizeBytes !== undefined && pool.sizeBytes < roundUp(want.sizeBytes, extentBytes))
            differences.push(`thin pool "${pool.name}" has ${showBytes(pool.sizeBytes)}, less than declared`);
        if (want.metadataBytes !== undefined && pool.metadataBytes < roundUp(want.metadataBytes, extentBytes))
            differences.push(`its metadata has ${showBytes(pool.metadataBytes)}, less than declared`);
    }
    return [...differences, ...brokenRails(context, want).map(({ says }) => says)];
}

const THIN_POOL_MISSING = "there is no thin pool";

export function check(pool: PoolRef<LvmOptions>, want: PoolPolicy): { path: string; reason: string }[] {
    const failures: { path: string; reason: string }[] = [];
    if (!isThin(pool.options)) {
        const thin = [
            ["size", want.sizeBytes],
            ["chunkSize", want.chunkBytes],
            ["metadataSize", want.metadataBytes],
            ["monitoring", want.monitoring],
            ["autoExtend", want.autoExtend],
            ["whenFull", want.whenFull],
        ] as const;
        for (const [path, value] of thin)
            if (value !== undefined)
                failures.push({
                    path,
                    reason: `is for thin pools; pool "${pool.name}" has no \`thinPool\` in its configuration`,
                });
        return failures;
    }
    if (want.monitoring === false && want.autoExtend !== undefined && want.autoExtend !== false)
        failures.push({ path: "autoExtend", reason: "needs `monitoring`: it is dmeventd that extends" });
    const { chunkBytes, metadataBytes } = want;
    if (chunkBytes !== undefined && (chunkBytes % 65_536 !== 0 || chunkBytes > 2 ** 30))
        failures.push({ path: "chunkSize", reason: "must be a multiple of 64KiB, and at most 1GiB" });
    if (metadataBytes !== undefined && (metadataBytes < 2 * 1024 ** 2 || metadataBytes > 15.75 * 1024 ** 3))
        failures.push({ path: "metadataSize", reason: "must be from 2MiB to 15.75GiB" });
    return failures;
}

/** What is recorded. A label without a group counts where it is known to be this pool's. */
export function made(context: Context, want: WantedPool): MadePool {
    const { group, labels, names, orphans } = containerOf(context.facts);
    const pool = thinPoolOf(context);
    const inside = new Set(group?.members.map(({ uuid }) => uuid));
    const members: Record<string, string> = {};
    for (const disk of context.facts.disks.keys()) {
        const uuid = labels.get(disk);
        if (uuid === undefined) continue;
        const known = [want.former?.[disk], memberUuid(want.mark, context.pool.name, disk)];
        if (inside.has(uuid) || (orphans.has(uuid) && known.includes(uuid))) members[disk] = uuid;
    }
    // Of one that is taken over with whatever disks it has, they are noted too: only by its disks it can be told, when it is
    // no longer found, whether it is gone. All of them, or none.
    const all = [...inside].map((uuid) => names.get(uuid));
    if (want.disks === undefined && context.facts.mark !== undefined && !all.includes(undefined))
        for (const [uuid, disk] of names) members[disk] = uuid;
    return {
        containerId: group?.uuid ?? "",
        generation: context.facts.mark?.generation ?? "",
        sizeBytes: context.facts.sizeBytes,
        members,
        ...(pool === undefined
            ? {}
            : {
                  thinPool: {
                      sizeBytes: pool.sizeBytes,
                      metadataBytes: pool.metadataBytes,
                      chunkBytes: pool.chunkBytes,
                  },
              }),
    };
}

/** A group that was not found is gone only if all its disks are here, and none carries the label that it had. */
export function gone(context: Context, before: MadePool): boolean {
    const { volumeGroup } = context.pool.options;
    const { groups, labels, orphans } = containerOf(context.facts);
    const renamed = groups.get(before.containerId);
    if (renamed !== undefined) {
        throw new BlockhostError("not-found", `volume group "${volumeGroup}" is called "${renamed}" now`, {
            hint: `on the host: vgrename ${renamed} ${volumeGroup}; or name it so in the host's configuration`,
        });
    }
    const missing = Object.keys(before.members).filter(
        (disk) => context.facts.disks.get(disk)?.device === undefined,
    );
    const carrying = Object.entries(before.members).filter(([disk, uuid]) => labels.get(disk) === uuid);
    const labelled = carrying.filter(([, uuid]) => !orphans.has(uuid));
    if (missing.length > 0 || labelled.length > 0 || Object.keys(before.members).length === 0) {
        const why =
            missing.length > 0
                ? `these of its disks are missing: ${missing.join(", ")}`
                : labelled.length > 0
                  ? "its disks still carry its labels"
                  : "which disks it was on is not known";
        throw new BlockhostError("not-found", `volume group "${volumeGroup}" was not found, and ${why}`, {
            hint: "nothing was changed: plug the disks in again, and look at `pvs` on the host. If it is lost for good, take the resources out of the state with `pulumi state delete`",
        });
    }
    return carrying.length === 0;
}
