import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { type Sh, lines, sh } from "../../sh";
import type { Wipe } from "../types";
import { zeroBytes } from "./bytes";
import { isThin } from "./options";
import { type Context, full, lvm, realName, step } from "./steps";
import { type WorkState, workState } from "./work";

/**
 * Cinder's volume_clear (F11). A thick volume is overwritten with zeros, or discarded, which tells the device that nobody
 * needs the data. A thin one is always discarded: its blocks go back to the pool, which zeroes a block before it gives it
 * out again; zeros written into it would only take space, and leave shared blocks as they are. Snapshots of thick volumes
 * hold others' data, and are not wiped.
 */
export function wipeWork(
    context: Context,
    target: { name: string; generation: string; wipe: Wipe },
    objects: readonly ObjectFacts[],
): WorkState {
    const { wipe } = target;
    const holding = objects.filter(
        ({ extra = {} }) => extra["cow"] === undefined && extra["active"] === "active",
    );
    if (wipe.method === "none" || holding.length === 0) return { done: false, steps: [] };
    const zero = wipe.method === "zero" && !isThin(context.pool.options);
    const limited = (bytes: number) => (wipe.limitBytes === 0 ? bytes : Math.min(wipe.limitBytes, bytes));
    const bytes = zero ? holding.reduce((sum, { sizeBytes = 0 }) => sum + limited(sizeBytes), 0) : 0;
    const script = (report: string) =>
        lines(
            ...holding.map((object) => {
                const path = `/dev/${context.pool.options.volumeGroup}/${realName(object)}`;
                const length = limited(object.sizeBytes ?? 0);
                const work = zero ? zeroBytes(path, wipe.limitBytes, report) : discard(path, length);
                return sh`ionice ${niceness(wipe)} ${work} || exit`;
            }),
        );
    const what = zero ? `overwrite "${target.name}" with zeros` : `discard the data of "${target.name}"`;
    const work = workState(context, { ...target, job: "wipe", label: what, bytes, script });
    // Snapshots of thin volumes, safety snapshots with them, are read-only.
    const sealed = holding.filter(({ extra = {} }) => extra["permissions"] === "read-only");
    if (work.steps.length === 0 || sealed.length === 0) return work;
    const open = sealed.map((object) => lvm(context, "lvchange", "-prw", full(context, realName(object))));
    return { ...work, steps: [step("make writable what is read-only", ...open), ...work.steps] };
}

function discard(path: string, lengthBytes: number): Sh {
    return sh`blkdiscard -l ${lengthBytes} ${path}`;
}

/** -t: a kernel or container that knows no I/O classes is no reason not to wipe. */
function niceness({ ionice }: Wipe): Sh {
    return ionice === "idle" ? sh`-t -c 3` : sh`-t -c 2 -n ${ionice}`;
}

/** Kept in the mark of an object that is being deleted, so that whoever finishes it wipes as was asked. */
export function encodeWipe(wipe: Wipe): Record<string, string> {
    const { method, limitBytes, ionice } = wipe;
    return method === "none" ? {} : { wipe: `${method}.${String(limitBytes)}.${String(ionice)}` };
}

export function decodeWipe(mark: Mark): Wipe {
    const [, method, limit, ionice] =
        /^(zero|discard)\.(\d+)\.(idle|[0-7])$/.exec(mark.extra["wipe"] ?? "") ?? [];
    if (method === undefined) return { method: "none", limitBytes: 0, ionice: "idle" };
    return {
        method: method as Wipe["method"],
        limitBytes: Number(limit),
        ionice: ionice === "idle" ? "idle" : Number(ionice),
    };
}
