/**
 * The contract of a transport: it runs `sh` scripts on one storage host and counts what that took. It is the only
 * layer that does I/O.
 */

/** How to reach a host, after validation (`provider/host/config.ts`). */
export interface TransportConfig {
    /** The host's name in the configuration; appears in every error. */
    readonly name: string;
    /** Host name, IP address, alias of `~/.ssh/config`, or `"local"` for this machine itself. */
    readonly address: string;
    readonly port?: number | undefined;
    readonly user?: string | undefined;
    /** Run scripts under `sudo -n`. As good as root: whoever has the SSH key has the host. */
    readonly sudo?: boolean | undefined;
    /** `SHA256:…` fingerprint, or several. Without it, `known_hosts` decides. */
    readonly hostKey?: string | readonly string[] | undefined;
    /** Path of a known_hosts file; default `~/.ssh/known_hosts` (and what ssh_config names). */
    readonly knownHostsFile?: string | undefined;
    /** Path of a private key. Without it: the agent, ssh_config's IdentityFile, then the usual files. */
    readonly privateKeyFile?: string | undefined;
    /** Name of an environment variable that holds the private key itself. */
    readonly privateKeyEnv?: string | undefined;
    /** Name of an environment variable that holds the key's passphrase. */
    readonly passphraseEnv?: string | undefined;
    /** Name of an environment variable that holds the password. */
    readonly passwordEnv?: string | undefined;
    /** Hosts to go through, outermost first. */
    readonly jump?: readonly TransportConfig[] | undefined;
    /** Most shells kept open at once, default 4; always below sshd's MaxSessions (10). */
    readonly maxSessions?: number | undefined;
    /** Milliseconds until a connection attempt fails, default 10,000. */
    readonly connectTimeout?: number | undefined;
    /** Shell that interprets the scripts, default `sh`. */
    readonly shell?: string | undefined;
}

export interface RunOptions {
    /** Aborting ends the run on the host too; the run rejects with `cancelled`, even if the script had just ended. */
    signal?: AbortSignal | undefined;
    /**
     * Milliseconds from sending the script until the run is ended, default 60,000; rejects with `timeout`. The host
     * keeps the deadline itself too, 2 to 4 s later, whatever has become of the connection.
     */
    timeout?: number | undefined;
    /** Called with every complete line of standard output as it arrives (without the newline). What it throws is ignored. */
    onLine?: ((line: string) => void) | undefined;
    /** What is being done, for errors. */
    doing?: string | undefined;
}

export interface RunResult {
    /** Exit status of the script. A script killed by signal n gives 128 + n. */
    exitStatus: number;
    /** As UTF-8; bytes that are not become U+FFFD. Both streams together may hold 64 MiB. */
    stdout: string;
    stderr: string;
    /** Milliseconds from sending the script to its last byte. */
    duration: number;
}

/** What a transport has cost so far; counted, never estimated. */
export interface TransportCounters {
    /** Connections opened to the host itself, jump hosts not counted (for `local`: 0). */
    connections: number;
    /** Shells (channels) opened. */
    shells: number;
    /** Scripts sent. */
    runs: number;
    bytesSent: number;
    bytesReceived: number;
}

export interface Transport {
    readonly name: string;
    readonly counters: Readonly<TransportCounters>;
    /**
     * Runs a POSIX `sh` script given on standard input; a script cut short in transit does nothing.
     *
     * A script that exits with a status other than 0, or has a syntax error, is a result, not an error. It runs in a
     * subshell of a shell that is kept: `$$` is the same for many runs. A process left in the background ends with
     * the connection; one that a later run shall find needs a session of its own (`setsid`, `systemd-run`), and then
     * no deadline, cancellation or lost connection ends it.
     *
     * @throws BlockhostError `unreachable`, `auth`, `host-key`, `timeout`, `cancelled`; `unsupported` when the host
     * has no shell, `setsid` or `sudo` for us; `invalid` for a NUL in the script; `command-failed` when it writes more
     * than 64 MiB. When the connection is lost
     * while the script may already run, `unreachable` is thrown and the run is **not** sent again: what it did is
     * unknown and has to be observed.
     */
    run(script: string, options?: RunOptions): Promise<RunResult>;
    /** Closes the connection and ends runs under way. A later `run` connects anew. */
    close(): Promise<void>;
}
