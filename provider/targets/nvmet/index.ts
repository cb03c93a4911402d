import { kernelTarget } from "../configfs/target";
import { isSubsystemOf, subsystemName } from "../nqn";
import { body } from "./body";
import { capabilities } from "./capabilities";
import { check } from "./check";
import { connection } from "./connection";
import { declaration } from "./declaration";
import { faults, isLive, isOpen, knowsSize } from "./faults";
import { declare, declaredSchema, type NvmetDeclared, ROOT } from "./model";
import { observed } from "./observe";
import { type NvmetOptions, nvmetOptions } from "./options";
import { mergeOwn, type NvmetOwn, readOwn } from "./own";
import { agreed, guardKeys, refuse, reserved } from "./refuse";
import { sessions } from "./sessions";
import { closeNamespace, guard, sweep, takeDown } from "./take";

/** NVMe/TCP exports by nvmet, the kernel's target, through configfs. Read in the order of the imports' names above. */
export const nvmetTarget = kernelTarget<NvmetOptions, NvmetDeclared, NvmetOwn>({
    name: "nvmet",
    label: "nvmet",
    protocol: "nvme-tcp",
    root: ROOT,
    options: nvmetOptions,
    capabilities,
    tools: { dmesg: "util-linux" },
    declaredSchema,
    tree: observed,
    check,
    agreed,
    targetName: (target, name, generation) => subsystemName(target.options.prefix, name, generation),
    isTargetOf: (target, name, other) => isSubsystemOf(target.options.prefix, name, other),
    declare,
    body,
    faults,
    isLive,
    isOpen,
    knowsSize,
    sessions,
    own: readOwn,
    others: (own) => own.subsystems,
    foreign: (own) => own.devices,
    mergeOwn,
    refuse,
    guardShared: guardKeys,
    reserved,
    guard,
    close: closeNamespace,
    takeDown,
    sweep,
    declaration,
    connection,
});
