import { BlockhostError } from "../../errors";
import { describeOwner, type Mark, sameOwner } from "../../host/mark";
import { epochEnds } from "../../host/epoch";
import { NOTHING, type Plan } from "../../host/plan";
import { bootFile, bootFlush, guardBootFile, placeOf, remarkBootFile, removeBootFile } from "../boot";
import { removeBootUnit } from "../bootUnit";
import { dropOrders, formerUsers } from "./accounts";
import { management, type Order } from "./management";
import { exportOf, extraOf, requireAnswer, type TgtContext, type TgtExport } from "./model";
import { ANSWER } from "./protocol";
import { closeTarget, namesOf } from "./units";

/**
 * Remove an export: out of tgtd first, with the accounts that nothing else needs, its boot file last. F4: remove_export.
 * Whether its sessions may be cut has been decided by the caller from the facts; others than those end the plan.
 */
export function remove(context: TgtContext, want: { name: string; mark: Mark }): Plan {
    const { target, facts } = context;
    // An observation that is not complete makes nothing gone: this refuses.
    extraOf(facts);
    const before = exportOf(facts, want.name);
    if (before === undefined) return NOTHING;
    refuseOthers(before, want);
    requireAnswer(facts);
    const place = placeOf(target, want.name);
    const { controlPort } = before.declared;
    return {
        steps: [
            guardBootFile(place, before),
            {
                label: `take target ${before.targetName} out of tgtd`,
                script: management(controlPort, [
                    ...takeDown(before),
                    ...dropOrders(context, want.name, formerUsers(before)),
                ]),
            },
            removeBootFile(place, removeBootUnit(context, bootFile(place))),
        ],
        touched: { targets: { [target.protocol]: [want.name] } },
        flush: bootFlush(place),
        reserved: [epochEnds(target.stateDirectory)],
    };
}

function takeDown({ targetName, live }: TgtExport): Order[] {
    return [
        { verb: "use", name: targetName },
        ...closeTarget(namesOf(live?.sessions ?? [])),
        {
            verb: "request",
            label: `remove target ${targetName}`,
            mode: "target",
            op: "delete",
            force: true,
            tolerate: [ANSWER.noTarget],
        },
    ];
}

/** Take our mark over to a renamed resource, nothing else. */
export function remark(context: TgtContext, want: { name: string; from: Mark; to: Mark }): Plan {
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

function refuseOthers(before: TgtExport, want: { name: string; mark: Mark }): void {
    if (sameOwner(before.mark.owner, want.mark.owner) && before.mark.generation === want.mark.generation)
        return;
    throw new BlockhostError(
        "not-ours",
        `export "${want.name}" belongs to ${describeOwner(before.mark.owner)}`,
        {
            hint: "it stays untouched; `pulumi refresh` brings the state up to date",
        },
    );
}
