/**
 * The program that a kept shell is given first: POSIX `sh`, tried with dash, bash and busybox.
 *
 * Processes on the host, all in one session that `setsid` made for them:
 *
 * - the *shell* reads program text from standard input and starts each run in the background, so that it is always
 *   ready to read the next thing: a run, a kill, or the end of the connection, upon which its EXIT trap kills the
 *   session;
 * - the *guard* waits on a pipe from the shell. It knows the deadline of the run under way and kills the session when
 *   the deadline has passed or the shell has died, whatever became of the connection. While a run is under way it
 *   wakes once a second; an idle guard sleeps in a read. One guard a shell and no program a run keeps a run cheap. It
 *   also watches over one process of the run, where the script asks for it (`bh_watch`);
 * - a *run* is two subshells: one that prints the frames, and in it the script, with no way to see the frames' nonce.
 *
 * "Kills the session": every process whose session is the shell's, looked up in /proc, over and over until none is
 * left. That finds what has been orphaned, what moved to another process group (`timeout` does), and what ignores
 * TERM. A process that made a session of its own (`setsid`, a daemon, a systemd unit) is not of the run any more and
 * survives a normal end, a kill and a lost connection: so long work is started.
 */

const PROGRAM = `
PATH=\${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
unset LANGUAGE ENV BASH_ENV CDPATH
umask 077
cd /

# Kills all of the session but the caller, whose pid is bh_self.
bh_end_all() {
    bh_pass=0
    while :; do
        bh_left=0
        for bh_p in /proc/[0-9]*; do
            bh_p=\${bh_p#/proc/}
            [ "$bh_p" != "$bh_self" ] || continue
            { read -r bh_l <"/proc/$bh_p/stat"; } 2>/dev/null || continue
            # After the name, which may hold anything: state, parent, group, session.
            set -- \${bh_l##*) }
            [ "$4" = "$bh_session" ] && [ "$1" != Z ] && [ "$1" != X ] || continue
            bh_left=$((bh_left + 1))
            kill -KILL "$bh_p" 2>/dev/null
        done
        bh_pass=$((bh_pass + 1))
        # A process in an uninterruptible wait stays; do not wait for it for ever.
        [ "$bh_left" -gt 0 ] && [ "$bh_pass" -lt 25 ] || break
        [ "$bh_pass" -lt 4 ] || sleep 0.1
    done
}

# Ends a process and all that it has started. It is stopped before its children are looked for, so none can be forked
# behind its back.
bh_end_tree() {
    kill -STOP "$1" 2>/dev/null || return 0
    bh_l=
    read -r bh_l 2>/dev/null <"/proc/$1/task/$1/children"
    for bh_c in $bh_l; do bh_end_tree "$bh_c"; done
    kill -KILL "$1" 2>/dev/null
}

# Sets bh_t to the seconds since the host was started.
bh_now() {
    read -r bh_t bh_x </proc/uptime
    bh_t=\${bh_t%%.*}
}

# For scripts. bh_watch <pid> <second>: the guard ends that process, and all it has started, at that second since the
# host was started, and when the script ends before it said bh_watch without anything.
bh_watch() { { echo "W $*" >"/proc/$bh_guard_pid/fd/0"; } 2>/dev/null; }

bh_shell_lives() {
    { read -r bh_l <"/proc/$bh_shell/stat"; } 2>/dev/null || return 1
    case \${bh_l##*) } in [ZX]*) return 1 ;; esac
}

bh_unwatch() {
    [ -z "$bh_pid" ] || bh_end_tree "$bh_pid"
    bh_pid=
}

# The guard. R <seconds>: a run begins. E: it ended. W: see bh_watch. T: a second has passed. End of file: the shell is
# gone. It holds its own pipe open for writing until the shell, which reads its pid, has opened it.
bh_guard() {
    exec 0<>/proc/self/fd/0
    read -r bh_self bh_x </proc/self/stat
    echo "$bh_self"
    exec >/dev/null 2>&1
    read -r bh_x
    exec 0</proc/self/fd/0
    bh_due= bh_tick= bh_pid= bh_until=
    while read -r bh_what bh_arg bh_more; do
        case $bh_what in
            R) bh_now; bh_due=$((bh_t + bh_arg)) ;;
            E) bh_due=; bh_unwatch ;;
            W) bh_pid=$bh_arg bh_until=$bh_more ;;
            T)
                bh_tick=
                wait
                bh_shell_lives || break
                bh_now
                [ -z "$bh_due" ] || [ "$bh_t" -lt "$bh_due" ] || break
                [ -z "$bh_pid" ] || [ "$bh_t" -lt "$bh_until" ] || bh_unwatch
                ;;
        esac
        if [ -n "$bh_due" ] && [ -z "$bh_tick" ]; then
            bh_tick=1
            { sleep 1; echo T >&8; } 8>"/proc/$bh_self/fd/0" &
        fi
    done
    bh_end_all
}

# bh_run <script> <seconds> <nonce>: the nonce comes last and is counted, so a call cut short starts nothing.
bh_run() {
    case $3 in ????????????????????????????????) ;; *) exit 1 ;; esac
    [ -z "$bh_job" ] || wait "$bh_job"
    echo "$3 B"
    echo "$3 B" >&2
    echo "R $2" >&9
    {
        ( bh_script=$1; set --; eval "$bh_script" ) 9>&-
        bh_status=$?
        # First: what is still at work must not write where the next run does. Not to 9: if the guard is gone that ends
        # this shell before it has told what came of the script.
        { echo E >"/proc/$bh_guard_pid/fd/0"; } 2>/dev/null
        echo "$3 E $bh_status"
        echo "$3 E" >&2
    } </dev/null &
    bh_job=$!
}

# bh_read <bytes> <seconds> <nonce>: the same for a script that follows as counted bytes, of which the last is a dot:
# a command substitution drops newlines at the end.
bh_read() {
    case $3 in ????????????????????????????????) ;; *) exit 1 ;; esac
    bh_text=$(exec head -c "$1")
    [ "\${#bh_text}" -eq "$1" ] || exit 1
    bh_run "\${bh_text%.}" "$2" "$3"
    bh_text=
}

# bh_kill <nonce>: ends the run under way, and this shell: after a kill nothing is taken for granted.
bh_kill() {
    bh_end_all </dev/null
    trap - EXIT
    echo "$1 K $bh_left"
    exit 0
}

bh_job=
read -r bh_shell bh_x </proc/self/stat
set -- \${bh_x##*) }
bh_session=$4
bh_self=$bh_shell
set --
if [ "$bh_session" = "$bh_shell" ]; then
    bh_guard_pid=$(: | bh_guard &)
    exec 9>"/proc/$bh_guard_pid/fd/0"
    echo hello >&9
    trap bh_end_all EXIT
fi
`;

/**
 * Defines the functions above, starts the guard and prints the H frame on both streams. Its text on standard output:
 * `word` or `bytes` (how this shell wants scripts), or `no-session`.
 */
export function bootstrapText(nonce: string): string {
    return `${PROGRAM}
if [ "$bh_session" != "$bh_shell" ]; then echo "${nonce} H no-session"
elif [ -n "$BASH_VERSION" ]; then echo "${nonce} H bytes"
else echo "${nonce} H word"; fi
echo "${nonce} H" >&2
`;
}

/** What the exec channel is asked to start: plain words only, since the login shell may be fish or csh. */
export function shellCommand(config: { sudo?: boolean | undefined; shell?: string | undefined }): string[] {
    const shell = (config.shell ?? "sh").split(" ").filter((word) => word !== "");
    return [...(config.sudo === true ? ["sudo", "-n"] : []), "setsid", "-w", ...shell];
}
