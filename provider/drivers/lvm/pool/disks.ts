import { createHash } from "node:crypto";
import { BlockhostError } from "../../../errors";
import type { DiskFacts } from "../../../host/facts";
import { GUARD_FAILED, IN_USE, type Step } from "../../../host/plan";
import type { Mark } from "../../../host/mark";
import { lines, sh, type Sh } from "../../../sh";
import type { WantedPool } from "../../poolMaker";
import { type Context, type GroupFacts, containerOf } from "./facts";
import { lvm, lvmProcess } from "./steps";

/**
 * Disks becoming physical volumes. The UUID of a physical volume follows from who declares it and from its disk, so that
 * a label that was written before a run was cut short is known to be ours, with no note of it anywhere else.
 */

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const GROUPS = [6, 4, 4, 4, 4, 4, 6] as const;

/** In LVM's form (6-4-4-4-4-4-6 letters and digits). */
export function memberUuid({ owner }: Mark, poolName: string, disk: string): string {
    const who = [owner.installation, owner.organization, owner.project, owner.stack, owner.resource];
    const digest = createHash("sha256")
        .update(JSON.stringify(["pulumi-blockhost/pv/1", ...who, poolName, disk]))
        .digest();
    const text = [...digest].map((byte) => LETTERS[byte % LETTERS.length] ?? "0").join("");
    let at = 0;
    return GROUPS.map((length) => text.slice(at, (at += length))).join("-");
}

/** A disk that is in the group already. */
export function isMember(context: Context, group: GroupFacts | undefined, disk: string): boolean {
    const label = containerOf(context.facts).labels.get(disk);
    return label !== undefined && group?.members.some(({ uuid }) => uuid === label) === true;
}

/** Labelled for this pool by a run that was cut short, and in no group. */
function isPrepared(context: Context, want: WantedPool, disk: string): boolean {
    const { labels, orphans } = containerOf(context.facts);
    const uuid = memberUuid(want.mark, context.pool.name, disk);
    return labels.get(disk) === uuid && orphans.has(uuid);
}

/**
 * Steps that make physical volumes of disks.
 *
 * @throws BlockhostError `not-found` (no such disk), `in-use`, `exists` (it carries something that was not named).
 */
export function prepareDisks(context: Context, want: WantedPool, disks: readonly string[]): Step[] {
    return disks
        .filter((disk) => !isPrepared(context, want, disk))
        .map((disk) => {
            const facts = usableDisk(context, want, disk);
            const allowed = facts.signatures.length === 0 ? [] : (want.overwrite[disk] ?? []);
            return {
                label: `make a physical volume of ${disk}`,
                script: prepare(context, want, disk, allowed),
            };
        });
}

function usableDisk(context: Context, want: WantedPool, disk: string): DiskFacts {
    const facts = context.facts.disks.get(disk);
    if (facts?.device === undefined) {
        throw new BlockhostError("not-found", `there is no disk ${disk} on the host`, {
            hint: "see `ls -l /dev/disk/by-id` there",
        });
    }
    if (facts.readOnly) throw new BlockhostError("invalid", `disk ${disk} is read-only`);
    const { groups, labels, orphans } = containerOf(context.facts);
    const label = labels.get(disk);
    if (label !== undefined && !orphans.has(label)) {
        throw new BlockhostError(
            "in-use",
            `disk ${disk} belongs to another volume group, or to one that is not complete`,
            {
                hint: `see \`pvs\` on the host (volume groups there: ${[...groups.values()].join(", ") || "none"}); take it out of that group with vgreduce(8) if it is not needed there`,
            },
        );
    }
    const users = facts.users.filter((user) => user !== "");
    if (users.length > 0) {
        throw new BlockhostError("in-use", `disk ${disk} (${facts.device}) is in use: ${users.join(", ")}`, {
            hint: users.some((user) => /mpath/i.test(user))
                ? "it is a path of a multipath device: name that (/dev/disk/by-id/dm-uuid-mpath-…)"
                : "name a disk that nobody uses",
        });
    }
    const allowed = want.overwrite[disk] ?? [];
    const foreign = facts.signatures.filter((signature) => !allowed.includes(signature));
    if (foreign.length > 0) {
        throw new BlockhostError(
            "exists",
            `disk ${disk} (${facts.device}) is not empty: it carries ${foreign.join(", ")}`,
            {
                hint: `nothing was changed. If what it holds is of no use any more, say so: \`overwrite: { ${JSON.stringify(disk)}: ${JSON.stringify(facts.signatures)} }\``,
            },
        );
    }
    return facts;
}

/**
 * Room for LVM's metadata on each disk, MiB. A marked volume takes a kilobyte of it, and there have to be two of all at
 * once: LVM's default of 1 ends at some hundreds of volumes. Half of it is below what LVM reads by default
 * (`io_memory_size`, 8 MiB).
 */
const METADATA_AREA = 15;

/** In a group that is there with less, more would gain nothing, and take room from the data. */
function metadataArea(context: Context): string[] {
    const members = containerOf(context.facts).group?.members ?? [];
    const small = members.some(({ metadataBytes }) => !(metadataBytes >= METADATA_AREA * 2 ** 20));
    return small ? [] : ["--metadatasize", `${String(METADATA_AREA)}m`];
}

/** Looks again, under the lock, at what `usableDisk` has looked at; LVM itself looks once more, and opens exclusively. */
function prepare(context: Context, want: WantedPool, disk: string, allowed: readonly string[]): Sh {
    const words = allowed.join(" ");
    const uuid = memberUuid(want.mark, context.pool.name, disk);
    return lines(
        sh`bh_d=$(readlink -e -- ${disk}) && [ -b "$bh_d" ] || { echo "there is no such disk any more" >&2; exit ${GUARD_FAILED}; }
bh_k=\${bh_d##*/} bh_parts=$bh_d
for bh_p in "/sys/class/block/$bh_k/$bh_k"*; do [ ! -e "$bh_p/partition" ] || bh_parts="$bh_parts /dev/\${bh_p##*/}"; done
for bh_p in $bh_parts; do
    for bh_h in "/sys/class/block/\${bh_p##*/}/holders/"*; do
        [ ! -e "$bh_h" ] || { echo "$bh_p is used by \${bh_h##*/}" >&2; exit ${IN_USE}; }
    done
    for bh_t in $(wipefs -n -i -O TYPE "$bh_p"); do
        case " "${words}" " in *" $bh_t "*) ;; *) echo "$bh_p carries $bh_t" >&2; exit ${GUARD_FAILED} ;; esac
    done
done`,
        allowed.length === 0
            ? undefined
            : sh`for bh_p in $(printf '%s\\n' $bh_parts | tac); do wipefs -q -a -t ${allowed.join(",")} "$bh_p" || exit ${IN_USE}; done
! command -v udevadm >/dev/null || udevadm settle -t 10`,
        sh`${lvm(
            context.pool.options,
            ...["pvcreate", "-q", "--uuid", uuid, "--norestorefile", ...metadataArea(context), disk],
        )}`,
    );
}

/** Takes the label off a physical volume that is in no group any more, if it is still there. */
export function clearLabel(context: Context, { device, uuid }: { device: string; uuid: string }): Step {
    const { options } = context.pool;
    const which = `pv_uuid="${uuid}"&&vg_name=""`;
    return {
        label: `take the label of LVM off ${device}`,
        script: sh`bh_v=$(${lvm(options, "pvs", "--noheadings", "-o", "pv_name", "-S", which)}) || exit
set -- $bh_v
[ $# = 1 ] || exit 0
${lvmProcess(options, ["pvremove", "-q"], ' "$1"')}`,
    };
}
