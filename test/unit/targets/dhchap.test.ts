import { describe, expect, test } from "vitest";
import { Secret } from "../../../provider/sh";
import { deriveDhchapKey, dhchapKeyProblem, dhchapProblems } from "../../../provider/targets/dhchap";
import { UNKNOWN } from "../../../provider/validate";

/**
 * Keys of NVMe in-band authentication. Texts are of Python's `base64` and `zlib.crc32` (little endian), made keys of its
 * `hmac` by RFC 5869, so none is of the code that is tried here.
 */

/** The bytes 0, 1, 2 … as a key without a hash, by their number. */
const COUNTING: Readonly<Record<number, string>> = {
    16: "AAECAwQFBgcICQoLDA0OD4jizs4=",
    31: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHndteE0=",
    32: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR",
    33: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gBYOQ5A==",
    48: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==",
    64: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P4zODhA=",
    65: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0DYb8BA",
};
const key = (hash: string, bytes: number) => `DHHC-1:${hash}:${COUNTING[bytes] ?? ""}:`;
const KEY = key("00", 32);

describe("a key", () => {
    test.each([
        ["00", 32],
        ["00", 48],
        ["00", 64],
        ["01", 32],
        ["02", 48],
        ["03", 64],
    ])("with hash %s, of %i bytes", (hash, bytes) => {
        expect(dhchapKeyProblem(key(hash, bytes))).toBeUndefined();
    });

    test.each<[string, string, RegExp]>([
        ["of no form", "", /its last colon included/],
        ["with no last colon", KEY.slice(0, -1), /its last colon included/],
        ["with something after it", `${KEY}\n`, /its last colon included/],
        ["with something before it", ` ${KEY}`, /its last colon included/],
        ["of another version", KEY.replace("DHHC-1", "DHHC-2"), /gen-dhchap-key/],
        ["in lower case", KEY.replace("DHHC", "dhhc"), /gen-dhchap-key/],
        ["that is empty", "DHHC-1:00::", /gen-dhchap-key/],
        ["with hash 04", key("04", 64), /has the hash "04"/],
        ["with hash 1", key("1", 32), /has no hash in its second place/],
        ["with no hash", key("", 32), /has no hash in its second place/],
        [
            "with hash and key exchanged",
            `DHHC-1:${COUNTING[32] ?? ""}:00:`,
            /has no hash in its second place/,
        ],
        ["of 32 bytes under 02", key("02", 32), /has 32 bytes; a key for SHA-384 \(02\) has 48$/],
        ["of 48 bytes under 01", key("01", 48), /has 48 bytes; a key for SHA-256 \(01\) has 32$/],
        ["of 32 bytes under 03", key("03", 32), /has 32 bytes; a key for SHA-512 \(03\) has 64$/],
        ["of 16 bytes", key("00", 16), /has 16 bytes; a key without a hash has 32, 48 or 64$/],
        ["of 31 bytes", key("00", 31), /has 31 bytes/],
        ["of 33 bytes", key("00", 33), /has 33 bytes/],
        ["of 65 bytes", key("00", 65), /has 65 bytes/],
        ["shorter than its checksum", "DHHC-1:00:AAEC:", /has 0 bytes/],
        ["with one bit off", KEY.replace("AAEC", "AAED"), /checksum/],
        ["with its checksum off", KEY.replace("iaR:", "iaS:"), /checksum/],
        // As Python's struct.pack(">I") has it.
        [
            "with its checksum the other way round",
            "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+RJn6K:",
            /checksum/,
        ],
        ["with a character missing", KEY.replace("AAEC", "AAE"), /base64/],
        ["with its filling missing", key("02", 48).replace("==:", ":"), /base64/],
        ["in base64 for URLs", KEY.replace("+", "-"), /base64/],
        ["with a space in it", KEY.replace("AAEC", "AA C"), /base64/],
        ["with a quote in it", KEY.replace("AAEC", "AA'C"), /base64/],
    ])("%s is none", (_, text, reason) => {
        const problem = dhchapKeyProblem(text);
        expect(problem).toMatch(reason);
        // Nothing of it is quoted but its hash.
        expect(problem).not.toMatch(/AAE|gISI/);
    });
});

describe("a host's keys", () => {
    const at = "initiators[0].dhchap";
    test.each<[string, string, string | undefined, string[]]>([
        ["one", KEY, undefined, []],
        ["two", KEY, key("03", 64), []],
        ["the same twice", KEY, KEY, [`${at}.controllerKey`]],
        ["two that are none", "a", "b", [`${at}.key`, `${at}.controllerKey`]],
        ["one that is none, twice", "a", "a", [`${at}.key`, `${at}.controllerKey`, `${at}.controllerKey`]],
        ["none known yet", UNKNOWN, UNKNOWN, []],
        ["one known", UNKNOWN, "b", [`${at}.controllerKey`]],
        ["the other known", "a", UNKNOWN, [`${at}.key`]],
    ])("%s", (_, own, controllerKey, expected) => {
        const keys = {
            key: new Secret(own),
            ...(controllerKey === undefined ? {} : { controllerKey: new Secret(controllerKey) }),
        };
        expect(dhchapProblems(keys, at).map(({ path }) => path)).toEqual(expected);
    });
});

describe("a key made from a secret", () => {
    const secret = "0123456789abcdef0123456789abcdef";
    const purpose = "nqn.2024-01.com.example:db1";

    test.each([
        [32, "DHHC-1:01:1g/UY/MjnRkhKzSmqBQU+RNnLLP3GHAllExrMsW2U/d2+rv9:"],
        [48, "DHHC-1:02:1g/UY/MjnRkhKzSmqBQU+RNnLLP3GHAllExrMsW2U/e7G8F9f3+ZXaOg2FRsQvRe3gDfkQ==:"],
        [
            64,
            "DHHC-1:03:1g/UY/MjnRkhKzSmqBQU+RNnLLP3GHAllExrMsW2U/e7G8F9f3+ZXaOg2FRsQvRevtvBdR7rknPN/vhQDIIUastdyto=:",
        ],
    ] as const)("of %i bytes is the same for ever", (bytes, expected) => {
        expect(deriveDhchapKey(secret, purpose, bytes)).toBe(expected);
        expect(dhchapKeyProblem(expected)).toBeUndefined();
    });

    test("has 32 bytes where nothing else is said, and another purpose or secret makes another", () => {
        const made = deriveDhchapKey(secret, purpose);
        expect(made).toBe(deriveDhchapKey(secret, purpose, 32));
        expect(deriveDhchapKey(secret, `${purpose}x`)).not.toBe(made);
        expect(deriveDhchapKey(`${secret}x`, purpose)).not.toBe(made);
    });

    test("of a secret with 32 bytes in 16 characters", () => {
        expect(deriveDhchapKey("ä".repeat(16), "")).toBe(
            "DHHC-1:01:ExLwx+0p89fNuo38rdB0HV5A+iQON19oRJCKQAHbSUV48RpD:",
        );
    });

    test("of a shorter secret there is none, and it is not quoted", () => {
        const short = secret.slice(1);
        expect(() => deriveDhchapKey(short, purpose)).toThrow(/at least 32 bytes/);
        expect(() => deriveDhchapKey(short, purpose)).not.toThrow(short);
    });

    test.each([0, 31, 33, 65, NaN])("of %d bytes there is none", (bytes) => {
        expect(() => deriveDhchapKey(secret, purpose, bytes as 32)).toThrow(/32, 48 or 64 bytes/);
    });
});
