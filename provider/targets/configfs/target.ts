import type { Target } from "../types";
import { cuts, ensure, remark, remove } from "./ensure";
import type { CommonDeclared, Helper } from "./model";
import { observeTree } from "./observe";
import { orphan } from "./orphan";
import { mergeFacts, parseFacts } from "./parse";
import { reopen } from "./reopen";

/** What every observation and boot file uses. */
const TOOLS = {
    modprobe: "kmod",
    grep: "grep",
    find: "findutils",
    xargs: "findutils",
    stat: "coreutils",
    sha256sum: "coreutils",
    sync: "coreutils",
};

/** A target of the kernel's, whose exports are objects in configfs. Read in the order of the imports' names above. */
export function kernelTarget<O, D extends CommonDeclared, Own>(helper: Helper<O, D, Own>): Target<O> {
    const { name, protocol, options, capabilities } = helper;
    return {
        name,
        protocol,
        options,
        capabilities,
        tools: { ...TOOLS, ...helper.tools },
        targetName: (target, export_, generation) => helper.targetName(target, export_, generation),
        check: (target, want) => helper.check(target, want),
        agreed: (want) => helper.agreed?.(want) ?? [],
        observe: (target, only) => observeTree(target, helper.tree(target, only), only),
        parse: (target, output) => parseFacts(helper, target, output),
        merge: (before, read, only) => mergeFacts(helper, before, read, only),
        ensure: (context, want) => ensure(helper, context, want),
        cuts: (context, want) => cuts(helper, context, want),
        remove: (context, want) => remove(helper, context, want),
        remark,
        orphan: (context, want, targetName) => orphan(helper, context, want, targetName),
        reopen: (context, want) => reopen(helper, context, want),
        growth: "online",
        declaration: (target, facts) => helper.declaration(target, facts),
        connection: (target, want, facts) => helper.connection(target, want, facts),
    };
}
