import { BlockhostError } from "../../errors";
import type { ObjectFacts } from "../../host/facts";
import { type Mark, describeOwner, sameOwner } from "../../host/mark";
import type { Plan } from "../../host/plan";
import { ownObject, requireName, requirePool } from "./check";
import { activation } from "./create";
import type { PoolRef } from "../types";
import type { LvmOptions } from "./options";
import { finishDeletion } from "./remove";
import { type Context, activateLater, changeMark, guardStep, lvm, plan, setMark, step } from "./steps";

/**
 * Puts a logical volume of the pool under our name and mark (F7: manage_existing, manage_existing_snapshot): mark as
 * creating → rename → mark as ready; one command where it has our name already. Its other tags, layout and content stay.
 *
 * @throws BlockhostError `not-found` (reference), `invalid` (of another kind, not of this pool), `not-ours` (managed
 * already, or the name is taken), `in-use` (open; also from the step).
 */
export function adopt(context: Context, want: { reference: string; name: string; mark: Mark }): Plan {
    requirePool(context);
    requireName(context, want.name);
    const { name } = want;
    const reference = withoutGroup(context.pool, want.reference);
    const own = ownAdoption(context, { ...want, reference });
    if (own?.mark?.phase === "deleting") return finishDeletion(context, own);
    if (own?.mark !== undefined && own.mark.phase !== "creating") return activation(context, own);
    // Half-way: with its mark, under our name or still under its own.
    const found = own ?? requireReference(context, { ...want, reference });
    const mark: Mark = {
        ...want.mark,
        generation: found.mark?.generation ?? want.mark.generation,
        phase: "ready",
        extra: { ...want.mark.extra, adopted: reference },
    };
    requireSound(found, want.mark.kind);
    const check = guardStep(context, {
        closed: [found],
        free: found.name === name ? [] : [name],
    });
    const rest = activateLater(context, name);
    if (found.name === name) {
        return plan(
            context,
            [name],
            [check, step(`mark "${name}" as ready`, setMark(context, found, mark))],
            rest,
        );
    }
    const creating: Mark = { ...mark, phase: "creating" };
    const steps = [
        check,
        step(`mark "${found.name}" as creating`, setMark(context, found, creating)),
        step(
            `rename "${found.name}" to "${name}"`,
            lvm(context, "lvrename", context.pool.options.volumeGroup, found.name, name),
        ),
        step(`mark "${name}" as ready`, changeMark(context, name, creating, mark)),
    ];
    return plan(context, [name, found.name], steps, rest);
}

/** `name`, also where it is written as LVM does: `group/name`. */
export function withoutGroup({ options }: PoolRef<LvmOptions>, reference: string): string {
    const prefix = `${options.volumeGroup}/`;
    return reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
}

/** The object under the wanted name, unless it is the very volume that is to be adopted in its place. */
function ownAdoption(
    context: Context,
    want: { reference: string; name: string; mark: Mark },
): ObjectFacts | undefined {
    const present = context.facts.objects.get(want.name);
    if (present === undefined) return undefined;
    const unmarked = present.mark === undefined && present.extra?.["unreadableMark"] === undefined;
    if (unmarked && want.reference === want.name) return undefined;
    const found = ownObject(context, want.name, want.mark);
    const adopted = found?.mark?.extra["adopted"];
    if (found === undefined || adopted === want.reference) return found;
    throw new BlockhostError(
        "exists",
        `"${want.name}" exists already: ${adopted === undefined ? "it was not adopted" : `it was adopted from "${adopted}"`}`,
        { property: "adopt", hint: "give the resource another `name`, or drop `adopt`" },
    );
}

function requireReference(context: Context, want: { reference: string; mark: Mark }): ObjectFacts {
    const { reference, mark } = want;
    const found = context.facts.objects.get(reference);
    const pool = `pool "${context.pool.name}"`;
    if (found === undefined) {
        throw new BlockhostError("not-found", `there is no logical volume "${reference}" in ${pool}`, {
            property: "adopt",
            hint: `\`adopt\` is the name of a logical volume of volume group "${context.pool.options.volumeGroup}", without the group's`,
        });
    }
    if (found.extra?.["member"] !== "yes") {
        const layout = found.extra?.["layout"] ?? "";
        throw new BlockhostError("invalid", `"${reference}" is not of ${pool} (it is ${layout})`, {
            property: "adopt",
            hint: "a thin volume is adopted through the pool of its thin pool, any other through a pool without `thinPool`",
        });
    }
    const unreadable = found.extra["unreadableMark"];
    if (unreadable !== undefined) {
        throw new BlockhostError(
            "unsupported",
            `the owner mark of "${reference}" cannot be read: ${unreadable}`,
            { property: "adopt" },
        );
    }
    const half =
        found.mark?.phase === "creating" &&
        found.mark.extra["adopted"] === reference &&
        found.mark.kind === mark.kind &&
        sameOwner(found.mark.owner, mark.owner);
    if (found.mark !== undefined && !half) {
        throw new BlockhostError(
            "not-ours",
            `"${reference}" is a ${found.mark.kind} of ${describeOwner(found.mark.owner)}`,
            { property: "adopt", hint: "release it there first" },
        );
    }
    return found;
}

/** @throws BlockhostError `invalid` or `in-use`. */
function requireSound(found: ObjectFacts, kind: Mark["kind"]): void {
    const reason = unsoundness(found) ?? wrongKind(found, kind);
    if (reason === undefined) return;
    const open = (found.openBy?.length ?? 0) > 0;
    throw new BlockhostError(open ? "in-use" : "invalid", `${found.path} cannot be adopted: ${reason}`, {
        property: "adopt",
        hint: open
            ? "stop what has it open, then run the same again"
            : "mend that on the host first, or adopt it as what it is",
    });
}

/** Why a logical volume cannot become an object of ours; `undefined`: it can. */
export function unsoundness({ extra = {}, openBy = [] }: ObjectFacts): string | undefined {
    if (extra["member"] !== "yes") return `it is not a volume of this pool (${extra["layout"] ?? ""})`;
    const known = [
        "linear",
        "striped",
        "raid",
        "raid1",
        "raid10",
        "raid5",
        "raid6",
        "mirror",
        "thin",
        "sparse",
    ];
    const layout = (extra["layout"] ?? "").split(",");
    if (!layout.some((one) => known.includes(one))) return `its layout is ${extra["layout"] ?? ""}`;
    if (openBy.length > 0) return "it is open on the host";
    if ((extra["role"] ?? "").includes("private")) return "it is a part of another volume";
    return undefined;
}

/** A thick snapshot depends on its origin, so it can only be one of that. */
function wrongKind(found: ObjectFacts, kind: Mark["kind"]): string | undefined {
    if (kind === "volume" && found.extra?.["cow"] !== undefined) {
        return `it is a snapshot of "${found.extra["origin"] ?? "?"}", not a volume`;
    }
    return undefined;
}
