import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { generateKeyPair, keyPairIn } from "../../../tools/embedded-host/keys.mjs";

test("every key can be read by ssh2, and both halves belong together", () => {
    for (let i = 0; i < 2000; i++) {
        const pair = generateKeyPair();
        const parsed = ssh2.utils.parseKey(pair.privateKey);
        if (parsed instanceof Error) throw parsed;
        expect(`ssh-ed25519 ${parsed.getPublicSSH().toString("base64")}`).toBe(pair.publicKey);
    }
});

test("OpenSSH reads them, and sees the same fingerprint", () => {
    const directory = mkdtempSync(join(tmpdir(), "blockhost-keys-"));
    const file = join(directory, "key");
    const pair = keyPairIn(file);
    const publicKey = execFileSync("ssh-keygen", ["-y", "-P", "", "-f", file], { encoding: "utf8" });
    expect(publicKey.trim()).toBe(pair.publicKey);
    expect(execFileSync("ssh-keygen", ["-lf", file], { encoding: "utf8" })).toContain(pair.fingerprint);
    expect(keyPairIn(file)).toEqual(pair);
    rmSync(directory, { recursive: true });
});
