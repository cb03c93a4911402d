/** Makes the transport that a host's configuration asks for. */
import { BlockhostError } from "../errors";
import { LocalTransport } from "./local";
import { SshTransport } from "./ssh";
import type { Transport, TransportConfig } from "./types";

export type { RunOptions, RunResult, Transport, TransportConfig, TransportCounters } from "./types";

/** A shell's name or path, and perhaps one argument (`busybox sh`): words that no login shell could take amiss. */
const SHELL = /^[\w./-]+( [\w./-]+)*$/;

/**
 * Opens nothing yet: the first run connects. One transport a host and process; share it.
 *
 * @throws BlockhostError `invalid`
 */
export function createTransport(config: TransportConfig): Transport {
    if (config.shell !== undefined && !SHELL.test(config.shell)) {
        throw new BlockhostError("invalid", `shell "${config.shell}" is not a plain command`, {
            host: config.name,
            hint: "name a POSIX shell, such as sh, dash or /bin/bash",
        });
    }
    return config.address === "local" ? new LocalTransport(config) : new SshTransport(config);
}
