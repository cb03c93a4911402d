import { cuts, ensure, remark, remove } from "../configfs/ensure";
import type { Helper } from "../configfs/model";
import { orphan } from "../configfs/orphan";
import { observeTree } from "../configfs/observe";
import { mergeFacts, parseFacts } from "../configfs/parse";
import { subsystemName } from "../nqn";
import type { Target } from "../types";
import { body } from "./body";
import { capabilities } from "./capabilities";
import { check } from "./check";
import { connection } from "./connection";
import { declaration } from "./declaration";
import { faults, isLive } from "./faults";
import { declare, declaredSchema, type NvmetDeclared } from "./model";
import { observed } from "./observe";
import { type NvmetOptions, nvmetOptions } from "./options";
import { type NvmetOwn, readOwn } from "./own";
import { refuse, reserved } from "./refuse";
import { reopen } from "./reopen";
import { sessions } from "./sessions";
import { guard, takeDown } from "./take";

const helper: Helper<NvmetOptions, NvmetDeclared, NvmetOwn> = {
    label: "nvmet",
    protocol: "nvme-tcp",
    declaredSchema,
    modulesIn:
        "nvmet is part of the kernel's own package (Debian: linux-image-amd64; Ubuntu: linux-modules-extra-…; Fedora: kernel-modules): install the one of the kernel that runs",
    tree: observed,
    check,
    targetName: (target, want) => subsystemName(target.options.prefix, want.name, want.mark.generation),
    declare,
    body,
    faults,
    isLive,
    sessions,
    own: readOwn,
    foreign: (own) => own.devices,
    mergeOwn: (before, read) => ({
        ...before,
        made: read.made,
        // Those that we made come and go with our exports.
        hosts: new Map([
            ...[...before.hosts].filter(([name]) => !before.made.has(`hosts/${name}`)),
            ...read.hosts,
        ]),
        ...(read.authentication === undefined ? {} : { authentication: read.authentication }),
    }),
    refuse,
    reserved,
    guard,
    takeDown,
};

/** NVMe/TCP exports by nvmet, the kernel's target, through configfs. Read in the order of the imports' names above. */
export const nvmetTarget: Target<NvmetOptions> = {
    name: "nvmet",
    protocol: "nvme-tcp",
    options: nvmetOptions,
    capabilities,
    tools: {
        modprobe: "kmod",
        dmesg: "util-linux",
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
