/**
 * OpenSSH's known_hosts files: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Pure. Plain and hashed names, `[host]:port`,
 * wildcards and negation, `@revoked`; certificate authorities are passed over, since ssh2 offers no certificates.
 */
import { createHash, createHmac } from "node:crypto";

export interface KnownKey {
    /** Such as `ssh-ed25519`. */
    type: string;
    /** The public key in ssh's wire format. */
    blob: Buffer;
}

export interface KnownKeys {
    accepted: KnownKey[];
    revoked: KnownKey[];
}

/** What one or several files say of a host; `host` as it is connected to, or its HostKeyAlias. */
export function lookup(text: string, host: string, port: number): KnownKeys {
    const found: KnownKeys = { accepted: [], revoked: [] };
    const name = host.toLowerCase();
    const names = port === 22 ? [name] : [`[${name}]:${String(port)}`];
    // Like OpenSSH: with another port, an entry without a port is good enough to accept a key.
    const exact = collect(text, names, found);
    if (!exact && port !== 22) collect(text, [name], found);
    return found;
}

function collect(text: string, names: string[], found: KnownKeys): boolean {
    let any = false;
    for (const line of text.split("\n")) {
        const words = line.trim().split(/[ \t]+/);
        const marker = words[0]?.startsWith("@") === true ? words.shift() : undefined;
        const [patterns, type, base64] = words;
        if (patterns === undefined || patterns.startsWith("#") || type === undefined || base64 === undefined)
            continue;
        if (marker !== undefined && marker !== "@revoked") continue;
        if (!names.some((name) => matches(patterns, name))) continue;
        const key = { type, blob: Buffer.from(base64, "base64") };
        if (marker === "@revoked") found.revoked.push(key);
        else {
            found.accepted.push(key);
            any = true;
        }
    }
    return any;
}

function matches(patterns: string, name: string): boolean {
    if (patterns.startsWith("|1|")) {
        const [, , salt = "", hash = ""] = patterns.split("|");
        return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
    }
    let matched = false;
    for (const pattern of patterns.toLowerCase().split(",")) {
        const negated = pattern.startsWith("!");
        if (!wildcard(negated ? pattern.slice(1) : pattern, name)) continue;
        if (negated) return false;
        matched = true;
    }
    return matched;
}

function wildcard(pattern: string, name: string): boolean {
    const source = pattern
        .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
        .replaceAll("*", ".*")
        .replaceAll("?", ".");
    return new RegExp(`^${source}$`, "s").test(name);
}

/** `SHA256:…` of a public key, as `ssh-keygen -l` prints it. */
export function fingerprint(blob: Buffer): string {
    return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** The type that a public key in wire format names. */
export function keyType(blob: Buffer): string {
    if (blob.length < 4) return "unknown";
    return blob.toString("latin1", 4, 4 + Math.min(blob.readUInt32BE(0), 64));
}
