// @ts-check
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import ssh2 from "ssh2";

/**
 * @typedef {object} KeyPair
 * @property {string} privateKey in OpenSSH's format
 * @property {string} publicKey one line, as in authorized_keys
 * @property {string} fingerprint `SHA256:…`, as `ssh-keygen -lf` prints it
 */

/** @returns {KeyPair} */
export function generateKeyPair() {
    const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync("ed25519");
    return { privateKey, publicKey, fingerprint: fingerprintOf(publicKey) };
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
