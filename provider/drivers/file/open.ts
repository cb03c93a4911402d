import { IN_USE, type Step } from "../../host/plan";
import { type Sh, lines, raw, sh } from "../../sh";
import { type Context, inPool } from "./steps";

/**
 * Whether a file is open. The kernel grants a write lease (`fcntl(F_SETLEASE, F_WRLCK)`) on a file only while nobody
 * else has it open, mapped, or under a loop device or a kernel target; so one system call answers for all processes in
 * all namespaces, at a constant 2 ms (perl is the only stock tool that makes it: perl-base is essential in Debian).
 * Looking through /proc instead takes 20 ms to 50 ms on a host with 5,000 open files, sees no kernel users, and needs
 * root to see other users' processes; it is done only to say who it is, or where leases cannot be had (another owner's
 * file without root, some network file systems). Without root, in those cases, only the SSH user's own processes are seen.
 */
const LEASE = 'open(F,"<",$ARGV[0])or exit 3;$SIG{IO}="IGNORE";fcntl(F,1024,1)and exit 0;exit($!+0==11?1:2)';

/** Exit status 0: somebody has it open, and `$who` says who. */
const IN_USE_BY: Sh = lines(
    raw("open_by() {"),
    sh`perl -e ${LEASE} "./$1" 2>/dev/null`,
    raw(`busy=$?
[ $busy = 0 ] && return 1
who= last=
for fd in /proc/[0-9]*/fd/*; do
    [ "$fd" -ef "./$1" ] || continue
    pid=\${fd#/proc/}; pid=\${pid%%/*}
    [ "$pid" = "$last" ] && continue
    last=$pid comm=
    read -r comm < "/proc/$pid/comm"
    who="$who \${comm:-?}($pid)"
done 2>/dev/null
for file in /sys/block/loop*/loop/backing_file; do
    [ -e "$file" ] && IFS= read -r target < "$file" || continue
    device=\${file#/sys/block/}
    [ "$target" -ef "./$1" ] && who="$who /dev/\${device%%/*}"
done 2>/dev/null
[ $busy = 1 ] && who="\${who:- the kernel or a process that cannot be seen}"
[ -n "$who" ]
}`),
);

/** Refuses to go on while one of these files is open; a file that is not there is not open. */
export function notOpen(context: Context, files: readonly string[]): Step {
    const script = sh`${IN_USE_BY}
for path in ${files}; do
    [ -f "./$path" ] || continue
    if open_by "$path"; then echo "$path is open by$who" >&2; exit ${IN_USE}; fi
done`;
    return { label: "check that nobody has it open", script: inPool(context, script), guard: true };
}
