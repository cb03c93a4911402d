// @ts-check
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * @typedef {object} KeyPair
 * @property {string} privateKey in OpenSSH's format
 * @property {string} publicKey one line, as in authorized_keys
 * @property {string} fingerprint `SHA256:…`, as `ssh-keygen -lf` prints it
 */

const type = Buffer.from("ssh-ed25519");

/**
 * A new ed25519 key pair. Not by ssh2's own generator, which drops leading zero bytes: one key in 256 cannot be read.
 *
 * @returns {KeyPair}
 */
export function generateKeyPair() {
    const { x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
    const point = Buffer.from(x ?? "", "base64url");
    const seed = Buffer.from(d ?? "", "base64url");
    const blob = strings(type, point);
    const publicKey = `ssh-ed25519 ${blob.toString("base64")}`;

    // The format is described in OpenSSH's PROTOCOL.key.
    const check = randomBytes(4);
    const secret = Buffer.concat([
        check,
        check,
        strings(type, point, Buffer.concat([seed, point]), Buffer.alloc(0)),
    ]);
    const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8));
    const file = Buffer.concat([
        Buffer.from("openssh-key-v1\0"),
        strings(Buffer.from("none"), Buffer.from("none"), Buffer.alloc(0)),
        uint32(1),
        strings(blob, Buffer.concat([secret, padding])),
    ]);
    const lines = file.toString("base64").replace(/.{70}/g, "$&\n");
    const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
    return { privateKey, publicKey, fingerprint: fingerprintOf(publicKey) };
}

/** Each with its length before it. @param {...Buffer} parts */
function strings(...parts) {
    return Buffer.concat(parts.flatMap((part) => [uint32(part.length), part]));
}

/** @param {number} value */
function uint32(value) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
}

/**
 * The key pair kept in a file (and `.pub` beside it), made when it is not there: a host that is started again in the
 * same directory is the same host.
 *
 * @param {string} file
 * @returns {KeyPair}
 */
export function keyPairIn(file) {
    if (!existsSync(file)) writeKeyPair(file, generateKeyPair());
    const publicKey = readFileSync(`${file}.pub`, "utf8").trim();
    return { privateKey: readFileSync(file, "utf8"), publicKey, fingerprint: fingerprintOf(publicKey) };
}

/**
 * @param {string} file
 * @param {KeyPair} pair
 */
export function writeKeyPair(file, pair) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.pub`, `${pair.publicKey}\n`);
    writeFileSync(file, pair.privateKey, { mode: 0o600 });
}

/** @param {string} publicKey */
function fingerprintOf(publicKey) {
    const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
    return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
