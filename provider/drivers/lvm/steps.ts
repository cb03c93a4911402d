import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, encodeMark } from "../../host/mark";
import { GUARD_FAILED, IN_USE, type Plan, type Step } from "../../host/plan";
import { SAFETY_SUFFIX } from "../../names";
import { Sh, lines, quote, raw, sh } from "../../sh";
import type { PlanContext } from "../types";
import type { LvmOptions } from "./options";
import { identity } from "./select";
import { groupPattern, volumePattern } from "./session";
import { argument, command } from "./settings";

/** The steps that several operations are made of. */

export type Context = PlanContext<LvmOptions>;
export type Data = ObjectFacts & { readonly mark: Mark; readonly sizeBytes: number };

/** A command of LVM. */
export function lvm(context: Context, ...words: readonly string[]): Sh {
    return command("bh_lvm", context.pool.options, ...words);
}

/** `vg/lv`. */
export function full(context: Context, name: string): string {
    return `${context.pool.options.volumeGroup}/${name}`;
}

export function safetyName(name: string): string {
    return name + SAFETY_SUFFIX;
}

/** Which state of affairs a plan takes for granted. */
export interface Expected {
    /** Logical volumes that must still be the same ones, with the same tags. */
    readonly same?: readonly ObjectFacts[];
    /** The same, and nobody may have them open. */
    readonly closed?: readonly ObjectFacts[];
    /** Names that must be free. */
    readonly free?: readonly string[];
}

/**
 * Repeats under the lock what the plan was made from: it is the same volume group, whole, with the same thin pool and
 * volumes. Compares with what was read at the beginning of the run, without a process; only what was open then is looked
 * at again. (Commands that destroy select by UUID and mark besides, which LVM evaluates under its own lock.)
 */
export function guard(context: Context, expected: Expected): Sh {
    const { volumeGroup, thinPool } = context.pool.options;
    const { extra } = context.facts;
    const { same = [], closed = [], free = [] } = expected;
    const pool = { name: thinPool ?? "", uid: extra["thin"] ?? "", tags: extra["tags"] ?? "" };
    const pattern = (object: ObjectFacts) =>
        volumePattern(volumeGroup, realName(object), {
            uuid: object.uid ?? "",
            tags: object.extra?.["tags"] ?? "",
        });
    const there = [
        { what: `volume group ${volumeGroup}`, pattern: groupPattern(volumeGroup, extra["group"] ?? "") },
        ...(thinPool === undefined
            ? []
            : [
                  {
                      what: `thin pool ${full(context, pool.name)}`,
                      pattern: volumePattern(volumeGroup, pool.name, {
                          uuid: pool.uid,
                          tags: pool.tags,
                      }),
                  },
              ]),
        ...same.map((object) => ({
            what: full(context, realName(object)),
            pattern: pattern(object),
        })),
    ];
    const script = lines(
        ...there.map(
            ({ what, pattern: text }) => sh`case $bh_lvm_now in
*${literal(text)}*) ;;
*) echo ${`${what} is not what it was`} >&2; exit ${GUARD_FAILED} ;;
esac`,
        ),
        ...closed.map(
            (object) =>
                sh`bh_lvm_shut ${literal(pattern(object))} || case $bh_lvm_now in
*${literal(pattern(object))}*) echo ${`${object.path} is open`} >&2; bh_lvm_users ${object.path}; exit ${IN_USE} ;;
*) echo ${`${full(context, realName(object))} is not what it was`} >&2; exit ${GUARD_FAILED} ;;
esac`,
        ),
        ...free.map(
            (name) => sh`case $bh_lvm_now in
*${literal(volumePattern(volumeGroup, name))}*) echo ${`${full(context, name)} has appeared`} >&2; exit ${GUARD_FAILED} ;;
esac`,
        ),
    );
    return new Sh(script.text, "");
}

/** A pattern that means just the text. */
function literal(text: string): Sh {
    return raw(quote(text));
}

/** The name on the host: that of the copy that stands in for a snapshot. */
export function realName(object: ObjectFacts): string {
    return object.extra?.["keptAs"] ?? object.name;
}

export function guardStep(context: Context, expected: Expected): Step {
    return { label: "check that nothing has changed", script: guard(context, expected), guard: true };
}

/** A step whose parts follow each other as long as they succeed. */
export function step(label: string, ...parts: readonly Sh[]): Step {
    const text = parts.map((part) => `${part.text} || exit`).join("\n");
    const display = parts.map((part) => part.display).filter((part) => part !== "");
    return { label, script: new Sh(text, display.join("; ")) };
}

/** Creates a logical volume; that it is there already means that the plan is out of date. */
export function createCommand(context: Context, name: string, ...words: readonly string[]): Sh {
    const make = lvm(context, "lvcreate", ...words, "-n", name);
    const script = sh`{ ${make} || { s=$?
case $bh_lvm_said in *'already exists in volume group'*) exit ${GUARD_FAILED} ;; esac; exit $s; }; }`;
    return new Sh(script.text, make.display);
}

/** Puts a mark in the place of the one that was read, in one transaction. */
export function setMark(context: Context, object: ObjectFacts, mark: Mark): Sh {
    return swapTag(context, realName(object), markText(object), encodeMark(mark));
}

/** The same for a mark that an earlier step of the plan has set. */
export function changeMark(context: Context, name: string, from: Mark, to: Mark): Sh {
    return swapTag(context, name, encodeMark(from), encodeMark(to));
}

function swapTag(context: Context, name: string, from: string | undefined, to: string): Sh {
    if (from === to) return raw(":");
    const off = from === undefined ? [] : ["--deltag", argument(from)];
    return lvm(context, "lvchange", ...off, "--addtag", to, full(context, name));
}

export function dropMark(context: Context, object: ObjectFacts): Sh {
    const text = markText(object);
    if (text === undefined) return raw(":");
    const only = identity(object.uid ?? "", text);
    return lvm(context, "lvchange", "--deltag", text, "-S", only, full(context, realName(object)));
}

/** Text of an object's mark as it was read. */
export function markText(object: ObjectFacts): string | undefined {
    return object.extra?.["markText"];
}

/**
 * Removes a logical volume, only if it is that one and carries that mark. (LVM passes over what a selection does not
 * mean without a word; the read-back shows it.) A thick volume with snapshots is passed over too: LVM would take them
 * with it.
 */
export function removeCommand(context: Context, object: ObjectFacts): Sh {
    const mark = markText(object);
    if (mark === undefined || object.uid === undefined) throw new TypeError("only what is marked is removed");
    const only = `${identity(object.uid, mark)}&&lv_role!=thickorigin`;
    return lvm(context, "lvremove", "-y", "-S", only, full(context, realName(object)));
}

/** The same, left to the end of the run, where all volumes that go go together. */
export function removeLater(context: Context, objects: readonly ObjectFacts[]): Partial<Plan> {
    const pool = context.pool.name;
    return {
        later: objects.map((object) => {
            const mark = markText(object);
            if (mark === undefined || object.uid === undefined)
                throw new TypeError("only what is marked is removed");
            const verb = object.extra?.["cow"] === undefined ? "remove" : "drop";
            return { pool, work: `${verb} ${argument(realName(object))} ${object.uid} ${argument(mark)}` };
        }),
    };
}

/**
 * Also where it carries the flag to skip activation. (`-y`: LVM asks before it takes a volume up or down with its
 * snapshots, and would wait for an answer on the pipe that its commands come from.)
 */
export function activate(context: Context, ...names: readonly string[]): Sh {
    return lvm(context, "lvchange", "-y", "-ay", "-K", ...names.map((name) => full(context, name)));
}

export function deactivate(context: Context, name: string): Sh {
    return lvm(context, "lvchange", "-y", "-an", full(context, name));
}

export function extendCommand(context: Context, name: string, sizeBytes: number): Sh {
    return lvm(context, "lvextend", "-L", `${String(sizeBytes)}b`, full(context, name));
}

/** A plan that touches objects of this pool. */
export function plan(
    context: Context,
    names: readonly string[],
    steps: readonly Step[],
    more: Partial<Plan> = {},
): Plan {
    const pool = context.pool.name;
    const remember =
        context.facts.extra["recorded"] === "yes" ? [] : [{ pool, work: `remember ${context.facts.id}` }];
    const later = [...remember, ...(more.later ?? [])];
    return {
        steps,
        touched: { pools: { [pool]: names } },
        ...more,
        ...(later.length === 0 ? {} : { later }),
    };
}

/** Names of what guards compare besides what is touched. */
export function watch(context: Context, ...names: readonly string[]): Pick<Plan, "watched"> {
    return { watched: { [context.pool.name]: names } };
}

/** Names to be activated together with those of the other plans of the run. */
export function activateLater(context: Context, ...names: readonly string[]): Partial<Plan> {
    return { later: names.map((name) => ({ pool: context.pool.name, work: `activate ${name}` })) };
}

export function extents(context: Context, bytes: number): number {
    return Math.ceil(bytes / extentBytes(context));
}

export function extentBytes(context: Context): number {
    const extent = Number(context.facts.extra["extent"]);
    if (!Number.isSafeInteger(extent) || extent <= 0)
        throw new BlockhostError("conflict", "the pool has to be observed again");
    return extent;
}
