import { BlockhostError } from "../../errors";
import { epochEnds } from "../../host/epoch";
import { describeOwner, encodeMark, type Mark, sameOwner } from "../../host/mark";
import { NOTHING, type Plan, type Step } from "../../host/plan";
import { lines, raw, type Sh, sh } from "../../sh";
import {
    bootFile,
    bootFlush,
    guardBootFile,
    placeOf,
    refuseUnreadable,
    remarkBootFile,
    removeBootFile,
    writeBootFile,
} from "../boot";
import { bootUnitFor, onlyBootUnit, removeBootUnit } from "../bootUnit";
import { refuseProblems } from "../checks";
import { asForetold } from "../foretold";
import type { ExportWanted, Session, TargetContext, TargetRef } from "../types";
import { explainer } from "./explain";
import {
    type CommonDeclared,
    type Declaration,
    exportOf,
    extraOf,
    type Fault,
    type Helper,
    type KernelExport,
    othersThan,
    requireAnswer,
} from "./model";
import { noteFile } from "./notes";

interface Change<D extends CommonDeclared> extends Declaration<D> {
    readonly targetName: string;
    readonly before: KernelExport<D> | undefined;
    readonly faults: readonly Fault[];
    readonly cuts?: { readonly sessions: readonly Session[]; readonly reason: string };
}

/**
 * The change from what is to what is wanted; `undefined`: it is so already.
 *
 * @throws BlockhostError `invalid`, `not-found` (the kernel's part or the device), `not-ours`, `exists`, `in-use`.
 */
function planChange<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    context: TargetContext<O>,
    want: ExportWanted,
): Change<D> | undefined {
    const { target, facts } = context;
    refuseProblems(helper.check(target, want));
    requireAnswer(facts);
    refuseUnreadable(facts, want.name, target.stateDirectory);
    const before = exportOf<D>(facts, want.name);
    if (before === undefined) refuseUnknown(helper, context, want.name);
    else refuseOthers(before, want);
    const targetName = before?.targetName ?? helper.targetName(target, want.name, want.mark.generation);
    const declaration = helper.declare(context, want, targetName, before);
    const { declared, secrets } = declaration;
    const samePath = before?.declared.devicePath === want.devicePath;
    const live = before?.live;
    const faults =
        live === undefined
            ? [{ text: "missing" }]
            : helper.faults(declared, secrets, samePath ? live : { ...live, device: undefined });
    const written =
        before !== undefined &&
        before.applied &&
        !before.closed &&
        before.digest === declared.digest &&
        sameMark(before.mark, want.mark);
    if (written && faults.length === 0) return undefined;
    helper.refuse(context, want, declared, before);
    if (
        samePath &&
        before?.orphaned !== true &&
        live?.device === undefined &&
        want.activation === undefined
    ) {
        throw new BlockhostError(
            "not-found",
            `there is nothing at ${want.devicePath} that could be exported`,
            {
                hint: "the volume's data is gone or its pool is not mounted: put it back, or delete the export",
            },
        );
    }
    const sessions = before?.sessions ?? [];
    const cut = sessions.filter((session) => faults.some((fault) => ends(fault, session)));
    const why = faults.filter((fault) => cut.some((session) => ends(fault, session))).map(({ text }) => text);
    const cuts = cut.length === 0 ? {} : { cuts: { sessions: cut, reason: why.join("; ") } };
    return { ...declaration, targetName, before, faults, ...cuts };
}

function ends({ cuts }: Fault, { initiator, group }: Session): boolean {
    if (cuts === undefined || cuts === "all") return cuts !== undefined;
    return "group" in cuts ? cuts.group === group : group === undefined && cuts.includes(initiator);
}

/**
 * Create, finish, heal or change an export. F4, F5: create_export, ensure_export.
 *
 * The boot file comes first: it says what is declared, and that it was not carried out yet. It is written anew even if it
 * should say so already: nobody compares its script, which somebody may have edited. Then what is in the way is taken
 * away, and that script makes all that is not there and writes what differs, ending with the note that all of it was done.
 */
export function ensure<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    context: TargetContext<O>,
    want: ExportWanted,
): Plan {
    const change = planChange(helper, context, want);
    if (change === undefined) return onlyBootUnit(context, want.name);
    const { target } = context;
    const { declared, secrets, roots, targetName, before } = change;
    const place = placeOf(target, want.name);
    const header = {
        mark: want.mark,
        sizeBytes: want.sizeBytes,
        targetName,
        accounts: [],
        declared,
        activation: want.activation,
        roots,
        device: want.devicePath,
        secrets,
    };
    const unit = bootUnitFor(context);
    const steps: Step[] = [
        guardBootFile(
            place,
            before,
            lines(
                unit.guard,
                helper.guardShared?.(context, want),
                // Last: it notes what is going to be made.
                before === undefined ? asForetold(context, want) : undefined,
            ),
        ),
        ...unit.steps,
        writeBootFile(place, header, helper.body(target, want, declared), before === undefined),
        {
            label: `set up ${targetName} in ${helper.label}`,
            script: sh`${takeAway(helper, target, change.faults, before, othersThan<D>(context.facts, want.name))}${before === undefined ? FRESH : raw("")}. ${bootFile(place)}`,
        },
    ];
    return {
        steps,
        touched: { targets: { [target.protocol]: [want.name] } },
        reserved: [...helper.reserved(context, want, declared), unit.reserved],
        flush: bootFlush(place),
        explain: explainer(helper.label),
    };
}

/** Tells a boot file that what it makes has never been made before. */
const FRESH = raw("BLOCKHOST_FRESH=1\n");

function takeAway<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    target: TargetRef<O>,
    faults: readonly Fault[],
    before: KernelExport<D> | undefined,
    others: readonly KernelExport<D>[],
): Sh {
    const takes = new Map(
        faults.flatMap(({ take }) => (take === undefined ? [] : [[take.text, take] as const])),
    );
    const cuts = faults.flatMap(({ cuts = [] }) => (typeof cuts === "object" && "group" in cuts ? [] : cuts));
    if (takes.size === 0 || before === undefined) return raw("");
    const whom = cuts.includes("all") ? "all" : cuts;
    const guard = cuts.length === 0 ? raw("") : helper.guard(before, whom);
    return sh`cd ${helper.root} || exit
${guard}
${[...takes.values()].reduce((all, one) => sh`${all}${one}\n`, raw(""))}${helper.sweep?.(target, before, others) ?? raw("")}
`;
}

/** Sessions that {@link ensure} would cut, and why. */
export function cuts<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    context: TargetContext<O>,
    want: ExportWanted,
): { sessions: readonly Session[]; reason: string } | undefined {
    return planChange(helper, context, want)?.cuts;
}

/**
 * Remove an export: out of the kernel first, its boot file last. F4: remove_export. Whether its sessions may be cut has
 * been decided by the caller from the facts; others than those end the plan.
 */
export function remove<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    context: TargetContext<O>,
    want: { name: string; mark: Mark },
): Plan {
    const { target, facts } = context;
    // An observation that is not complete makes nothing gone: this refuses.
    extraOf(facts);
    const before = exportOf<D>(facts, want.name);
    if (before === undefined) return NOTHING;
    refuseOthers(before, want);
    requireAnswer(facts);
    const place = placeOf(target, want.name);
    const unit = removeBootUnit(context, bootFile(place));
    const note = noteFile(target, want.name);
    return {
        steps: [
            guardBootFile(place, before),
            {
                label: `take ${before.targetName} out of ${helper.label}`,
                script: sh`cd ${helper.root} 2>/dev/null || exit 0
${helper.guard(before, "all")}
${helper.takeDown(target, before, othersThan<D>(facts, want.name))}`,
            },
            removeBootFile(place, unit, [note]),
        ],
        touched: { targets: { [target.protocol]: [want.name] } },
        flush: bootFlush(place, [note]),
        reserved: [epochEnds(target.stateDirectory)],
    };
}

/** Take our mark over to a renamed resource, nothing else. */
export function remark<O>(context: TargetContext<O>, want: { name: string; from: Mark; to: Mark }): Plan {
    const before = exportOf(context.facts, want.name);
    if (before === undefined) return NOTHING;
    const same = sameOwner(before.mark.owner, want.to.owner) && before.mark.generation === want.to.generation;
    if (same) return NOTHING;
    refuseOthers(before, { name: want.name, mark: want.from });
    return {
        steps: [remarkBootFile(placeOf(context.target, want.name), before.mark, want.to)],
        touched: { targets: { [context.target.protocol]: [want.name] } },
    };
}

function sameMark(a: Mark, b: Mark): boolean {
    return encodeMark({ ...a, phase: "ready" }) === encodeMark({ ...b, phase: "ready" });
}

/** Of whatever generation: a lost boot file must not lead to a second target beside the first. */
function refuseUnknown<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    { target, facts }: TargetContext<O>,
    name: string,
): void {
    const { own, gone } = extraOf<Own>(facts);
    if (gone.has(name)) return;
    const other = [...helper.others(own)].find((one) => helper.isTargetOf(target, name, one));
    if (other === undefined) return;
    throw new BlockhostError(
        "not-ours",
        `${helper.label} already has ${other}, and no boot file of ours says why`,
        {
            hint: "it stays untouched: put back the state directory if that was lost or changed, remove it by hand, or give this export another `name`",
        },
    );
}

function refuseOthers(before: KernelExport, want: { name: string; mark: Mark }): void {
    const same = sameOwner(before.mark.owner, want.mark.owner);
    if (same && before.mark.generation === want.mark.generation) return;
    const when = same ? " and was made at another time" : "";
    throw new BlockhostError(
        "not-ours",
        `export "${want.name}" belongs to ${describeOwner(before.mark.owner)}${when}`,
        {
            hint: "it stays untouched: give this export another `name`, or bring the state up to date with `pulumi refresh`",
        },
    );
}
