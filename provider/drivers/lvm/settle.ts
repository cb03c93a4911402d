import { type Sh, sh } from "../../sh";
import type { PoolRef } from "../types";
import { recordFile } from "./observe";
import type { LvmOptions } from "./options";
import { command } from "./settings";

/** LVM's shell takes 64 words a command. */
const BATCH = 40;

/**
 * What the plans of a run have left to its end:
 *
 *     activate <name>       all together: a third of the time that it takes one by one
 *     remember <identity>   which pool was seen here
 *
 * LVM itself writes its metadata through to the disks, so there is nothing to flush.
 */
export function settle(pool: PoolRef<LvmOptions>): Sh {
    const record = recordFile(pool);
    const activate = command("bh_lvm", pool.options, "lvchange", "-ay", "-K");
    return sh`names='' id='' ill=0
for work; do
    case $work in
    'activate '*) names="$names "${`${pool.options.volumeGroup}/`}"\${work#activate }" ;;
    'remember '*) id=\${work#remember } ;;
    esac
done
set -- $names
while [ $# -gt 0 ]; do
    batch='' n=0
    while [ $# -gt 0 ] && [ $n -lt ${BATCH} ]; do
        batch="$batch $1" n=$((n + 1))
        shift
    done
    ${activate} $batch 2>/dev/null && continue
    for one in $batch; do
        ${activate} "$one" || { echo "undone activate \${one#*/}"; ill=1; }
    done
done
if [ -n "$id" ]; then
    mkdir -p -m 0700 ${record.slice(0, record.lastIndexOf("/"))} || exit
    printf '%s\n' "$id" > ${`${record}.new`} && mv ${`${record}.new`} ${record} || exit
fi
exit $ill`;
}
