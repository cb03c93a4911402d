import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { GUARD_FAILED, NOTHING, type Plan, type Step } from "../../host/plan";
import { sh } from "../../sh";
import { claimSpace, showBytes } from "../capacity";
import type { CreateVolume } from "../types";
import { ownObject, refuseHalfAdopted, requireName, requirePool } from "./check";
import { createFrom } from "./createFrom";
import { dataFile } from "./layout";
import { prepare } from "./pool";
import { preallocate } from "./preallocate";
import { finishDeletion } from "./remove";
import { type Context, addMark, guard, plan, setMark, step } from "./steps";
import { dropWork } from "./work";

/**
 * Makes a volume, or finishes one: mark as creating → data → mark as ready (F1: create_volume; with `from`, F2:
 * create_volume_from_snapshot, create_cloned_volume). A half-made volume keeps the generation it was begun with.
 *
 * @throws BlockhostError `exists` (ready, but of another size or source), `not-ours`, `no-space`, `in-use` (a copy of a
 * source that is being written), `invalid` (source larger than asked), `not-found` (source, pool).
 */
export function create(context: Context, want: CreateVolume): Plan {
    requirePool(context);
    requireName(want.name);
    const found = ownObject(context, want.name, want.mark);
    if (found?.mark?.phase === "deleting") return finishDeletion(context, found);
    if (found?.mark !== undefined && found.mark.phase !== "creating") {
        requireSame(found, want);
        return NOTHING;
    }
    refuseHalfAdopted(found);
    if (want.from === undefined) return createEmpty(context, want, found);
    const { name: source, inUse } = want.from;
    const mark: Mark = { ...want.mark, phase: "ready", extra: { ...want.mark.extra, source } };
    const { name, sizeBytes } = want;
    return createFrom(context, { name, mark, sizeBytes, source, inUse, readOnly: false }, found);
}

function createEmpty(context: Context, want: CreateVolume, found: ObjectFacts | undefined): Plan {
    const { name, sizeBytes } = want;
    const thin = context.pool.options.provisioning === "thin";
    const mark: Mark = { ...want.mark, generation: found?.mark?.generation ?? want.mark.generation };
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name,
        thin,
        provisionedBytes: Math.max(0, sizeBytes - (found?.sizeBytes ?? 0)),
        allocatedBytes: thin ? 0 : Math.max(0, sizeBytes - (found?.allocatedBytes ?? 0)),
    });
    // Begun as a copy: some of the other object's data may be there already.
    const stale = found?.mark?.extra["source"] !== undefined;
    const steps: Step[] = [
        ...prepare(context, mark),
        guard(context, {
            ...(found === undefined ? { unmarked: [name] } : { marked: [found] }),
            ...(found?.sizeBytes === undefined
                ? { absent: [dataFile(name)] }
                : { present: [dataFile(name)] }),
        }),
        ...(found === undefined ? [addMark(context, name, { ...mark, phase: "creating" })] : []),
        ...(stale ? startAgain(context, name, mark) : []),
        dataStep(context, want, found?.sizeBytes !== undefined && !stale),
        setMark(context, name, { ...mark, phase: "ready" }),
    ];
    return plan(context, [name], steps, { claims: [claim], ...(thin ? {} : { timeout: 300_000 }) });
}

/** The mark goes last: as long as it names the source, this is done again. */
function startAgain(context: Context, name: string, mark: Mark): Step[] {
    return [
        dropWork(context, name, mark.generation),
        step(context, `remove ${dataFile(name)}`, sh`rm -f -- ${dataFile(name)}`),
        setMark(context, name, { ...mark, phase: "creating" }),
    ];
}

/** Nobody has written to a volume that never was ready, so giving it another size loses nothing. */
function dataStep(context: Context, want: CreateVolume, exists: boolean): Step {
    const file = dataFile(want.name);
    const thick = context.pool.options.provisioning === "thick";
    const open = exists
        ? sh`:`
        : sh`umask 077; set -C
true > ${file} || { [ -e ${file} ] && exit ${GUARD_FAILED}; exit 1; }`;
    const resize = sh`truncate -s ${want.sizeBytes} -- ${file}`;
    return thick
        ? step(
              context,
              `create and preallocate ${file}`,
              sh`${open}
${resize} || exit
${preallocate(file, want.sizeBytes)}`,
          )
        : step(
              context,
              `create ${file}`,
              sh`${open}
${resize}`,
          );
}

function requireSame(found: ObjectFacts, want: CreateVolume): void {
    if (found.sizeBytes === undefined) {
        throw new BlockhostError(
            "not-found",
            `"${want.name}" has lost its data: ${found.path} is not there`,
            {
                hint: "restore the file on the host, or delete the resource and create it anew",
            },
        );
    }
    const differences: string[] = [];
    if (found.sizeBytes !== want.sizeBytes) {
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
