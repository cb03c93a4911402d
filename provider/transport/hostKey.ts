/** Decides whether a host is who it should be. Nothing is ever accepted without being told beforehand. */
import type { ServerHostKeyAlgorithm } from "ssh2";
import { BlockhostError } from "../errors";
import { fingerprint, keyType, lookup, type KnownKey } from "./knownHosts";
import type { ResolvedHost } from "./sshConfig";

/** Algorithms by key type, in the order in which they are asked for when nothing else is known. */
const ALGORITHMS: readonly (readonly [type: string, algorithms: readonly ServerHostKeyAlgorithm[]])[] = [
    ["ssh-ed25519", ["ssh-ed25519"]],
    ["ecdsa-sha2-nistp256", ["ecdsa-sha2-nistp256"]],
    ["ecdsa-sha2-nistp384", ["ecdsa-sha2-nistp384"]],
    ["ecdsa-sha2-nistp521", ["ecdsa-sha2-nistp521"]],
    ["ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256"]],
];

export class HostKeyCheck {
    readonly #host: ResolvedHost;
    readonly #pinned: readonly string[];
    readonly #known: readonly KnownKey[];
    readonly #revoked: readonly KnownKey[];
    readonly #tried = new Set<string>();
    /** Why the last key was refused. */
    error: BlockhostError | undefined;

    /** @param knownHosts the text of all known_hosts files that count for the host */
    constructor(host: ResolvedHost, knownHosts: string) {
        const { accepted, revoked } = lookup(knownHosts, host.hostKeyAlias ?? host.host, host.port);
        this.#host = host;
        this.#pinned = host.hostKeys.map((text) => text.trim().replace(/=+$/, ""));
        this.#known = accepted;
        this.#revoked = revoked;
    }

    /**
     * Key types that are known come first, so that the server shows the key that can be compared. Types that were
     * shown and are not the pinned one are left out: one fingerprint may be of any of the server's keys.
     */
    algorithms(): ServerHostKeyAlgorithm[] {
        const known = new Set(this.#pinned.length > 0 ? [] : this.#known.map((key) => key.type));
        const types = ALGORITHMS.filter(([type]) => !this.#tried.has(type));
        const first = types.filter(([type]) => known.has(type));
        const rest = types.filter(([type]) => !known.has(type));
        return [...first, ...rest].flatMap(([, algorithms]) => [...algorithms]);
    }

    /** True if, after a refusal, the server may have another key that is the pinned one. */
    get mayRetry(): boolean {
        return this.#pinned.length > 0 && this.#tried.size > 0 && this.#tried.size < ALGORITHMS.length;
    }

    /** Whether the key is the host's; if not, {@link error} says why. */
    verify(blob: Buffer): boolean {
        const shown = fingerprint(blob);
        const type = keyType(blob);
        this.#tried.add(type);
        this.error = undefined;
        const where = `${this.#host.host}:${String(this.#host.port)}`;
        const name = this.#host.hostKeyAlias ?? this.#host.host;
        const entry = this.#host.port === 22 ? name : `[${name}]:${String(this.#host.port)}`;
        if (this.#revoked.some((key) => key.blob.equals(blob))) {
            this.error = this.#refuse(
                `${where} shows a key (${type} ${shown}) that known_hosts marks as @revoked`,
                "find out why it was revoked; do not connect before that",
            );
        } else if (this.#pinned.length > 0) {
            if (this.#pinned.includes(shown)) return true;
            this.error = this.#refuse(
                `the host key of ${where} is not the configured one: it shows ${type} ${shown}, ` +
                    `the configuration says ${this.#pinned.join(" or ")}`,
                "if the host was installed anew, compare the fingerprint on its console " +
                    "(`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`) and change hostKey; if not, somebody may be " +
                    "listening in",
            );
        } else if (this.#known.some((key) => key.blob.equals(blob))) {
            return true;
        } else if (this.#known.length > 0) {
            const known = this.#known.map((key) => `${key.type} ${fingerprint(key.blob)}`).join(" or ");
            this.error = this.#refuse(
                `the host key of ${where} has changed: it shows ${type} ${shown}, known_hosts says ${known}`,
                "if the host was installed anew, compare the fingerprint on its console, then run " +
                    `\`ssh-keygen -R '${entry}'\` and add the new key; if not, somebody may be listening in`,
            );
        } else {
            this.error = this.#refuse(
                `the host key of ${where} is not known: it shows ${type} ${shown}`,
                `compare it on the host's console (\`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\`); if it is the ` +
                    `same, put \`hostKey: ${shown}\` into the host's configuration, or add the key to known_hosts`,
            );
        }
        return false;
    }

    #refuse(summary: string, hint: string): BlockhostError {
        return new BlockhostError("host-key", summary, { host: this.#host.name, hint });
    }
}
