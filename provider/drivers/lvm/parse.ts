import { hasCode } from "../../errors";
import type { Activation, ObjectFacts, PoolFacts } from "../../host/facts";
import { type Mark, decodeMark } from "../../host/mark";
import { provisionedBytes } from "../capacity";
import { quote } from "../../sh";
import type { PoolRef } from "../types";
import { recordFile, type VolumeRow } from "./observe";
import { DEFAULTS, type LvmOptions, copies, isThin } from "./options";
import { findGroup, type Problem } from "./problem";
import { type Group, type Reading, readReport } from "./report";
import { settingsOf } from "./settings";

/**
 * Facts of a pool. Its `id` is the volume group's UUID, for a thin pool followed by that of its logical volume. All
 * logical volumes of the group that are not LVM's own are listed, since they share one set of names; those that are not
 * of the pool have no size and no mark. `extra` of the pool: `group` (UUID), `extent` (bytes), `thin` (UUID of the thin
 * pool), `tags` (its tags), `data`, `metadata` (percent), `recorded`.
 */
export function parsePool(pool: PoolRef<LvmOptions>, output: string): PoolFacts {
    const reading = readReport(pool, output);
    const found = findGroup(pool, reading);
    if (found.problem !== undefined) return withProblem(pool, found.problem);
    const { group } = found;
    const { row } = group;
    const thinRow = group.volumes.find(({ lv_name }) => lv_name === pool.options.thinPool);
    const id = thinRow === undefined ? row.vg_uuid : `${row.vg_uuid}/${thinRow.lv_uuid}`;
    if (reading.record !== undefined && reading.record !== id)
        return withProblem(pool, exchanged(pool, reading, id));
    const objects = listObjects(pool, group, thinRow);
    const totalBytes =
        thinRow === undefined
            ? Math.floor(Number(row.vg_size) / copies(pool.options))
            : Number(thinRow.lv_size);
    const freeBytes =
        thinRow === undefined
            ? Math.floor(Number(row.vg_free) / copies(pool.options))
            : Math.floor(totalBytes * (1 - Number(thinRow.data_percent) / 100));
    return {
        name: pool.name,
        id,
        capacity: { totalBytes, freeBytes, provisionedBytes: provisionedBytes(objects) },
        objects,
        ...(thinRow === undefined ? {} : { health: thinHealth(pool, thinRow) }),
        extra: {
            group: row.vg_uuid,
            extent: row.vg_extent_size,
            recorded: reading.record === id ? "yes" : "no",
            ...(thinRow === undefined
                ? {}
                : {
                      thin: thinRow.lv_uuid,
                      tags: thinRow.lv_tags,
                      data: thinRow.data_percent,
                      metadata: thinRow.metadata_percent,
                  }),
        },
    };
}

function exchanged(pool: PoolRef<LvmOptions>, { record = "" }: Reading, id: string): Problem {
    return {
        summary: `the thin pool of pool "${pool.name}" is another one (${id}) than the one that this host knows under that name (${record})`,
        hint: `if the exchange is meant, remove ${recordFile(pool)} on the host`,
    };
}

function listObjects(
    pool: PoolRef<LvmOptions>,
    { volumes }: Group,
    thinRow: VolumeRow | undefined,
): Map<string, ObjectFacts> {
    const broken = thinRow === undefined ? undefined : brokenPool(pool, thinRow);
    const objects = new Map<string, ObjectFacts>();
    for (const row of volumes) {
        if (row.lv_name.startsWith("[")) continue;
        const one = objectFacts(pool, row);
        objects.set(row.lv_name, broken === undefined || one.mark === undefined ? one : ill(one, broken));
    }
    for (const kept of [...objects.values()]) standIn(objects, kept);
    return objects;
}

/**
 * While a thin volume is being reverted, its snapshot is merged into it, and a copy of the snapshot waits under another
 * name to take its place. It counts as the snapshot all the time, so that nobody takes it for gone.
 */
function standIn(objects: Map<string, ObjectFacts>, kept: ObjectFacts): void {
    const name = /^(.+)\.safety$/.exec(kept.name)?.[1];
    if (name === undefined || kept.mark?.kind !== "snapshot" || objects.has(name)) return;
    objects.set(name, { ...kept, name, extra: { ...kept.extra, keptAs: kept.name } });
}

function ill(object: ObjectFacts, text: string): ObjectFacts {
    return { ...object, health: [...(object.health ?? []), text] };
}

function objectFacts(pool: PoolRef<LvmOptions>, row: VolumeRow): ObjectFacts {
    const path = `/dev/${row.vg_name}/${row.lv_name}`;
    const layout = row.lv_layout.split(",");
    const member = isMember(pool, row, layout);
    const extra: Record<string, string> = {
        member: member ? "yes" : "no",
        tags: row.lv_tags,
        layout: row.lv_layout,
        role: row.lv_role,
        active: row.lv_active,
        permissions: row.lv_permissions,
        origin: row.origin,
        data: row.data_percent,
    };
    if (!member) return { name: row.lv_name, path, uid: row.lv_uuid, extra };
    const cow = isCow(row);
    const { mark: written, text, unreadable } = readMark(row.lv_tags);
    const mark = halfMadeCow(pool, written, cow) ? { ...written, phase: "creating" as const } : written;
    const size = Number(row.lv_size);
    const health = mark === undefined ? {} : objectHealth(pool, row, mark);
    return {
        name: row.lv_name,
        path,
        activation: activation(pool, row),
        uid: row.lv_uuid,
        ...(mark === undefined ? {} : { mark }),
        sizeBytes: cow ? Number(row.origin_size) : size,
        allocatedBytes: row.pool_lv === "" ? size : Math.round((size * Number(row.data_percent)) / 100),
        ...(cow ? { provisionedBytes: size } : {}),
        ...(row.lv_device_open === "open" ? { openBy: ["the host"] } : {}),
        ...health,
        extra: {
            ...extra,
            ...(cow ? { cow: row.lv_size } : {}),
            ...(isLost(row) ? { lost: "yes" } : {}),
            ...(text === undefined ? {} : { markText: text }),
            ...(unreadable === undefined ? {} : { unreadableMark: unreadable }),
        },
    };
}

/** What an export's boot file needs: not every volume comes by itself, those with the activation-skip flag never. */
function activation(pool: PoolRef<LvmOptions>, row: VolumeRow): Activation {
    return {
        command: `lvchange -q -ay -K --config ${quote(settingsOf(pool.options))}`,
        object: quote(`${row.vg_name}/${row.lv_name}`),
    };
}

/** Its space could not hold what has changed, so nothing can be read from it any more. */
function isLost(row: VolumeRow): boolean {
    return isCow(row) && (row.lv_snapshot_invalid === "snapshot invalid" || Number(row.data_percent) >= 100);
}

/** A snapshot of a thick volume: it holds what has changed since. */
function isCow(row: VolumeRow): boolean {
    return row.lv_role.split(",").includes("thicksnapshot");
}

/**
 * `lvcreate -s` of a thick volume commits a plain logical volume first, with all its tags, and makes the snapshot of it
 * after that. What the power failed between is nobody's copy of anything.
 */
function halfMadeCow(pool: PoolRef<LvmOptions>, mark: Mark | undefined, cow: boolean): mark is Mark {
    return (
        mark !== undefined &&
        mark.kind !== "volume" &&
        mark.phase === "ready" &&
        !cow &&
        !isThin(pool.options)
    );
}

function isMember(pool: PoolRef<LvmOptions>, row: VolumeRow, layout: readonly string[]): boolean {
    if (layout.includes("pool") || layout.includes("virtual")) return false;
    if (isThin(pool.options)) return row.pool_lv === pool.options.thinPool && layout.includes("thin");
    return row.pool_lv === "";
}

/** A mark that cannot be read makes its object somebody else's, and says why. */
function readMark(tags: string): { mark?: Mark; text?: string; unreadable?: string } {
    const ours = tags.split(",").filter((tag) => tag.startsWith("blockhost:"));
    const [text, second] = ours;
    if (text === undefined) return {};
    if (second !== undefined) return { text, unreadable: "there are two of them" };
    try {
        const mark = decodeMark(text);
        return mark === undefined ? { text, unreadable: "it is not in our format" } : { mark, text };
    } catch (error) {
        if (hasCode(error, "unsupported"))
            return { text, unreadable: `${error.summary}; ${error.details.hint ?? ""}` };
        throw error;
    }
}

function objectHealth(
    pool: PoolRef<LvmOptions>,
    row: VolumeRow,
    mark: Mark,
): Pick<ObjectFacts, "health" | "mendable"> {
    const full = `${row.vg_name}/${row.lv_name}`;
    if (isLost(row)) {
        return {
            health: [
                `the snapshot is lost: more has changed on its volume than its space could hold. Delete it, and take another with more space (\`snapshotPercent\` of the pool)`,
            ],
        };
    }
    if (row.lv_merging !== "") {
        return { health: ["it is being merged into its origin by somebody else: let that end first"] };
    }
    if (row.lv_health_status !== "") {
        return {
            health: [`LVM says: ${row.lv_health_status}; look at \`lvs -a -o+lv_health_status ${full}\``],
        };
    }
    if (row.lv_active === "") {
        return { health: [`it is not active, so nobody can use it; an update activates it`], mendable: true };
    }
    if (mark.extra["growing"] !== undefined) {
        return { health: ["growing it was cut short; an update ends that"], mendable: true };
    }
    const warn = pool.options.snapshotWarnPercent ?? DEFAULTS.snapshotWarn;
    if (isCow(row) && Number(row.data_percent) >= warn) {
        return {
            health: [
                `the space for what changes on its volume is more than ${String(warn)} % full, and when it is full the snapshot is lost: give it more (\`lvextend -l +50%LV ${full}\`), or delete it`,
            ],
        };
    }
    return {};
}

/** A thin pool whose volumes cannot be written any more. */
function brokenPool(pool: PoolRef<LvmOptions>, row: VolumeRow): string | undefined {
    const full = `${row.vg_name}/${row.lv_name}`;
    if (row.lv_health_status === "out_of_data" || Number(row.data_percent) >= 100) {
        return `thin pool "${full}" is full, and writes to its volumes fail or wait: extend it (\`lvextend -l +10%VG ${full}\`), or delete volumes or snapshots of pool "${pool.name}"`;
    }
    if (row.lv_health_status === "metadata_read_only" || Number(row.metadata_percent) >= 100) {
        return `the metadata of thin pool "${full}" is full, and its volumes are read-only: extend it (\`lvextend --poolmetadatasize +1G ${full}\`), then \`lvconvert --repair ${full}\` if LVM asks for it`;
    }
    return undefined;
}

function thinHealth(pool: PoolRef<LvmOptions>, row: VolumeRow): string[] {
    const { maxDataPercent = DEFAULTS.data, maxMetadataPercent = DEFAULTS.metadata } = pool.options;
    const full = `${row.vg_name}/${row.lv_name}`;
    return [
        ...(Number(row.data_percent) >= maxDataPercent
            ? [
                  `its thin pool is more than ${String(maxDataPercent)} % full: extend it (\`lvextend -l +10%VG ${full}\`), or delete volumes or snapshots`,
              ]
            : []),
        ...(Number(row.metadata_percent) >= maxMetadataPercent
            ? [
                  `the metadata of its thin pool is more than ${String(maxMetadataPercent)} % full: extend it (\`lvextend --poolmetadatasize +1G ${full}\`)`,
              ]
            : []),
    ];
}

function withProblem(pool: PoolRef<LvmOptions>, problem: Problem): PoolFacts {
    return {
        name: pool.name,
        id: "",
        problem,
        capacity: { totalBytes: 0, freeBytes: 0, provisionedBytes: 0 },
        objects: new Map(),
        extra: {},
    };
}
