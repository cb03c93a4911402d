import { fileDriver } from "../../provider/drivers/file";
import type { Wipe } from "../../provider/drivers/types";
import { BlockhostError } from "../../provider/errors";
import { type Plan } from "../../provider/host/plan";
import { GENERATION, GiB, type World, context, labels, mark, markOf, object, owner } from "./fileFacts";

/** What the planner tests want, asked of the driver. */

export const GUARD = "check that nothing has changed";
export const NOT_OPEN = "check that nobody has it open";
export const OTHER = "aaaaaaaaaaaaaaaa";
export const stranger = mark({ owner: { ...owner, stack: "dev" } });
export const snapMark = markOf("snapshot", "snap", "bbbbbbbbbbbbbbbb", {
    extra: { origin: "v", origingen: GENERATION },
});
export const snap = object("s", { mark: snapMark });
export const noWipe: Wipe = { method: "none", limitBytes: 0, ionice: "idle" };
export const zero: Wipe = { ...noWipe, method: "zero" };

export const create = (world: World, more = {}) =>
    fileDriver.create(context(world), { name: "v", mark: mark(), sizeBytes: GiB, ...more });
export const extend = (world: World, sizeBytes: number) =>
    fileDriver.extend(context(world), { name: "v", mark: mark(), sizeBytes });
export const remove = (world: World, wipe = noWipe) =>
    fileDriver.remove(context(world), { name: "v", mark: mark(), wipe });
export const snapshot = (world: World, inUse = false) =>
    fileDriver.snapshot(context(world), {
        name: "s",
        mark: markOf("snapshot", "snap", "bbbbbbbbbbbbbbbb"),
        volume: "v",
        inUse,
    });
export const revert = (world: World, token = "t1") =>
    fileDriver.revert(context(world), { name: "v", mark: mark({ extra: { token } }), snapshot: "s" });
export const adopt = (world: World, reference = "disk.raw", more = {}) =>
    fileDriver.adopt(context(world), { reference, name: "v", mark: mark(), ...more });
export const release = (world: World) => fileDriver.release(context(world), { name: "v", mark: mark() });

export function failure(what: () => Plan): BlockhostError {
    try {
        const plan = what();
        throw new Error(`no error, but: ${labels(plan).join(", ")}`);
    } catch (error) {
        if (error instanceof BlockhostError) return error;
        throw error;
    }
}

export const ready = object("v", { mark: mark() });
export const creating = (more = {}) => object("v", { mark: mark({ phase: "creating" }), ...more });
