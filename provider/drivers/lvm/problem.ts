import type { PoolFacts } from "../../host/facts";
import type { PoolRef } from "../types";
import { sudoersLine } from "../../transport/refusal";
import { recordFile } from "./observe";
import type { LvmOptions } from "./options";
import type { Group, Reading } from "./report";

export type Problem = NonNullable<PoolFacts["problem"]>;

/** The group of a pool, or why nothing can be said about the pool. */
export function findGroup(
    pool: PoolRef<LvmOptions>,
    reading: Reading,
): { group: Group; problem?: undefined } | { problem: Problem } {
    const name = pool.options.volumeGroup;
    const where = `volume group "${name}" of pool "${pool.name}"`;
    const unreadable = unreadableProblem(where, reading);
    if (unreadable !== undefined) return { problem: unreadable };
    const [group, ...twins] = reading.groups.filter(({ row }) => row.vg_name === name);
    if (group === undefined) return { problem: missingProblem(pool, where, reading) };
    if (twins.length > 0) {
        const uuids = [group, ...twins].map(({ row }) => row.vg_uuid).join(" and ");
        return {
            problem: {
                summary: `there are several volume groups named "${name}" on the host (${uuids})`,
                hint: "rename the one that is not meant by its UUID (`vgrename UUID NEWNAME`), or take its disks away",
            },
        };
    }
    const problem =
        groupProblem(pool, where, group, reading) ??
        thinProblem(pool, group) ??
        inactiveProblem(where, group, reading);
    return problem === undefined ? { group } : { problem };
}

function unreadableProblem(where: string, { status, said }: Reading): Problem | undefined {
    if (/non-root user|[Pp]ermission denied/.test(said)) {
        return {
            summary: `${where} cannot be read: the SSH user lacks the rights`,
            hint: `use root, or \`sudo: true\` with this in the host's sudoers (\`visudo -f /etc/sudoers.d/blockhost\`): ${sudoersLine()}`,
        };
    }
    if (/control: open failed|device-mapper driver/.test(said)) {
        return {
            summary: `${where} cannot be read: the host's kernel has no device mapper`,
            hint: "load it (`modprobe dm_mod`), or use a kernel that has it",
        };
    }
    if (/[Uu]nrecognised field|Unknown (command|option)|No such command/.test(said)) {
        return {
            summary: `${where} cannot be read: the host's lvm2 is too old (${lastLine(said)})`,
            hint: "lvm2 2.03 or later is needed",
        };
    }
    if (status !== undefined && (status === 0 || status === 5)) return undefined;
    return {
        summary: `${where} could not be read${said === "" ? "" : `: ${lastLine(said)}`}`,
        hint: "the answer of LVM was cut short: look at `lvm fullreport` on the host, then run again",
    };
}

function missingProblem(pool: PoolRef<LvmOptions>, where: string, reading: Reading): Problem {
    const known = reading.record?.split("/")[0];
    const renamed = reading.groups.find(({ row }) => row.vg_uuid === known);
    if (renamed !== undefined) {
        return {
            summary: `${where} is called "${renamed.row.vg_name}" by now`,
            hint: `rename it back (\`vgrename ${renamed.row.vg_name} ${pool.options.volumeGroup}\`), or set the pool's \`volumeGroup\` to the new name`,
        };
    }
    const others = reading.groups.map(({ row }) => row.vg_name).join(", ");
    return {
        summary: `${where} is not on the host${known === undefined ? "" : ", which knows it"}`,
        hint: `its disks may be missing or not attached, or be kept from LVM by a filter (the pool's \`deviceFilter\`, lvm.conf); volume groups there: ${others === "" ? "none" : others}`,
    };
}

function groupProblem(
    pool: PoolRef<LvmOptions>,
    where: string,
    { row, devices }: Group,
    reading: Reading,
): Problem | undefined {
    const known = reading.record?.split("/")[0];
    if (known !== undefined && known !== row.vg_uuid) {
        return {
            summary: `${where} is another one (${row.vg_uuid}) than the one that this host knows under that name (${known})`,
            hint: `attach the disks of the right one; if the exchange is meant, remove ${recordFile(pool)} on the host`,
        };
    }
    if (row.vg_missing_pv_count !== "0") {
        const missing = devices.filter(({ pv_missing }) => pv_missing !== "").map(({ pv_uuid }) => pv_uuid);
        return {
            summary: `${where} is incomplete: ${row.vg_missing_pv_count} of its disks missing (${missing.join(", ")})`,
            hint: "attach the disk again; if it had failed for a while, `vgextend --restoremissing` takes it back. Nothing is concluded from half a group",
        };
    }
    if (row.vg_attr[2] === "x") {
        return { summary: `${where} is exported`, hint: `\`vgimport ${row.vg_name}\` brings it back` };
    }
    if (row.vg_attr[0] === "r") {
        return {
            summary: `${where} is read-only`,
            hint: `\`vgchange --permission rw ${row.vg_name}\` makes it writable`,
        };
    }
    if (row.vg_attr[5] === "s" || row.vg_attr[5] === "c") {
        return {
            summary: `${where} is shared with other hosts`,
            hint: "that is not possible yet: a group has to belong to one host",
        };
    }
    return undefined;
}

function thinProblem(pool: PoolRef<LvmOptions>, { volumes }: Group): Problem | undefined {
    const { thinPool, volumeGroup } = pool.options;
    if (thinPool === undefined) return undefined;
    const where = `thin pool "${volumeGroup}/${thinPool}" of pool "${pool.name}"`;
    const row = volumes.find(({ lv_name }) => lv_name === thinPool);
    if (row === undefined) {
        return {
            summary: `${where} does not exist`,
            hint: `correct the pool's \`thinPool\`, or make it: \`lvcreate --type thin-pool -l 90%FREE -n ${thinPool} ${volumeGroup}\``,
        };
    }
    if (!row.lv_layout.split(",").includes("pool") || !row.lv_layout.includes("thin")) {
        return {
            summary: `${where} is no thin pool (${row.lv_layout})`,
            hint: "correct the pool's `thinPool`",
        };
    }
    if (row.lv_active !== "active") {
        return {
            summary: `${where} is not active`,
            hint: `\`vgchange -ay ${volumeGroup}\` activates it; if that fails, its metadata needs repair (\`lvconvert --repair\`)`,
        };
    }
    if (row.lv_health_status === "failed") {
        return {
            summary: `${where} has failed`,
            hint: `repair its metadata: \`lvchange -an ${volumeGroup}/${thinPool}\`, \`lvconvert --repair\``,
        };
    }
    return undefined;
}

/** After a start of the host on which nothing of a group came up. */
function inactiveProblem(where: string, { row, volumes }: Group, { part }: Reading): Problem | undefined {
    const ours = volumes.filter(({ lv_tags }) => lv_tags.includes("blockhost:"));
    if (part || ours.length === 0 || volumes.some(({ lv_active }) => lv_active === "active"))
        return undefined;
    // Growing a volume with snapshots takes it down for a moment.
    if (ours.some(({ lv_tags }) => /&growing:/.test(lv_tags))) return undefined;
    return {
        summary: `${where} is not activated: none of its volumes is`,
        hint: `\`vgchange -ay ${row.vg_name}\` activates it`,
    };
}

function lastLine(text: string): string {
    return text.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
}
