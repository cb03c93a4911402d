import { type Mark, encodeMark } from "../../host/mark";
import type { Sh } from "../../sh";
import { type Context, createCommand, extentBytes, extents, full } from "./steps";

/** Snapshots of thick volumes: a space of its own keeps what is overwritten in the volume (dm-snapshot). */

/** LVM's default chunk, and what the kernel notes about each (dm-snap-persistent.c: struct disk_exception). Bytes. */
const CHUNK = 4096;
const EXCEPTION = 16;

/** Space for the changes of so many percent of a volume, with what is noted about them. Bytes, whole extents. */
export function cowBytes(context: Context, volumeBytes: number, percent: number): number {
    const chunks = Math.ceil((volumeBytes * percent) / 100 / CHUNK);
    // One chunk of notes for as many chunks of data as it has room for, one of header, one spare.
    const notes = Math.ceil(chunks / (CHUNK / EXCEPTION)) + 2;
    return extents(context, (chunks + notes) * CHUNK) * extentBytes(context);
}

export function cowCommand(
    context: Context,
    want: { name: string; origin: string; cowBytes: number; mark: Mark },
): Sh {
    const size = ["-l", String(want.cowBytes / extentBytes(context))];
    const how = [
        "-y",
        "-s",
        "-pr",
        "-c",
        `${String(CHUNK / 1024)}k`,
        ...size,
        "--addtag",
        encodeMark(want.mark),
    ];
    return createCommand(context, want.name, ...how, full(context, want.origin));
}
