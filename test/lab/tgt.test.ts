import { describe } from "vitest";
import { tgtTarget } from "../../provider/targets/tgt";
import { describeExports } from "../contract/exports";
import { iscsiExports } from "./support/labExports";
import { labOf } from "./support/labOf";

/** iSCSI exports by tgtd, on a host with a real kernel; over files on the embedded host, see `test/contract`. */

describe.each(["lvm", "file"] as const)("tgt over %s", (pool) => {
    describeExports(async () => iscsiExports(await labOf("a"), tgtTarget, pool));
});
