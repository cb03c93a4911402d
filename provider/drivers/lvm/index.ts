import { NOTHING } from "../../host/plan";
import { requireData, sameObject } from "../check";
import type { Driver } from "../types";
import { adopt } from "./adopt";
import { adoptable, resolveReference } from "./adoptable";
import { create } from "./create";
import { explain } from "./explain";
import { extend } from "./extend";
import { heal } from "./heal";
import { nameProblem } from "./names";
import { observeTogether } from "./observe";
import { type LvmOptions, isThin, lvmOptions, stripesOf } from "./options";
import { parsePool } from "./parse";
import { release, remark } from "./release";
import { remove } from "./remove";
import { revert, settleRevert } from "./revert";
import { lvmPools } from "./pool";
import { leavings } from "./pool/leavings";
import { session } from "./session";
import { settle } from "./settle";
import { snapshot } from "./snapshot";

/**
 * Volumes and snapshots as logical volumes of a volume group, thick, or thin in a thin pool of it. The owner mark is a
 * tag. Read `observe.ts`, `parse.ts` and `problem.ts` for what is read, `session.ts` for how commands reach LVM,
 * `steps.ts` for what plans are made of, then one file an operation.
 */
export const lvmDriver: Driver<LvmOptions> = {
    name: "lvm",
    options: lvmOptions,
    capabilities: (options) => ({
        thin: isThin(options),
        thick: !isThin(options),
        growsInUse: true,
        snapshots: "instant",
        revert: true,
        discard: true,
    }),
    tools: (options) => ({
        lvm: "lvm2",
        mkfifo: "coreutils",
        mktemp: "coreutils",
        mv: "coreutils",
        rm: "coreutils",
        blkdiscard: "util-linux",
        ionice: "util-linux",
        ...(isThin(options) ? { thin_check: "thin-provisioning-tools" } : { perl: "perl-base" }),
    }),
    nameProblem,
    grain: ({ options }, facts) => (Number(facts.extra["extent"]) || 4 * 2 ** 20) * stripesOf(options),
    observe: (pool, only) => observeTogether([only === undefined ? { pool } : { pool, only }]),
    observeTogether,
    parse: parsePool,
    session,
    settle,
    explain,
    create,
    extend,
    remove,
    snapshot,
    revert,
    settleRevert: (context, { name, mark }) => {
        const volume = requireData(context, name, sameObject(context, name, mark));
        return volume.mark.phase === "reverting" ? settleRevert(context, volume) : NOTHING;
    },
    adopt,
    release,
    heal,
    remark,
    leavings,
    pools: lvmPools,
    pathOf: ({ options }, _facts, name) => `/dev/${options.volumeGroup}/${name}`,
    adoptable,
    resolveReference,
};
