import { NOTHING } from "../../host/plan";
import { SECTOR } from "../../size";
import type { Driver } from "../types";
import { adopt } from "./adopt";
import { adoptable, resolveReference } from "./adoptable";
import { requireData, sameObject } from "./check";
import { create } from "./create";
import { extend } from "./extend";
import { observePool } from "./observe";
import { dataFile } from "./layout";
import { leavings } from "./leavings";
import { type FileOptions, fileOptions } from "./options";
import { parsePool } from "./parse";
import { release, remark } from "./release";
import { remove } from "./remove";
import { revert, settleRevert } from "./revert";
import { settle } from "./settle";
import { snapshot } from "./snapshot";

/** Deleting gives the blocks back to the file system, and it alone decides when its device is told. */
const NO_DISCARD =
    'is not possible for files: a file\'s blocks go back to the file system, which tells its device by itself (mount option "discard", or fstrim); use "zero" to overwrite them, or leave `wipe` out';

/**
 * Volumes and snapshots as files in a directory. Read `layout.ts` for where things lie, `observe.ts` and `parse.ts` for
 * what is read, then one file an operation.
 */
export const fileDriver: Driver<FileOptions> = {
    name: "file",
    options: fileOptions,
    capabilities: () => ({
        thin: true,
        thick: true,
        growsInUse: true,
        snapshots: "depends",
        revert: true,
        discard: true,
    }),
    tools: () => ({
        chmod: "coreutils",
        cp: "coreutils",
        ln: "coreutils",
        mkdir: "coreutils",
        mv: "coreutils",
        readlink: "coreutils",
        rm: "coreutils",
        sleep: "coreutils",
        stat: "coreutils",
        sync: "coreutils",
        truncate: "coreutils",
        find: "findutils",
        perl: "perl-base",
        fallocate: "util-linux",
        flock: "util-linux",
        ionice: "util-linux",
    }),
    wipeProblem: (_, method) => (method === "discard" ? NO_DISCARD : undefined),
    grain: () => SECTOR,
    observe: observePool,
    parse: parsePool,
    settle,
    leavings,
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
    remark,
    pathOf: (pool, facts, name) => `${facts.extra["directory"] ?? pool.options.directory}/${dataFile(name)}`,
    adoptable,
    resolveReference,
};
