import type { PoolMaker } from "../../poolMaker";
import type { LvmOptions } from "../options";
import { adopt, release } from "./adopt";
import { alter } from "./alter";
import { create } from "./create";
import { check, drift, gone, made } from "./drift";
import { observe } from "./observe";
import { parse } from "./parse";
import { remove } from "./remove";

/**
 * Volume groups and thin pools from disks. Read `observe.ts`, `parse.ts` and `facts.ts` for what is known, `sizes.ts` for
 * the layout, then one file an operation.
 */
export const lvmPools: PoolMaker<LvmOptions> = {
    container: ({ options }) => options.volumeGroup,
    observe,
    parse,
    tools: {
        find: "findutils",
        readlink: "coreutils",
        sync: "coreutils",
        tac: "coreutils",
        tr: "coreutils",
        wipefs: "util-linux",
    },
    check,
    create,
    adopt,
    alter,
    remove,
    release,
    drift,
    made,
    gone,
};
