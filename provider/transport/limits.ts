/** The transport's fixed numbers. */

/** Most that a run may write on both streams together, in bytes. */
export const OUTPUT_LIMIT = 64 * 1024 * 1024;

/** Milliseconds that a run gets when the caller says nothing. */
export const DEFAULT_RUN_TIMEOUT = 60_000;

/** Milliseconds until a connection attempt fails when the configuration says nothing. */
export const DEFAULT_CONNECT_TIMEOUT = 10_000;

/** Milliseconds that the host gets to report that it killed a run, before the channel is dropped. */
export const KILL_GRACE = 4_000;

/** Seconds that the host gives a run beyond its deadline, for the kill from here to come first. */
export const HOST_GRACE = 2;

/** Shells kept open at once; sshd's MaxSessions is 10, and other users of the connection may need some. */
export const DEFAULT_SHELLS = 4;
export const MOST_SHELLS = 9;

/** Milliseconds between keep-alives, and how many may stay without an answer. */
export const KEEPALIVE_INTERVAL = 15_000;
export const KEEPALIVE_MISSED = 4;

/** Milliseconds for one answer when there is reason to doubt the connection. */
export const PROBE_TIMEOUT = 3_000;

/** Milliseconds beyond which Node's timers fire at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;
