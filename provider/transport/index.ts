/** Makes the transport that a host's configuration asks for. */
import { LocalTransport } from "./local";
import { SshTransport } from "./ssh";
import type { Transport, TransportConfig } from "./types";

export type { RunOptions, RunResult, Transport, TransportConfig, TransportCounters } from "./types";

/** Opens nothing yet: the first run connects. One transport a host and process; share it. */
export function createTransport(config: TransportConfig): Transport {
    return config.address === "local" ? new LocalTransport(config) : new SshTransport(config);
}
