import { type Sh, asWord, raw, sh, writeOut } from "../sh";
import type { UnitFacts } from "./facts";
import type { Step } from "./plan";

/**
 * Long work (copies, wiping) runs on the host as a named unit that outlives the connection: under `systemd-run` where
 * systemd is, else under `setsid`. A unit is a folder in the state directory. It runs as long as somebody holds its
 * lock, so neither a reused process id nor a restart of the host can deceive.
 *
 *     units/<name>/{script,progress,total,run,lock,pid,log,exit}
 */
export interface Unit {
    /** Letters, digits, `.`, `_`, `-`; the same work must always get the same name. */
    readonly name: string;
    readonly label: string;
    /** The work; must be safe to start again from the beginning. */
    readonly script: Sh;
    /** Prints the number of bytes done so far. */
    readonly progress: Sh;
    readonly totalBytes: number;
}

// Holds the lock on descriptor 8 for as long as it lives; the work itself does not inherit it. It waits for the lock,
// because whoever looks whether the unit runs holds it (shared) for a moment. Whatever it has to write has its room
// already and is written in place: when the file system is full it must still be able to say so.
const SUPERVISOR = raw(`cd "$1" || exit 1
exec 8>>lock
flock -w 10 8 || exit 0
printf '%-10s\\n' $$ 1<>pid
sh ./script </dev/null 1<>log 2>&1 8>&-
printf '%-10s\\n' $? 1<>exit.new
mv exit.new exit`);

/** Room for what a unit says. Bytes. */
const LOG_BYTES = 4096;

/** Starts a unit unless it runs already. Starting it again after it ended begins anew. */
export function startUnit(stateDirectory: string, unit: Unit): Step {
    const dir = unitDirectory(stateDirectory, unit.name);
    return {
        label: unit.label,
        script: sh`dir=${dir}
mkdir -p "$dir" || exit
flock -s -n "$dir/lock" true || exit 0
rm -f "$dir/exit"
${writeOut(sh`printf '%s\n' ${asWord(unit.script)}`, raw('"$dir/script"'))} &&
${writeOut(sh`printf '%s\n' ${asWord(unit.progress)}`, raw('"$dir/progress"'))} &&
${writeOut(sh`printf '%s\n' ${unit.totalBytes}`, raw('"$dir/total"'))} &&
${writeOut(sh`printf '%s\n' ${asWord(SUPERVISOR)}`, raw('"$dir/run"'))} &&
${writeOut(raw(`printf '%-10s\\n' ''`), raw('"$dir/pid"'))} &&
${writeOut(raw(`printf '%-10s\\n' ''`), raw('"$dir/exit.new"'))} &&
${writeOut(raw(`head -c ${String(LOG_BYTES)} /dev/zero`), raw('"$dir/log"'))} || exit
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null 2>&1; then
    systemd-run --quiet --collect --unit=${`blockhost-${unit.name}`} sh "$dir/run" "$dir" || exit
else
    setsid sh "$dir/run" "$dir" </dev/null >/dev/null 2>&1 6>&- 7>&- &
fi
# Whoever looks right after must find it running or ended, so wait until it has its lock.
n=0
while [ ! -e "$dir/exit" ] && flock -s -n "$dir/lock" true; do
    n=$((n + 1)); [ "$n" -lt 200 ] || { echo "the unit did not start within 10 s" >&2; exit 1; }
    sleep 0.05
done`,
    };
}

/** Ends a unit and everything it started. */
export function stopUnit(stateDirectory: string, name: string): Sh {
    const dir = unitDirectory(stateDirectory, name);
    return sh`dir=${dir}
[ -e "$dir/pid" ] || exit 0
if flock -s -n "$dir/lock" true; then exit 0; fi
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && systemctl stop ${`blockhost-${name}`} 2>/dev/null; then exit 0; fi
# The supervisor leads its session: the group is just what it started.
read -r pid < "$dir/pid" && [ -n "$pid" ] && kill -KILL -- "-$pid" 2>/dev/null
:`;
}

/** Takes a unit that has ended off the host's books. */
export function forgetUnit(stateDirectory: string, name: string): Step {
    const dir = unitDirectory(stateDirectory, name);
    return { label: `clear away unit ${name}`, script: sh`flock -w 10 ${`${dir}/lock`} rm -rf ${dir}` };
}

/** Reads all units, or one; one line of facts and the end of the log of each that failed. */
export function observeUnits(stateDirectory: string, name?: string): Sh {
    const glob =
        name === undefined
            ? sh`${`${stateDirectory}/units`}/*/`
            : sh`${unitDirectory(stateDirectory, name)}/`;
    return sh`for dir in ${glob}; do
    [ -e "$dir/lock" ] || continue
    state=lost exit=- total=0 done=0
    flock -s -n "$dir/lock" true || state=running
    if [ "$state" = lost ] && [ -e "$dir/exit" ]; then read -r exit < "$dir/exit"; state=ended; fi
    [ -e "$dir/total" ] && read -r total < "$dir/total"
    [ "$state" = running ] && [ -e "$dir/progress" ] && done=$(sh "$dir/progress" 2>/dev/null || echo 0)
    name=\${dir%/}
    printf 'unit %s %s %s %s %s\n' "\${name##*/}" "$state" "$exit" "\${done:-0}" "\${total:-0}"
    if [ "$state" = ended ] && [ "$exit" != 0 ]; then tr -d '\\000' < "$dir/log" | tail -c 1500 | sed 's/^/log /'; fi
done`;
}

export function parseUnits(output: string): Map<string, UnitFacts> {
    const units = new Map<string, UnitFacts>();
    let last: UnitFacts | undefined;
    for (const line of output.split("\n")) {
        const [, name, state, exit, done, total] = /^unit (\S+) (\S+) (\S+) (\d+) (\d+)$/.exec(line) ?? [];
        if (name !== undefined) {
            last = {
                name,
                state:
                    state === "ended"
                        ? exit === "0"
                            ? "done"
                            : "failed"
                        : state === "running"
                          ? "running"
                          : "lost",
                ...(exit === undefined || exit === "-" ? {} : { exitStatus: Number(exit) }),
                doneBytes: Number(done),
                totalBytes: Number(total),
                log: "",
            };
        } else if (line.startsWith("log ") && last !== undefined) {
            last = { ...last, log: `${last.log}${line.slice(4)}\n` };
        }
        if (last !== undefined) units.set(last.name, last);
    }
    return units;
}

function unitDirectory(stateDirectory: string, name: string): string {
    if (!/^[A-Za-z0-9._-]+$/.test(name)) throw new TypeError(`not a unit name: ${name}`);
    return `${stateDirectory}/units/${name}`;
}
