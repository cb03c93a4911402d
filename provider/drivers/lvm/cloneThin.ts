import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import type { Plan } from "../../host/plan";
import { claimSpace } from "../capacity";
import { begunAs, requireSource, requireThinRoom } from "./check";
import { removeHalfMade } from "./remove";
import {
    type Context,
    activateLater,
    changeMark,
    createCommand,
    extendCommand,
    full,
    guard,
    plan,
    realName,
    setMark,
    step,
    watch,
} from "./steps";

export interface CloneWanted {
    readonly name: string;
    readonly mark: Mark;
    /** Absent: the size that the source has. */
    readonly sizeBytes?: number;
    readonly source: string;
    readonly readOnly: boolean;
}

/**
 * A thin snapshot: a point in time, at once, whatever the size and whoever uses the source; independent of it afterwards.
 * LVM flags snapshots to be skipped on activation, which is turned off (`-kn`). A larger one takes further commands, so
 * it is `creating` until it has grown.
 */
export function cloneThin(context: Context, want: CloneWanted, found: ObjectFacts | undefined): Plan {
    const { name, readOnly } = want;
    const mark: Mark = { ...want.mark, generation: found?.mark?.generation ?? want.mark.generation };
    if (found !== undefined && !begunAs(found, mark)) return removeHalfMade(context, found);
    const source = requireSource(context, want.source, want.sizeBytes);
    const sizeBytes = want.sizeBytes ?? source.sizeBytes;
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin: true,
        provisionedBytes: sizeBytes - (found?.sizeBytes ?? 0),
        allocatedBytes: 0,
    });
    requireThinRoom(context);
    const rest = { claims: [claim], ...activateLater(context, name), ...watch(context, source.name) };
    const creating: Mark = { ...mark, phase: "creating" };
    if (found !== undefined) {
        const grow = (found.sizeBytes ?? 0) < sizeBytes ? [extendCommand(context, name, sizeBytes)] : [];
        const finish = step(
            `finish "${name}"`,
            guard(context, { same: [found] }),
            ...grow,
            setMark(context, found, mark),
        );
        return plan(context, [name], [finish], rest);
    }
    const grows = sizeBytes > source.sizeBytes;
    const first = grows ? creating : mark;
    const flags = ["-s", "-an", "-kn", readOnly ? "-pr" : "-prw"];
    const steps = [
        step(
            `take "${name}" from "${want.source}"`,
            guard(context, { same: [source], free: [name] }),
            createCommand(
                context,
                name,
                ...flags,
                "--addtag",
                encodeMark(first),
                full(context, realName(source)),
            ),
        ),
        ...(grows
            ? [
                  step(
                      `grow "${name}"`,
                      extendCommand(context, name, sizeBytes),
                      changeMark(context, name, creating, mark),
                  ),
              ]
            : []),
    ];
    return plan(context, [name], steps, rest);
}
