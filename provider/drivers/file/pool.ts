import { encodeMark, type Mark } from "../../host/mark";
import { GUARD_FAILED, type Step } from "../../host/plan";
import { type Sh, sh } from "../../sh";
import { MARKS, OWN, POOL_LINK, REFLINK_LINK, WORK, recordFile } from "./layout";
import { type Context, step } from "./steps";

/**
 * What has to come before a plan that changes the pool: making it one, and noting on the host which pool it is. The
 * note is what tells a file system that is not mounted from an empty directory.
 */
export function prepare(context: Context, mark: Mark): Step[] {
    const { facts } = context;
    if (facts.id === "new") return [initialise(context, mark)];
    return facts.extra["recorded"] === "yes" ? [] : [remember(context, facts.id)];
}

/**
 * Makes a pool of an empty directory. The identity comes last, so a stop half-way leaves a directory that is still
 * taken for empty. Several plans of one run may bring this step: all but the first find a pool.
 */
function initialise(context: Context, mark: Mark): Step {
    const identity: Mark = { ...mark, kind: "pool", phase: "ready", extra: {} };
    return step(
        context,
        `make a pool of ${context.pool.options.directory}`,
        sh`[ ! -L ${POOL_LINK} ] || exit 0
record=${recordFile(context.pool)}
if [ -L "$record" ] || [ -n "$(find . -mindepth 1 -maxdepth 1 ! -path ./lost+found ! -path ./${OWN} -print -quit)" ]; then
    echo "the directory is not empty any more, or known to hold a pool" >&2
    exit ${GUARD_FAILED}
fi
mkdir -p -m 0700 ${OWN} ${MARKS} ${WORK} || exit
${probeReflink()} || exit
ln -sT -- ${encodeMark(identity)} ${POOL_LINK} || exit
${writeRecord(context, identity.generation)}`,
    );
}

function remember(context: Context, id: string): Step {
    return step(context, "remember the pool", writeRecord(context, id));
}

function writeRecord(context: Context, id: string): Sh {
    const record = recordFile(context.pool);
    return sh`mkdir -p -m 0700 ${record.slice(0, record.lastIndexOf("/"))} && ln -sfnT -- ${id} ${record}`;
}

/**
 * Finds out by trying whether files of this pool can share extents, and notes it: right for every file system, whatever
 * it was made with.
 */
export function probeReflink(): Sh {
    const from = `${WORK}/probe.from`;
    const to = `${WORK}/probe.to`;
    return sh`{
    rm -f ${from} ${to}
    echo probe > ${from} || exit
    if cp --reflink=always ${from} ${to} 2>/dev/null; then able=yes; else able=no; fi
    rm -f ${from} ${to}
    ln -sfnT "$able" ${REFLINK_LINK}
}`;
}
