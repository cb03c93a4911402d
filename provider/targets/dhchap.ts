import { hkdfSync } from "node:crypto";
import { UNKNOWN } from "../validate";
import type { Problem } from "./chap";
import type { Dhchap } from "./types";

/**
 * Keys of NVMe in-band authentication in their text form, `DHHC-1:<hash>:<base64 of key and CRC-32>:`.
 * Source: NVM Express TCP/IP Technical Proposal 8006 and Base Specification 2.0, section 8.13.5.8; `nvme gen-dhchap-key`.
 */

/** Bytes of a key by the hash that it is transformed with; `00`: with none. */
const LENGTHS: Readonly<Record<string, readonly number[]>> = {
    "00": [32, 48, 64],
    "01": [32],
    "02": [48],
    "03": [64],
};
const HASHES: Readonly<Record<string, string>> = { "01": "SHA-256", "02": "SHA-384", "03": "SHA-512" };
const LENGTH_HASHES: Readonly<Record<number, string>> = { 32: "01", 48: "02", 64: "03" };

/** Why a text is no key; `undefined`: it is one. Nothing of it is quoted that may be of the key itself. */
export function dhchapKeyProblem(text: string): string | undefined {
    const [, hash = "", encoded = ""] = /^DHHC-1:([^:]*):([^:]*):$/.exec(text) ?? [];
    if (encoded === "")
        return 'must be a key as `nvme gen-dhchap-key` prints it: "DHHC-1:00:…:", its last colon included';
    const lengths = LENGTHS[hash];
    if (lengths === undefined)
        return `has ${/^\d\d$/.test(hash) ? `the hash "${hash}"` : "no hash in its second place"}; there are 00 (none), 01 (SHA-256), 02 (SHA-384) and 03 (SHA-512)`;
    const bytes = Buffer.from(encoded, "base64");
    if (bytes.toString("base64") !== encoded) return "is not valid base64: it may have been cut short";
    const length = bytes.length - 4;
    if (!lengths.includes(length)) {
        const what = hash === "00" ? "a key without a hash" : `a key for ${HASHES[hash] ?? ""} (${hash})`;
        return `has ${String(Math.max(0, length))} bytes; ${what} has ${lengths.join(", ").replace(/, (\d+)$/, " or $1")}`;
    }
    if (crc32(bytes.subarray(0, length)) !== bytes.readUInt32LE(length))
        return "does not match its checksum: it was mistyped or cut short";
    return undefined;
}

/**
 * A key made from a secret that is not one yet, such as a random password of the program's: always the same for the same
 * secret and purpose.
 *
 * @param secret at least 32 characters, random
 * @param bytes of the key: 32 (SHA-256), 48 (SHA-384) or 64 (SHA-512)
 */
export function deriveDhchapKey(secret: string, purpose: string, bytes: 32 | 48 | 64 = 32): string {
    if (Buffer.byteLength(secret) < 32)
        throw new TypeError("a secret that a key is made from must have at least 32 bytes");
    const hash = LENGTH_HASHES[bytes];
    if (hash === undefined) throw new TypeError("a key has 32, 48 or 64 bytes");
    const key = Buffer.from(hkdfSync("sha256", secret, "pulumi-blockhost DHHC-1", purpose, bytes));
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32(key));
    return `DHHC-1:${hash}:${Buffer.concat([key, sum]).toString("base64")}:`;
}

/** What is wrong with an initiator's keys. */
export function dhchapProblems({ key, controllerKey }: Dhchap, path: string): Problem[] {
    const problems: Problem[] = [];
    for (const [property, secret] of [
        ["key", key],
        ["controllerKey", controllerKey],
    ] as const) {
        if (secret === undefined || secret.value === UNKNOWN) continue;
        const reason = dhchapKeyProblem(secret.value);
        if (reason !== undefined) problems.push({ path: `${path}.${property}`, reason });
    }
    if (controllerKey !== undefined && controllerKey.value !== UNKNOWN && controllerKey.value === key.value) {
        const reason = "must differ from `key`: else the answer of one side can be played back by the other";
        problems.push({ path: `${path}.controllerKey`, reason });
    }
    return problems;
}

/** CRC-32 of IEEE 802.3. (`zlib.crc32` is there from Node.js 20.15 on.) */
function crc32(data: Buffer): number {
    let crc = ~0;
    for (const byte of data) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
}
