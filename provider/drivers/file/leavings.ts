import type { Step } from "../../host/plan";
import { type Sh, raw, sh } from "../../sh";
import type { PoolRef } from "../types";
import { MARKS, OWN } from "./layout";
import type { FileOptions } from "./options";

/** What a pool of files holds beside the data: its identity and marks. They go when no mark is left. */
export function leavings(pool: PoolRef<FileOptions>, released: boolean): { files: Sh; remove: Step } {
    const own = `${pool.options.directory}/${OWN}`;
    return {
        files: released ? sh`${own}` : raw(""),
        remove: {
            label: `remove ${own}`,
            script: released
                ? sh`[ -d ${own} ] || exit 0
[ -z "$(ls -A ${`${pool.options.directory}/${MARKS}`} 2>/dev/null)" ] || exit 0
rm -rf -- ${own}`
                : raw(":"),
        },
    };
}
