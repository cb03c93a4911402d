import { createHmac, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fingerprint, keyType, lookup } from "../../../provider/transport/knownHosts";

const key = (text: string) => Buffer.from(text).toString("base64");
/** The names of the keys that a file accepts for a host. */
const accepted = (text: string, host: string, port = 22) =>
    lookup(text, host, port).accepted.map((found) => found.blob.toString());

const hashed = (name: string) => {
    const salt = randomBytes(20);
    return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
};

describe("known_hosts", () => {
    it.each<[string, string, number, boolean]>([
        ["san1", "san1", 22, true],
        ["san1", "SAN1", 22, true],
        ["san1", "san2", 22, false],
        ["san1,10.0.0.5", "10.0.0.5", 22, true],
        ["*.example.com", "san1.example.com", 22, true],
        ["*.example.com", "example.com", 22, false],
        ["san?", "san1", 22, true],
        ["san?", "san12", 22, false],
        ["*,!san1", "san1", 22, false],
        ["!san1,*", "san2", 22, true],
        ["!san1", "san2", 22, false],
        ["[san1]:2222", "san1", 2222, true],
        ["[san1]:2222", "san1", 22, false],
        ["[san1]:2222", "san1", 2223, false],
        ["[fe80::1]:2222", "fe80::1", 2222, true],
        ["san1", "san1", 2222, true],
        ["san.", "sanx", 22, false],
        [hashed("san1"), "san1", 22, true],
        [hashed("san1"), "san2", 22, false],
        [hashed("[san1]:2222"), "san1", 2222, true],
        ["|1|broken", "san1", 22, false],
    ])("%s for %s:%i: %s", (pattern, host, port, found) => {
        expect(accepted(`${pattern} ssh-ed25519 ${key("k")} comment\n`, host, port)).toEqual(
            found ? ["k"] : [],
        );
    });

    it("gives every key of a host, and passes over comments and broken lines", () => {
        const text = `# comment\n\nsan1\nsan1 ssh-rsa\nsan1 ssh-rsa ${key("a")}\n  san1\tssh-ed25519 ${key("b")}\r\n`;
        expect(accepted(text, "san1")).toEqual(["a", "b"]);
    });

    it("an entry with the port goes before one without", () => {
        const text = `san1 ssh-rsa ${key("plain")}\n[san1]:2222 ssh-rsa ${key("port")}\n`;
        expect(accepted(text, "san1", 2222)).toEqual(["port"]);
    });

    it("tells revoked keys apart, and passes over certificate authorities", () => {
        const text = `@revoked * ssh-rsa ${key("bad")}\n@cert-authority * ssh-rsa ${key("ca")}\n`;
        const found = lookup(text, "san1", 22);
        expect(found.accepted).toEqual([]);
        expect(found.revoked.map(({ blob }) => blob.toString())).toEqual(["bad"]);
    });
});

it("a fingerprint is ssh-keygen's", () => {
    const line = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    expect(fingerprint(Buffer.from(line, "base64"))).toBe(
        "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
    );
    expect(keyType(Buffer.from(line, "base64"))).toBe("ssh-ed25519");
    expect(keyType(Buffer.alloc(2))).toBe("unknown");
});
