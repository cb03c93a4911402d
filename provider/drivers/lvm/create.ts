import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import { NOTHING, type Plan } from "../../host/plan";
import { claimSpace, showBytes } from "../capacity";
import type { CreateVolume } from "../types";
import {
    cowSnapshots,
    ownObject,
    refuseHalfAdopted,
    requireName,
    requirePool,
    requireThinRoom,
} from "./check";
import { cloneThin } from "./cloneThin";
import { copyThick } from "./copyThick";
import { isThin, stripesOf } from "./options";
import { finishDeletion, removeHalfMade } from "./remove";
import {
    type Context,
    activate,
    activateLater,
    createCommand,
    extents,
    guard,
    guardStep,
    plan,
    setMark,
    step,
} from "./steps";

/**
 * Makes a volume, or finishes one (F1: create_volume; F2: create_volume_from_snapshot, create_cloned_volume). An empty
 * one is made in one command, with its mark. Thin ones are made inactive, and those of a run activated together.
 *
 * @throws BlockhostError `exists` (ready, but of another size or source), `not-ours`, `no-space`, `invalid` (source
 * larger than asked, name), `not-found` (source, pool).
 */
export function create(context: Context, want: CreateVolume): Plan {
    requirePool(context);
    requireName(context, want.name);
    const found = ownObject(context, want.name, want.mark);
    if (found?.mark?.phase === "deleting") return finishDeletion(context, found);
    if (found?.mark !== undefined && found.mark.phase !== "creating") {
        requireSame(found, want);
        return activation(context, found);
    }
    refuseHalfAdopted(found);
    if (want.from === undefined) {
        return found === undefined ? createEmpty(context, want) : removeHalfMade(context, found);
    }
    const mark: Mark = {
        ...want.mark,
        phase: "ready",
        extra: { ...want.mark.extra, source: want.from.name },
    };
    return isThin(context.pool.options)
        ? cloneThin(context, { ...want, mark, source: want.from.name, readOnly: false }, found)
        : copyThick(context, { ...want, mark, source: want.from.name }, found);
}

/** What is ready is activated if it is not, and taken for grown where growing was cut short; nothing else. */
export function activation(context: Context, found: ObjectFacts): Plan {
    const { name, mark, extra = {} } = found;
    const growing = mark?.extra["growing"] !== undefined;
    if ((extra["active"] !== "" && !growing) || extra["keptAs"] !== undefined) return NOTHING;
    const steps = [
        guardStep(context, { same: [found] }),
        step(`activate "${name}"`, activate(context, name)),
    ];
    if (mark !== undefined && growing) {
        const { growing: _, ...rest } = mark.extra;
        steps.push(step(`mark "${name}" as ready`, setMark(context, found, { ...mark, extra: rest })));
    }
    return plan(context, [name, ...cowSnapshots(context, found).map((one) => one.name)], steps);
}

function createEmpty(context: Context, want: CreateVolume): Plan {
    const { name, sizeBytes } = want;
    const mark: Mark = { ...want.mark, phase: "ready" };
    const thin = isThin(context.pool.options);
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin,
        provisionedBytes: sizeBytes,
        allocatedBytes: thin ? 0 : sizeBytes,
    });
    requireThinRoom(context);
    const make = step(
        `create logical volume "${name}"`,
        guard(context, { free: [name] }),
        thin ? createThin(context, name, sizeBytes, mark) : createThick(context, name, sizeBytes, mark),
    );
    return plan(context, [name], [make], {
        claims: [claim],
        ...(thin ? activateLater(context, name) : { timeout: 120_000 }),
    });
}

function createThin(context: Context, name: string, sizeBytes: number, mark: Mark) {
    const { thinPool = "", volumeGroup } = context.pool.options;
    const size = ["-V", `${String(sizeBytes)}b`];
    const how = ["--type", "thin", "-an", "-kn", "--thinpool", thinPool];
    return createCommand(context, name, volumeGroup, ...how, ...size, "--addtag", encodeMark(mark));
}

/** Signatures that LVM finds at its start are remains of others' data: they are wiped (`-y -Wy`), as are its first 4 KiB. */
export function createThick(context: Context, name: string, sizeBytes: number, mark: Mark) {
    const { options } = context.pool;
    const layout =
        options.raid !== undefined
            ? [
                  "--type",
                  options.raid,
                  "-m",
                  "1",
                  ...(options.raid === "raid10" ? ["-i", String(stripesOf(options))] : []),
              ]
            : options.stripes !== undefined
              ? ["--type", "striped", "-i", String(options.stripes)]
              : [];
    const size = ["-l", String(extents(context, sizeBytes))];
    const how = ["-y", "-Wy", "-Zy", ...layout, ...size, "--addtag", encodeMark(mark)];
    return createCommand(context, name, options.volumeGroup, ...how);
}

function requireSame(found: ObjectFacts, want: CreateVolume): void {
    const differences: string[] = [];
    if (found.sizeBytes !== undefined && found.sizeBytes !== want.sizeBytes) {
        differences.push(`its size is ${showBytes(found.sizeBytes)}, not ${showBytes(want.sizeBytes)}`);
    }
    const source = found.mark?.extra["source"];
    // A source counts at creation only: one that is not asked for any more is no difference.
    if (want.from !== undefined && source !== want.from.name) {
        const made = source === undefined ? "without a source" : `from "${source}"`;
        differences.push(`it was made ${made}, not from "${want.from.name}"`);
    }
    if (differences.length === 0) return;
    throw new BlockhostError("exists", `"${want.name}" exists already: ${differences.join("; ")}`, {
        hint: "give the resource another `name`, or declare what is there",
    });
}
