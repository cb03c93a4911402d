import type { Step } from "../../../host/plan";
import { type Sh, raw, sh } from "../../../sh";
import type { PoolRef } from "../../types";
import type { LvmOptions } from "../options";
import { PROFILE_DIRECTORY, PROFILE_PREFIX, clearProfiles } from "./profile";

/** Profile files. Those that a thin pool of the host goes by stay: without them its guard rails would be off. */
export function leavings(pool: PoolRef<LvmOptions>): { files: Sh; remove: Step } {
    return {
        files: sh`${PROFILE_DIRECTORY}/${raw(PROFILE_PREFIX)}*.profile`,
        remove: { label: "remove profiles that nothing goes by", script: clearProfiles(pool.options) },
    };
}
