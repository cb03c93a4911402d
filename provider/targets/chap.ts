import { createHash, scryptSync } from "node:crypto";
import { UNKNOWN } from "../validate";
import type { Chap } from "./types";

/** CHAP credentials. Source: RFC 7143, section 12.1.3 and 9.2.1; RFC 1994. */

/** Bytes a secret needs where the connection is not under IPsec (RFC 7143, 9.2.1: 96 bits). */
export const CHAP_SECRET_MIN_LENGTH = 12;
/** Bytes that the helpers can take. */
export const CHAP_SECRET_MAX_LENGTH = 255;
/** What initiators and targets agree on in user names; no comma or space, so that every tool can carry them. */
export const CHAP_USERNAME = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,62}$/;
export const CHAP_USERNAME_RULE =
    "must be 1 to 63 letters, digits, `_`, `.`, `:`, `@` or `-`, and start with a letter or a digit";

export interface Problem {
    readonly path: string;
    readonly reason: string;
}

/** What is wrong with credentials; a secret is never quoted in a reason. */
export function chapProblems(chap: Chap, path: string, maxSecretLength: number): Problem[] {
    const problems: Problem[] = [];
    const { username } = chap;
    const secret = chap.password.value;
    if (username !== UNKNOWN && !CHAP_USERNAME.test(username)) {
        problems.push({
            path: `${path}.username`,
            reason: CHAP_USERNAME_RULE,
        });
    }
    if (secret === UNKNOWN) return problems;
    const length = Buffer.byteLength(secret, "utf8");
    if (length < CHAP_SECRET_MIN_LENGTH || length > maxSecretLength) {
        const limits = `${String(CHAP_SECRET_MIN_LENGTH)} to ${String(maxSecretLength)}`;
        const reason = `has ${String(length)} bytes; a CHAP secret has ${limits} (some initiators, Windows among them, take at most 16)`;
        problems.push({ path: `${path}.password`, reason });
    } else if (!/^[\x21-\x7e]*$/.test(secret)) {
        const reason =
            "holds a space or a character outside ASCII, of which initiators have different notions; use letters, digits and punctuation";
        problems.push({ path: `${path}.password`, reason });
    }
    return problems;
}

const fingerprints = new Map<string, string>();

/**
 * Tells whether two places hold the same secret for a user. It is kept in comments of boot files (mode 0600, beside the
 * secret itself) and travels with the facts, so guessing a secret from it is made slow (3 ms a guess).
 */
export function chapFingerprint({ username, password }: Chap): string {
    const key = createHash("sha256").update(`${username}\n${password.value}`).digest("base64");
    let known = fingerprints.get(key);
    if (known === undefined) {
        known = scryptSync(password.value, `blockhost chap ${username}`, 12, {
            N: 1024,
            r: 8,
            p: 1,
        }).toString("hex");
        fingerprints.set(key, known);
    }
    return known;
}
