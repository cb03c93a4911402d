import { kernelTarget } from "../configfs/target";
import { isTargetOf, targetName } from "../iqn";
import { body, ROOT } from "./body";
import { capabilities } from "./capabilities";
import { check } from "./check";
import { connection } from "./connection";
import { declaration } from "./declaration";
import { faults, isLive, isOpen, knowsSize } from "./faults";
import { declare, declaredSchema, type LioDeclared } from "./model";
import { observed } from "./observe";
import { type LioOptions, lioOptions } from "./options";
import { type LioOwn, readOwn } from "./own";
import { refuse, reserved } from "./refuse";
import { sessions } from "./sessions";
import { closeUnit, guard, takeDown } from "./take";

/** iSCSI exports by LIO, the kernel's target, through configfs. Read in the order of the imports' names above. */
export const lioTarget = kernelTarget<LioOptions, LioDeclared, LioOwn>({
    name: "lio",
    label: "LIO",
    protocol: "iscsi",
    root: ROOT,
    options: lioOptions,
    capabilities,
    tools: {},
    declaredSchema,
    tree: observed,
    check,
    targetName: (target, name, generation) => targetName(target.options.prefix, name, generation),
    isTargetOf: (target, name, other) => isTargetOf(target.options.prefix, name, other),
    declare,
    body,
    faults,
    isLive,
    isOpen,
    knowsSize,
    sessions,
    own: readOwn,
    others: (own) => own.targets,
    foreign: (own) => own.devices,
    mergeOwn: (before) => before,
    refuse,
    reserved,
    guard,
    close: closeUnit,
    takeDown: (_target, before) => takeDown(before),
    declaration,
    connection,
});
