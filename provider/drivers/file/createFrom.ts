import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import type { Mark } from "../../host/mark";
import { GUARD_FAILED, type Plan, type Step } from "../../host/plan";
import { sh } from "../../sh";
import { claimSpace, showBytes } from "../capacity";
import { requireData, requireReady } from "./check";
import { type CopyState, copyToWork, findOutReflink, reflinkAbility, timeoutOf } from "./copy";
import { dataFile } from "./layout";
import { prepare } from "./pool";
import { preallocate } from "./preallocate";
import { type Context, addMark, guard, plan, setMark, step } from "./steps";
import { dropWork } from "./work";

/** An object to be made from another's data. */
export interface CopyWanted {
    readonly name: string;
    /** As it shall be when done, but for the generation of a half-made one. */
    readonly mark: Mark;
    /** Absent: the size that the source has at that time. */
    readonly sizeBytes?: number;
    readonly source: string;
    readonly inUse: boolean;
    readonly readOnly: boolean;
}

/** Mark as creating → copy into the work directory → put in place → mark as ready. */
export function createFrom(context: Context, want: CopyWanted, found: ObjectFacts | undefined): Plan {
    const source = requireSource(context, want);
    if (reflinkAbility(context) === "unknown") {
        return plan(context, [want.name], [...prepare(context, want.mark), findOutReflink(context)]);
    }
    const sizeBytes = want.sizeBytes ?? source.sizeBytes;
    const mark: Mark = { ...want.mark, generation: found?.mark?.generation ?? want.mark.generation };
    const creating: Mark = { ...mark, phase: "creating" };
    // Begun from something else: what there is of it is of no use.
    const stale = found !== undefined && !sameExtra(found.mark?.extra, mark.extra);
    const copy = copyToWork(
        context,
        { ...want, generation: mark.generation, job: "copy", salt: "", source },
        stale ? undefined : found,
    );
    const begin: Step[] = [
        ...prepare(context, mark),
        guard(context, {
            marked: found === undefined ? [source] : [source, found],
            ...(found === undefined ? { unmarked: [want.name] } : {}),
            present: [dataFile(source.name)],
            ...(found?.sizeBytes === undefined ? { absent: [dataFile(want.name)] } : {}),
        }),
        ...(found === undefined ? [addMark(context, want.name, creating)] : []),
        ...(stale
            ? [dropWork(context, want.name, mark.generation), setMark(context, want.name, creating)]
            : []),
    ];
    const claims = [claim(context, want.name, sizeBytes, found, source, copy)];
    const rest = { claims, ...timeoutOf(copy) };
    if (copy.waitFor !== undefined) {
        const steps = copy.steps.length === 0 ? [] : [...begin, ...copy.steps];
        return plan(context, [want.name], steps, rest);
    }
    const steps = [
        ...begin,
        ...copy.steps,
        putInPlace(context, want, copy.file, source.sizeBytes, found?.sizeBytes !== undefined),
        // Before the last mark: what is ready is never looked at again.
        dropWorkAfter(context, want.name, mark, copy),
        setMark(context, want.name, mark),
    ].filter((one) => one !== undefined);
    return plan(context, [want.name], steps, rest);
}

function requireSource(context: Context, want: CopyWanted): ObjectFacts & { mark: Mark; sizeBytes: number } {
    const found = context.facts.objects.get(want.source);
    if (found !== undefined && found.mark === undefined) {
        throw new BlockhostError("not-ours", `source "${want.source}" carries no owner mark`, {
            hint: "take it over with `adopt` first",
        });
    }
    const source = requireData(context, want.source, found);
    requireReady(want.source, source.mark);
    if (want.sizeBytes !== undefined && source.sizeBytes > want.sizeBytes) {
        throw new BlockhostError(
            "invalid",
            `source "${want.source}" has ${showBytes(source.sizeBytes)}, more than the ${showBytes(want.sizeBytes)} asked for`,
            { hint: `ask for ${String(source.sizeBytes)} bytes or more` },
        );
    }
    return source;
}

/** Shared extents take no space at once; a thick pool counts them in full, as every one may be written anew. */
function claim(
    context: Context,
    name: string,
    sizeBytes: number,
    found: ObjectFacts | undefined,
    source: ObjectFacts,
    copy: CopyState,
) {
    const thin = context.pool.options.provisioning === "thin";
    const copies = reflinkAbility(context) === "no" && (copy.steps.length > 0 || copy.waitFor !== undefined);
    return claimSpace(context.pool, context.facts, context.host, {
        name,
        thin,
        provisionedBytes: Math.max(0, sizeBytes - (found?.sizeBytes ?? 0)),
        allocatedBytes: thin ? (copies ? (source.allocatedBytes ?? 0) : 0) : copies ? sizeBytes : 0,
    });
}

function putInPlace(
    context: Context,
    want: CopyWanted,
    file: string,
    sourceBytes: number,
    replaces: boolean,
): Step {
    const data = dataFile(want.name);
    const thick = context.pool.options.provisioning === "thick";
    const { sizeBytes } = want;
    // The source may have grown since it was observed: growing changes no mark.
    const atMost = sizeBytes ?? Number.MAX_SAFE_INTEGER;
    const check = sh`size=$(stat -c %s -- ${file}) || exit
if [ "$size" -lt ${sourceBytes} ] || [ "$size" -gt ${atMost} ]; then
    rm -f -- ${file}
    echo "the source has another size by now ($size bytes)" >&2
    exit ${GUARD_FAILED}
fi`;
    const grow =
        sizeBytes !== undefined && sizeBytes > sourceBytes
            ? sh`truncate -s ${sizeBytes} -- ${file} || exit`
            : sh`:`;
    const fill = thick ? sh`${preallocate(file, sizeBytes ?? sourceBytes)} || exit` : sh`:`;
    const protect = want.readOnly ? sh`chmod 0400 -- ${file} || exit` : sh`:`;
    const move = replaces
        ? sh`mv -fT -- ${file} ${data}`
        : sh`mv -nT -- ${file} ${data} || exit
if [ -e ${file} ]; then echo "${data} has appeared" >&2; exit ${GUARD_FAILED}; fi`;
    return step(
        context,
        `put ${data} in place`,
        sh`${check}
${grow}
${fill}
${protect}
${move}`,
    );
}

/** A byte by byte copy may have left a unit behind; shared extents never do. */
function dropWorkAfter(context: Context, name: string, mark: Mark, copy: CopyState): Step | undefined {
    return copy.file.endsWith(".done") ? dropWork(context, name, mark.generation) : undefined;
}

function sameExtra(a: Mark["extra"] | undefined, b: Mark["extra"]): boolean {
    const text = (extra: Mark["extra"]) => JSON.stringify(Object.entries(extra).sort());
    return a !== undefined && text(a) === text(b);
}
