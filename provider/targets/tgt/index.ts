import type { Target } from "../types";
import { targetName } from "../iqn";
import { capabilities } from "./capabilities";
import { check } from "./check";
import { connection } from "./connection";
import { declaration } from "./declaration";
import { cuts, ensure } from "./ensure";
import { observe } from "./observe";
import { type TgtOptions, tgtOptions } from "./options";
import { merge } from "./merge";
import { orphan } from "./orphan";
import { parse } from "./parse";
import { remark, remove } from "./remove";
import { reopen } from "./reopen";

/** iSCSI exports by tgtd, the userspace target daemon (Debian: tgt). Read in the order of the imports' names above. */
export const tgtTarget: Target<TgtOptions> = {
    name: "tgt",
    protocol: "iscsi",
    options: tgtOptions,
    capabilities,
    tools: { tgtd: "tgt", perl: "perl-base", sed: "sed", sync: "coreutils" },
    targetName: (target, name, generation) => targetName(target.options.prefix, name, generation),
    check,
    observe,
    parse,
    merge,
    ensure,
    cuts,
    remove,
    remark,
    reopen,
    orphan,
    growth: "offline",
    declaration,
    connection,
};
