/**
 * Finds out that a connection is dead although nobody said so. ssh2's own keep-alive timer cannot be unreferenced, and
 * would keep the process from ending.
 */
import type { Connection } from "./connect";
import { KEEPALIVE_INTERVAL, KEEPALIVE_MISSED, PROBE_TIMEOUT } from "./limits";

export interface KeepAlive {
    /** Asks at once, and drops the connection when there is no answer soon: for when a run's end was not confirmed. */
    probe(): void;
}

/** Asks the host for a sign of life from time to time, and drops a connection that gives none. */
export function keepAlive(connection: Connection): KeepAlive {
    let missed = 0;
    const ask = (answered: () => void): void => {
        try {
            // A request that every server answers, if only with a no: undo a forwarding that was never asked for.
            connection.client.unforwardIn("localhost", 1, answered);
        } catch {
            connection.destroy();
        }
    };
    const timer = setInterval(() => {
        if (missed++ >= KEEPALIVE_MISSED) connection.destroy();
        else ask(() => (missed = 0));
    }, KEEPALIVE_INTERVAL);
    timer.unref();
    void connection.closed.then(() => clearInterval(timer));
    return {
        probe: () => {
            const patience = setTimeout(() => connection.destroy(), PROBE_TIMEOUT);
            patience.unref();
            ask(() => clearTimeout(patience));
        },
    };
}
