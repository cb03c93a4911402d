import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, describeOwner, encodeMark } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import { SAFETY_SUFFIX } from "../../names";
import { type Sh, sh } from "../../sh";
import { claimSpace } from "../capacity";
import { requireData, requirePool, requireRegular, sameObject } from "./check";
import { copyToWork, findOutReflink, reflinkAbility, timeoutOf } from "./copy";
import { dataFile, digest, markFile } from "./layout";
import { notOpen } from "./open";
import { prepare } from "./pool";
import { preallocate } from "./preallocate";
import { safetyOf } from "./remove";
import { type Context, guard, plan, removeMarks, setMark, step } from "./steps";
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
    if (volume.mark.phase !== "reverting" && volume.mark.phase !== "ready") {
        throw notNow(name, volume.mark.phase);
    }
    const safety = safetyOf(context, volume);
    refuseForeignSafety(context, name, safety);
    // Also where another revert is asked for by now: this one has to be ended before that can begin.
    if (safety !== undefined && exchanged(volume, safety)) return conclude(context, volume, safety);
    return exchange(context, want, volume, safety);
}

/**
 * Ends a revert that was stopped half-way and that nobody asks for any more: where the exchange has happened it counts
 * as done, else all that there is of it goes, and the volume is as it was.
 */
export function settleRevert(context: Context, volume: Data): Plan {
    const { name, mark } = volume;
    const safety = safetyOf(context, volume);
    if (safety !== undefined && exchanged(volume, safety)) return conclude(context, volume, safety);
    // This revert's link, or the mark of an earlier safety snapshot whose data has gone already.
    const ours = safety?.mark?.extra["token"] === safetyToken(pendingOf(mark) ?? "");
    const begun = ours || safety?.sizeBytes === undefined ? safety : undefined;
    const kept = name + SAFETY_SUFFIX;
    const steps = [
        ...prepare(context, mark),
        guard(context, {
            marked: begun === undefined ? [volume] : [volume, begun],
            present: [dataFile(name)],
        }),
        dropWork(context, name, mark.generation),
        ...(begun?.sizeBytes === undefined
            ? []
            : [step(context, `remove the second link ${dataFile(kept)}`, sh`rm -f -- ${dataFile(kept)}`)]),
        ...(begun === undefined ? [] : [removeMarks(context, [kept])]),
        setMark(context, name, settled(mark, mark.extra["token"])),
    ];
    return plan(context, [name, kept], steps);
}

/** Token of the revert that is under way; `token` is that of the last that was done. */
function pendingOf(mark: Mark): string | undefined {
    return mark.phase === "reverting" ? (mark.extra["pending"] ?? "") : undefined;
}

function settled(mark: Mark, token: string | undefined): Mark {
    const { pending: _, token: __, ...extra } = mark.extra;
    return { ...mark, phase: "ready", extra: token === undefined ? extra : { ...extra, token } };
}

/** The rename has happened: the safety data is of this revert, and not the volume's own file any more. */
function exchanged(volume: Data, safety: ObjectFacts): boolean {
    const token = pendingOf(volume.mark);
    return (
        token !== undefined &&
        safety.mark?.extra["token"] === safetyToken(token) &&
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
    const stale = ![undefined, token].includes(pendingOf(volume.mark));
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
    const extra = { ...volume.mark.extra, pending: token };
    const reverting: Mark = { ...volume.mark, phase: "reverting", extra };
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
        ...readySteps(context, name, token, { ...want.mark, generation: volume.mark.generation }),
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

function conclude(context: Context, volume: Data, safety: ObjectFacts): Plan {
    const { name, mark } = volume;
    const steps = [
        ...prepare(context, mark),
        guard(context, { marked: [volume, safety], present: [dataFile(name), dataFile(safety.name)] }),
        ...readySteps(context, name, pendingOf(mark) ?? "", mark),
    ];
    return plan(context, [name, safety.name], steps);
}

/** The volume's own mark goes last: until then all of this is done again. */
function readySteps(context: Context, name: string, token: string, mark: Mark): Step[] {
    const kept = name + SAFETY_SUFFIX;
    const safety = encodeMark(safetyMark(mark, name, token));
    return [
        step(
            context,
            `mark "${kept}" as ready`,
            sh`chmod 0400 -- ${dataFile(kept)} && ln -sfnT -- ${safety} ${markFile(kept)}`,
        ),
        dropWork(context, name, mark.generation),
        setMark(context, name, settled(mark, token)),
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

/**
 * What has the name of the safety snapshot and is none of ours stays where it is, so there can be no revert.
 *
 * @throws BlockhostError `not-ours`.
 */
function refuseForeignSafety(context: Context, name: string, safety: ObjectFacts | undefined): void {
    const there = context.facts.objects.get(name + SAFETY_SUFFIX);
    if (there === undefined) return;
    if (safety !== undefined) {
        requireRegular(safety);
        return;
    }
    const { mark } = there;
    const unreadable = there.extra?.["unreadableMark"];
    const whose =
        mark !== undefined
            ? `is a ${mark.kind} of ${describeOwner(mark.owner)}`
            : unreadable !== undefined
              ? `has an owner mark that cannot be read: ${unreadable}`
              : "carries no owner mark";
    throw new BlockhostError(
        "not-ours",
        `a revert of "${name}" keeps what it holds as "${there.name}", but ${there.path} exists and ${whose}`,
        { hint: "it stays untouched: rename it on the host or move it away, then run the same again" },
    );
}

function noSafety(name: string) {
    return { unmarked: [name + SAFETY_SUFFIX], absent: [dataFile(name + SAFETY_SUFFIX)] };
}

function notNow(name: string, phase: string): BlockhostError {
    return new BlockhostError("conflict", `"${name}" is ${phase}`, {
        hint: "the operation that was begun has to be finished first: run the same again",
    });
}
