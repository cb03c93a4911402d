import type { ContainerFacts, DiskFacts } from "../../../host/facts";
import { type Mark, decodeMark } from "../../../host/mark";
import type { PoolRef } from "../../types";
import type { LvmOptions } from "../options";
import type { GroupFacts, LvmContainer, VolumeFacts } from "./facts";

/** Output of `observe.ts` as facts. */

type Row = Readonly<Record<string, string>>;

interface Report {
    readonly report: readonly {
        readonly vg?: readonly Row[];
        readonly pv?: readonly Row[];
        readonly lv?: readonly Row[];
        readonly seg?: readonly Row[];
    }[];
}

export function parse(pool: PoolRef<LvmOptions>, output: string): ContainerFacts {
    const at = output.indexOf("\nreport\n") + 1;
    const head = output.startsWith("report\n") ? "" : output.slice(0, at);
    const { report } = JSON.parse(output.slice(output.indexOf("{", at))) as Report;
    const links = parseLinks(head);
    const { disks, labels, profiles, remembered } = parseDisks(head, links);
    const groups = new Map<string, string>();
    const orphans = new Set<string>();
    const named: Report["report"][number][] = [];
    for (const part of report) {
        const [vg] = part.vg ?? [];
        if (vg === undefined) for (const pv of part.pv ?? []) orphans.add(pv["pv_uuid"] ?? "");
        else {
            groups.set(vg["vg_uuid"] ?? "", vg["vg_name"] ?? "");
            if (vg["vg_name"] === pool.options.volumeGroup) named.push(part);
        }
    }
    const [only] = named;
    const group = only === undefined ? undefined : parseGroup(only);
    const extra: LvmContainer = {
        ...(group === undefined ? {} : { group }),
        groups,
        orphans,
        labels,
        names: namesOf(group, links),
        remembered,
        profiles,
    };
    const common = { name: pool.name, sizeBytes: 0, freeBytes: 0, disks, extra };
    if (group === undefined) return { ...common, id: "" };
    const problem = problemOf(pool, named);
    if (problem !== undefined) return { ...common, id: "", problem };
    const mark = markOf(group);
    return {
        ...common,
        id: group.uuid,
        ...(mark === undefined ? {} : { mark }),
        sizeBytes: group.extents * group.extentBytes,
        freeBytes: group.freeExtents * group.extentBytes,
    };
}

/** Path of the link → name of the device that it leads to, as the kernel calls it. */
function parseLinks(head: string): Map<string, string> {
    const found = [...head.matchAll(/^link (\S+) (.+)$/gm)];
    return new Map(found.map(([, target = "", path = ""]) => [path, baseName(target)]));
}

/** Names that say which disk it is, whatever it carries. */
function stableNames(device: string, links: ReadonlyMap<string, string>): string[] {
    const kernel = links.get(device) ?? baseName(device);
    return [...links]
        .filter(([path, to]) => to === kernel && /^\/dev\/disk\/(?!by-id\/lvm-pv-uuid-)/.test(path))
        .map(([path]) => path)
        .sort();
}

function namesOf(group: GroupFacts | undefined, links: ReadonlyMap<string, string>): Map<string, string> {
    return new Map(
        (group?.members ?? []).flatMap(({ device, uuid }) => {
            const [name] = stableNames(device, links);
            return name === undefined ? [] : [[uuid, name]];
        }),
    );
}

function baseName(path: string): string {
    return path.slice(path.lastIndexOf("/") + 1);
}

function parseDisks(
    head: string,
    links: ReadonlyMap<string, string>,
): Pick<LvmContainer, "labels" | "profiles" | "remembered"> & {
    disks: Map<string, DiskFacts>;
} {
    const disks = new Map<string, DiskFacts>();
    const labels = new Map<string, string>();
    const profiles = new Map<string, string>();
    const remembered: string[] = [];
    let current: DiskFacts | undefined;
    const update = (change: Partial<DiskFacts>) => {
        if (current === undefined) return;
        current = { ...current, ...change };
        disks.set(current.name, current);
    };
    for (const line of head.split("\n")) {
        const space = line.indexOf(" ");
        const [key, rest] = [line.slice(0, space), line.slice(space + 1)];
        const words = rest.trim().split(/\s+/);
        if (key === "disk") {
            const nothing = { stableNames: [], signatures: [], users: [] };
            current = { name: rest, sizeBytes: 0, readOnly: false, ...nothing };
            update({});
        } else if (key === "known") remembered.push(rest.split("/")[0] ?? "");
        else if (key === "profile") profiles.set(words[0] ?? "", words.slice(1).join(" "));
        else if (current === undefined) continue;
        else if (key === "dev") {
            const [device = "", bytes = "0", readOnly] = words;
            update({
                device,
                sizeBytes: Number(bytes),
                readOnly: readOnly !== "0",
                stableNames: stableNames(device, links),
            });
        } else if (key === "user") update({ users: [...current.users, rest] });
        else if (key === "sig") {
            const [type = "", uuid = ""] = words;
            if (type === "LVM2_member") labels.set(current.name, uuid);
            if (!current.signatures.includes(type)) update({ signatures: [...current.signatures, type] });
        }
    }
    return { disks, labels, profiles, remembered };
}

function parseGroup({ vg = [], pv = [], lv = [], seg = [] }: Report["report"][number]): GroupFacts {
    const row = vg[0] ?? {};
    const segments = new Map(seg.map((one) => [one["lv_name"] ?? "", one]));
    return {
        name: row["vg_name"] ?? "",
        uuid: row["vg_uuid"] ?? "",
        tags: list(row["vg_tags"]),
        extentBytes: Number(row["vg_extent_size"]),
        extents: Number(row["vg_extent_count"]),
        freeExtents: Number(row["vg_free_count"]),
        members: pv.map((one) => ({
            device: one["pv_name"] ?? "",
            uuid: one["pv_uuid"] ?? "",
            extents: Number(one["pv_pe_count"]),
            usedExtents: Number(one["pv_pe_alloc_count"]),
            allocatable: one["pv_allocatable"] !== "",
            metadataBytes: Number(one["pv_mda_size"]),
        })),
        volumes: lv.map((one) => parseVolume(one, segments.get(one["lv_name"] ?? "") ?? {})),
    };
}

function parseVolume(lv: Row, segment: Row): VolumeFacts {
    const layout = list(lv["lv_layout"]);
    return {
        name: lv["lv_name"] ?? "",
        uuid: lv["lv_uuid"] ?? "",
        tags: list(lv["lv_tags"]),
        sizeBytes: Number(lv["lv_size"]),
        isThinPool: layout.includes("thin") && layout.includes("pool"),
        thinPool: lv["pool_lv"] ?? "",
        active: lv["lv_active"] === "active",
        open: lv["lv_device_open"] === "open",
        metadataBytes: Number(lv["lv_metadata_size"] ?? 0),
        chunkBytes: Number(segment["chunk_size"] ?? 0),
        whenFull: lv["lv_when_full"] ?? "",
        profile: lv["lv_profile"] ?? "",
        monitored: segment["seg_monitor"] === "monitored",
    };
}

function problemOf(
    pool: PoolRef<LvmOptions>,
    named: readonly Report["report"][number][],
): ContainerFacts["problem"] {
    const { volumeGroup } = pool.options;
    const row = named[0]?.vg?.[0] ?? {};
    if (named.length > 1) {
        const uuids = named.map(({ vg }) => vg?.[0]?.["vg_uuid"] ?? "").join(" and ");
        return {
            summary: `there are ${String(named.length)} volume groups "${volumeGroup}": ${uuids}`,
            hint: `rename the one that is not meant: vgrename <UUID> <new name>`,
        };
    }
    const missing = Number(row["vg_missing_pv_count"] ?? 0);
    if (missing > 0) {
        return {
            summary: `volume group "${volumeGroup}" lacks ${String(missing)} of its disks`,
            hint: "plug them in again, or see `pvs` and vgreduce(8) --removemissing on the host; nothing was changed",
        };
    }
    if (row["vg_exported"] !== undefined && row["vg_exported"] !== "") {
        return {
            summary: `volume group "${volumeGroup}" is exported`,
            hint: `on the host: vgimport ${volumeGroup}`,
        };
    }
    return undefined;
}

function markOf(group: GroupFacts): Mark | undefined {
    for (const tag of group.tags) {
        const mark = decodeMark(tag);
        if (mark !== undefined) return mark;
    }
    return undefined;
}

function list(text = ""): string[] {
    return text.split(",").filter((part) => part !== "");
}
