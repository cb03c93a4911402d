import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import { SAFETY_SUFFIX } from "../../names";
import { type Sh, sh } from "../../sh";
import { claimSpace } from "../capacity";
import { requireData, requirePool, sameObject } from "./check";
import { copyToWork, findOutReflink, reflinkAbility, timeoutOf } from "./copy";
import { dataFile, digest, markFile } from "./layout";
import { notOpen } from "./open";
import { prepare } from "./pool";
import { preallocate } from "./preallocate";
import { safetyOf } from "./remove";
import { type Context, guard, plan, setMark, step } from "./steps";
import { dropWork } from "./work";

export interface RevertWanted {
    readonly name: string;
    /** The volume's mark as it shall be when done; `extra.token` says which revert was the last. */
    readonly mark: Mark;
    readonly snapshot: string;
}

type Data = ObjectFacts & { mark: Mark; sizeBytes: number };

/**
 * Puts a volume back to a snapshot, at its present size, and keeps what it held as `<name>.safety` until the next revert
 * or its deletion (F3: revert_to_snapshot; Cinder's generic revert, made safe against stops).
 *
 * mark as reverting → copy of the snapshot in the work directory → old safety snapshot away → safety mark → second link
 * to the present data as safety data → the copy renamed over the data → safety ready → volume ready. The volume's data
 * is there at every moment: before the rename the old, after it the new. Its inode changes with it, so whoever has it
 * open must open it again; nobody may while it happens.
 *
 * @throws BlockhostError `in-use`, `no-space`, `not-found`, `not-ours`, `invalid`, `conflict`.
 */
export function revert(context: Context, want: RevertWanted): Plan {
    requirePool(context);
    const { name } = want;
    const volume = requireData(context, name, sameObject(context, name, want.mark));
    const token = want.mark.extra["token"] ?? "";
    if (volume.mark.phase === "ready" && volume.mark.extra["token"] === token) return NOTHING;
    const interrupted = volume.mark.phase === "reverting";
    if (!interrupted && volume.mark.phase !== "ready") throw notNow(name, volume.mark.phase);
    const begun = interrupted ? volume.mark.extra["token"] : undefined;
    const safety = safetyOf(context, volume);
    if (begun !== undefined && exchanged(volume, safety, begun)) {
        // Also where another revert is asked for by now: this one has to be ended before that can begin.
        return conclude(context, volume, safety, begun === token ? want.mark : volume.mark);
    }
    return exchange(context, want, volume, safety);
}

/** The rename has happened: the safety data is of this revert, and not the volume's own file any more. */
function exchanged(
    volume: ObjectFacts,
    safety: ObjectFacts | undefined,
    token: string,
): safety is ObjectFacts {
    return (
        safety?.mark?.extra["token"] === safetyToken(token) &&
        safety.sizeBytes !== undefined &&
        safety.uid !== volume.uid
    );
}

function exchange(context: Context, want: RevertWanted, volume: Data, safety: ObjectFacts | undefined): Plan {
    const { name } = want;
    const token = want.mark.extra["token"] ?? "";
    const names = [name, name + SAFETY_SUFFIX];
    if (reflinkAbility(context) === "unknown") {
        return plan(context, names, [...prepare(context, volume.mark), findOutReflink(context)]);
    }
    const source = requireSnapshot(context, want.snapshot, volume);
    // A copy for another revert is of no use any more.
    const stale = volume.mark.phase === "reverting" && volume.mark.extra["token"] !== token;
    const job = {
        name,
        generation: volume.mark.generation,
        job: "revert" as const,
        salt: token,
        source,
        inUse: false,
    };
    const copy = copyToWork(context, job, volume);
    const thin = context.pool.options.provisioning === "thin";
    const copies = reflinkAbility(context) === "no";
    const claim = claimSpace(context.pool, context.facts, context.host, {
        name: name + SAFETY_SUFFIX,
        thin,
        provisionedBytes: Math.max(0, volume.sizeBytes - (safety?.sizeBytes ?? 0)),
        allocatedBytes: !copies ? 0 : thin ? (source.allocatedBytes ?? 0) : volume.sizeBytes,
    });
    const rest = { claims: [claim], ...timeoutOf(copy) };
    if (copy.waitFor !== undefined && copy.steps.length === 0) return plan(context, names, [], rest);
    const reverting: Mark = { ...volume.mark, phase: "reverting", extra: { ...volume.mark.extra, token } };
    const begin: Step[] = [
        ...prepare(context, volume.mark),
        guard(context, {
            marked: [volume, source, ...(safety === undefined ? [] : [safety])],
            present: [dataFile(name), dataFile(source.name)],
            ...(safety === undefined ? noSafety(name) : {}),
        }),
        notOpen(context, [dataFile(name)]),
        ...(stale ? [dropWork(context, name, volume.mark.generation)] : []),
        ...(encodeMark(reverting) === encodeMark(volume.mark) ? [] : [setMark(context, name, reverting)]),
        ...copy.steps,
    ];
    if (copy.waitFor !== undefined) return plan(context, names, begin, rest);
    const steps = [
        ...begin,
        resize(context, name, copy.file, volume.sizeBytes),
        ...keepPresent(context, name, safetyMark(volume.mark, name, token), safety),
        step(context, `put ${dataFile(name)} in place`, sh`mv -fT -- ${copy.file} ${dataFile(name)}`),
        ...readySteps(context, name, safetyMark(volume.mark, name, token), want.mark, volume.mark),
    ];
    return plan(context, names, steps, rest);
}

function requireSnapshot(context: Context, snapshot: string, volume: Data): Data {
    const source = requireData(context, snapshot, context.facts.objects.get(snapshot));
    if (source.mark.phase !== "ready") throw notNow(snapshot, source.mark.phase);
    if (source.sizeBytes > volume.sizeBytes) {
        throw new BlockhostError("invalid", `snapshot "${snapshot}" is larger than volume "${volume.name}"`, {
            hint: "make a volume from the snapshot instead",
        });
    }
    return source;
}

/** What the volume has grown by since the snapshot reads as zeros. */
function resize(context: Context, name: string, file: string, sizeBytes: number): Step {
    const fill: Sh =
        context.pool.options.provisioning === "thick" ? sh` && ${preallocate(file, sizeBytes)}` : sh``;
    return step(
        context,
        `give the copy the size of "${name}"`,
        sh`truncate -s ${`>${String(sizeBytes)}`} -- ${file}${fill}`,
    );
}

/**
 * The safety data goes before its mark gets this revert's token, so that data under that mark is always what the volume
 * held before this revert.
 */
function keepPresent(context: Context, name: string, mark: Mark, old: ObjectFacts | undefined): Step[] {
    const kept = name + SAFETY_SUFFIX;
    const removal =
        old?.sizeBytes === undefined
            ? []
            : [step(context, "remove the previous safety snapshot", sh`rm -f -- ${dataFile(kept)}`)];
    return [
        ...removal,
        setMark(context, kept, { ...mark, phase: "creating" }),
        step(
            context,
            `keep what "${name}" holds as "${kept}"`,
            sh`ln -T -- ${dataFile(name)} ${dataFile(kept)}`,
        ),
    ];
}

function conclude(context: Context, volume: Data, safety: ObjectFacts, mark: Mark): Plan {
    const { name } = volume;
    const token = volume.mark.extra["token"] ?? "";
    const steps = [
        ...prepare(context, volume.mark),
        guard(context, { marked: [volume, safety], present: [dataFile(name), dataFile(safety.name)] }),
        ...readySteps(context, name, safetyMark(volume.mark, name, token), mark, volume.mark),
    ];
    return plan(context, [name, safety.name], steps);
}

function readySteps(context: Context, name: string, safety: Mark, mark: Mark, before: Mark): Step[] {
    const kept = name + SAFETY_SUFFIX;
    return [
        step(
            context,
            `mark "${kept}" as ready`,
            sh`chmod 0400 -- ${dataFile(kept)} && ln -sfnT -- ${encodeMark(safety)} ${markFile(kept)}`,
        ),
        dropWork(context, name, before.generation),
        setMark(context, name, { ...mark, generation: before.generation, phase: "ready" }),
    ];
}

function safetyMark(volume: Mark, name: string, token: string): Mark {
    const extra = { origin: name, origingen: volume.generation, token: safetyToken(token) };
    return { kind: "safety", owner: volume.owner, generation: volume.generation, phase: "ready", extra };
}

/** A mark is short, and a token may be long. */
function safetyToken(token: string): string {
    return digest(token, 16);
}

function noSafety(name: string) {
    return { unmarked: [name + SAFETY_SUFFIX], absent: [dataFile(name + SAFETY_SUFFIX)] };
}

function notNow(name: string, phase: string): BlockhostError {
    return new BlockhostError("conflict", `"${name}" is ${phase}`, {
        hint: "the operation that was begun has to be finished first: run the same again",
    });
}
