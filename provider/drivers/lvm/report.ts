import type { PoolRef } from "../types";
import type { DeviceRow, GroupRow, VolumeRow } from "./observe";
import { recordFile } from "./observe";
import type { LvmOptions } from "./options";
import { settingsName } from "./settings";

/** A volume group with what is in it. */
export interface Group {
    readonly row: GroupRow;
    readonly devices: readonly DeviceRow[];
    readonly volumes: readonly VolumeRow[];
}

/** What `observeTogether` printed, as far as it concerns one pool. */
export interface Reading {
    /** Only some objects were asked for. */
    readonly part: boolean;
    /** The pool that this host knows here. */
    readonly record?: string;
    /** `undefined`: it was cut short. */
    readonly status?: number;
    readonly said: string;
    readonly groups: readonly Group[];
}

export function readReport(pool: PoolRef<LvmOptions>, output: string): Reading {
    const wanted = `report ${settingsName(pool.options)}`;
    const prefix = `record ${recordFile(pool)} `;
    const json: string[] = [];
    const said: string[] = [];
    let part = false;
    let record: string | undefined;
    let status: number | undefined;
    let ours = false;
    for (const line of output.split("\n")) {
        if (line === "part") part = true;
        else if (line.startsWith(prefix)) record = line.slice(prefix.length);
        else if (line.startsWith("report ")) ours = line === wanted;
        else if (!ours) continue;
        else if (line.startsWith("said ")) said.push(line.slice(5).trim());
        else if (/^status \d+$/.test(line)) status = Number(line.slice(7));
        else if (line.startsWith(" ")) json.push(line);
    }
    const groups = readGroups(json.join("\n"));
    return {
        part,
        said: said.join("\n"),
        groups: groups ?? [],
        ...(record === undefined ? {} : { record }),
        ...(status === undefined || groups === undefined ? {} : { status }),
    };
}

interface Section {
    readonly vg?: readonly GroupRow[];
    readonly pv?: readonly DeviceRow[];
    readonly lv?: readonly VolumeRow[];
}

/** `undefined`: it is not a whole report. */
function readGroups(json: string): Group[] | undefined {
    // A crash of LVM leaves the beginning of a report before the next try's.
    for (let start = 0; start !== -1; start = next(json, start)) {
        try {
            const { report = [] } = JSON.parse(json.slice(start)) as { report?: readonly Section[] };
            return report.flatMap(({ vg = [], pv = [], lv = [] }) =>
                vg.map((row) => ({ row, devices: pv, volumes: lv })),
            );
        } catch {
            continue;
        }
    }
    return undefined;
}

function next(json: string, start: number): number {
    const at = json.indexOf("\n  {\n", start);
    return at === -1 ? -1 : at + 1;
}
