import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, describeOwner } from "../../host/mark";
import { GUARD_FAILED, NOTHING, type Plan } from "../../host/plan";
import { SECTOR } from "../../size";
import { sh } from "../../sh";
import { ownObject, requireName, requirePool } from "./check";
import { dataFile, fileOfObject, objectOfFile } from "./layout";
import { notOpen } from "./open";
import { prepare } from "./pool";
import { finishDeletion } from "./remove";
import { type Context, addMark, guard, plan, setMark, step } from "./steps";

/**
 * Puts a file of the pool directory under our name and mark (F7: manage_existing, manage_existing_snapshot); its
 * content, mode and owner stay. The reference is the file's name: `disk1.raw`.
 *
 * @throws BlockhostError `not-found` (reference), `invalid` (no regular file, odd size, other names for the same file,
 * type mismatch), `not-ours` (managed already, or the name is taken), `in-use` (open; also from the step).
 */
export function adopt(context: Context, want: { reference: string; name: string; mark: Mark }): Plan {
    requirePool(context);
    requireName(want.name);
    const { reference, name } = want;
    const found = ownAdoption(context, want);
    if (found?.mark?.phase === "deleting") return finishDeletion(context, found);
    if (found?.mark !== undefined && found.mark.phase !== "creating") return NOTHING;
    const object = objectOfReference(reference);
    const file = context.facts.objects.get(object);
    const inPlace = object === name;
    const mark: Mark = {
        ...want.mark,
        generation: found?.mark?.generation ?? want.mark.generation,
        extra: { ...want.mark.extra, adopted: reference },
    };
    // Found half-way with its data under our name: only the mark is left to do.
    const moved = found?.sizeBytes !== undefined;
    if (!moved) requireAdoptable(context, reference, file, inPlace ? found : undefined);
    else requireSound(found);
    const data = dataFile(name);
    const path = `./${fileOfObject(object)}`;
    const steps = [
        ...prepare(context, mark),
        guard(context, {
            ...(found?.mark === undefined ? { unmarked: [name] } : { marked: [found] }),
            ...(moved || inPlace ? { present: [data] } : { present: [fileOfObject(object)], absent: [data] }),
        }),
        notOpen(context, [moved || inPlace ? data : fileOfObject(object)]),
        ...(found?.mark === undefined ? [addMark(context, name, { ...mark, phase: "creating" })] : []),
        ...(moved || inPlace
            ? []
            : [
                  step(
                      context,
                      `rename ${JSON.stringify(reference)} to ${data}`,
                      sh`mv -nT -- ${path} ${data} || exit
if [ -e ${path} ]; then echo "${data} has appeared" >&2; exit ${GUARD_FAILED}; fi`,
                  ),
              ]),
        setMark(context, name, { ...mark, phase: "ready" }),
    ];
    return plan(context, [...new Set([name, object])], steps);
}

/** The object under the wanted name, unless it is the very file that is to be adopted in its place. */
function ownAdoption(
    context: Context,
    want: { reference: string; name: string; mark: Mark },
): ObjectFacts | undefined {
    const present = context.facts.objects.get(want.name);
    if (present === undefined) return undefined;
    const unmarked = present.mark === undefined && present.extra?.["unreadableMark"] === undefined;
    if (unmarked && objectOfReference(want.reference) === want.name) return undefined;
    if (present.mark !== undefined && present.mark.kind !== want.mark.kind)
        requireKind(present, want.mark.kind);
    const found = ownObject(context, want.name, want.mark);
    const adopted = found?.mark?.extra["adopted"];
    if (found === undefined || adopted === want.reference) return found;
    throw new BlockhostError(
        "exists",
        `"${want.name}" exists already: ${adopted === undefined ? "it was not adopted" : `it was adopted from "${adopted}"`}`,
        { property: "adopt", hint: "give the resource another `name`, or drop `adopt`" },
    );
}

function requireKind(present: ObjectFacts, kind: Mark["kind"]): void {
    throw new BlockhostError(
        "invalid",
        `"${present.name}" is a ${present.mark?.kind ?? "file"}, not a ${kind}`,
        {
            property: "adopt",
            hint: "adopt it as what it is",
        },
    );
}

export function objectOfReference(reference: string): string {
    return objectOfFile(reference);
}

function requireAdoptable(
    context: Context,
    reference: string,
    file: ObjectFacts | undefined,
    own: ObjectFacts | undefined,
): void {
    const quoted = JSON.stringify(reference);
    if (file === undefined || file.extra?.["type"] === undefined) {
        const is = reference.includes("/") ? "a path, not a name" : "not there";
        throw new BlockhostError(
            "not-found",
            `there is no file ${quoted} in pool "${context.pool.name}": it is ${is}`,
            {
                property: "adopt",
                hint: "`adopt` is the name of a file in the pool's directory, without a path",
            },
        );
    }
    if (file.mark !== undefined && own === undefined) {
        throw new BlockhostError(
            "not-ours",
            `${quoted} is a ${file.mark.kind} of ${describeOwner(file.mark.owner)}`,
            {
                property: "adopt",
                hint: "release it there first",
            },
        );
    }
    if (file.extra["unreadableMark"] !== undefined) {
        throw new BlockhostError(
            "unsupported",
            `the owner mark of ${quoted} cannot be read: ${file.extra["unreadableMark"]}`,
            { property: "adopt" },
        );
    }
    requireSound(file);
}

/** @throws BlockhostError `invalid` or `in-use`. */
function requireSound(file: ObjectFacts): void {
    const reason = unsoundness(file);
    if (reason === undefined) return;
    const open = (file.openBy?.length ?? 0) > 0;
    throw new BlockhostError(open ? "in-use" : "invalid", `${file.path} cannot be adopted: ${reason}`, {
        property: "adopt",
        hint: open ? "stop what has it open, then run the same again" : "mend that on the host first",
    });
}

/** Why a file cannot become an object of ours; `undefined`: it can. */
export function unsoundness(file: ObjectFacts): string | undefined {
    const type = file.extra?.["type"] ?? "f";
    if (type === "l") return "it is a symbolic link";
    if (type !== "f" || file.sizeBytes === undefined) return "it is not a regular file";
    if (file.name.includes("\uFFFD")) return "its name is not valid UTF-8";
    if ((file.openBy?.length ?? 0) > 0) return `it is open by ${file.openBy?.join(", ") ?? ""}`;
    if (file.sizeBytes === 0) return "it is empty";
    if (file.sizeBytes % SECTOR !== 0) return `its size is not a multiple of ${String(SECTOR)} bytes`;
    if (Number(file.extra?.["links"] ?? "1") > 1) return "it has other names (hard links)";
    return undefined;
}
