import { cuts, ensure, remark, remove } from "../configfs/ensure";
import type { Helper } from "../configfs/model";
import { orphan } from "../configfs/orphan";
import { observeTree } from "../configfs/observe";
import { mergeFacts, parseFacts } from "../configfs/parse";
import { targetName } from "../iqn";
import type { Target } from "../types";
import { body } from "./body";
import { capabilities } from "./capabilities";
import { check } from "./check";
import { connection } from "./connection";
import { declaration } from "./declaration";
import { faults, isLive } from "./faults";
import { declare, declaredSchema, type LioDeclared } from "./model";
import { observed } from "./observe";
import { type LioOptions, lioOptions } from "./options";
import { type LioOwn, readOwn } from "./own";
import { refuse, reserved } from "./refuse";
import { reopen } from "./reopen";
import { sessions } from "./sessions";
import { guard, takeDown } from "./take";

const helper: Helper<LioOptions, LioDeclared, LioOwn> = {
    label: "LIO",
    protocol: "iscsi",
    declaredSchema,
    modulesIn:
        "LIO is part of the kernel's own package (Debian: linux-image-amd64; Ubuntu: linux-modules-extra-…; Fedora: kernel-modules): install the one of the kernel that runs",
    tree: observed,
    check,
    targetName: (target, want) => targetName(target.options.prefix, want.name, want.mark.generation),
    declare,
    body,
    faults,
    isLive,
    sessions,
    own: readOwn,
    foreign: (own) => own.devices,
    mergeOwn: (before) => before,
    refuse,
    reserved,
    guard,
    takeDown: (_target, before) => takeDown(before),
};

/** iSCSI exports by LIO, the kernel's target, through configfs. Read in the order of the imports' names above. */
export const lioTarget: Target<LioOptions> = {
    name: "lio",
    protocol: "iscsi",
    options: lioOptions,
    capabilities,
    tools: {
        modprobe: "kmod",
        grep: "grep",
        find: "findutils",
        xargs: "findutils",
        stat: "coreutils",
        sha256sum: "coreutils",
        sed: "sed",
        sync: "coreutils",
    },
    check,
    observe: (target, only) => observeTree(target, observed(target, only), only),
    parse: (target, output) => parseFacts(helper, target, output),
    merge: (before, read, only) => mergeFacts(helper, before, read, only),
    ensure: (context, want) => ensure(helper, context, want),
    cuts: (context, want) => cuts(helper, context, want),
    remove: (context, want) => remove(helper, context, want),
    remark,
    orphan: (context, want, name) => orphan(helper, context, want, name),
    reopen,
    growth: "online",
    declaration,
    connection,
};
