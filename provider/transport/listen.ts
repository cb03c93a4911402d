/**
 * Shell functions of a process in the background that is told things over its standard input: the guard of a kept shell,
 * and the watch over the plans of a run. `bh_now` sets `bh_t` to the seconds since the host was started. `bh_listen`
 * holds the process's own pipe open for writing until whoever started it, and reads its process id, has opened it:
 *
 *     pid=$(: | listener &); exec 9>"/proc/$pid/fd/0"; echo >&9
 */
export const LISTENING = `bh_now() {
read -r bh_t bh_x </proc/uptime
bh_t=\${bh_t%%.*}
}
bh_listen() {
exec 0<>/proc/self/fd/0
read -r bh_self bh_x </proc/self/stat
echo "$bh_self"
exec >/dev/null 2>&1
read -r bh_x
exec 0</proc/self/fd/0
}
`;
