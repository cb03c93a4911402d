/** Who the host is, who we are, and the way there: host keys, logging in, jump hosts, ssh_config. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
    copyFileSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { BlockhostError } from "../../provider/errors";
import { createTransport } from "../../provider/transport";
import { fingerprint } from "../../provider/transport/knownHosts";
import type { TransportConfig } from "../../provider/transport/types";
import { startPasswordServer } from "./support/passwordServer";
import { eventually } from "./support/processes";
import { fingerprintOf, keygen, startSshd, type TestSshd } from "./support/sshd";

let sshd: TestSshd;
let dir: string;
let count = 0;

beforeAll(async () => {
    sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "blockhost-home-"));
    mkdirSync(join(dir, ".ssh"));
    vi.stubEnv("HOME", dir);
    vi.stubEnv("SSH_AUTH_SOCK", undefined);
});
afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
});

async function attempt(config: TransportConfig): Promise<string> {
    const transport = createTransport(config);
    try {
        return (await transport.run("echo in")).stdout;
    } finally {
        await transport.close();
    }
}

async function refusal(config: TransportConfig): Promise<BlockhostError> {
    const error: unknown = await attempt(config).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BlockhostError);
    return error as BlockhostError;
}

/** A file in the test's home. */
function file(name: string, text: string): string {
    const path = join(dir, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
}

const unpinned = (more: Partial<TransportConfig> = {}) => sshd.config({ hostKey: undefined, ...more });
const entry = (type: string, where = `[127.0.0.1]:${String(sshd.port)}`) =>
    `${where} ${sshd.publicKey(type)}\n`;

describe("host key", () => {
    it.each(["ed25519", "ecdsa", "rsa"])("a fingerprint of the %s key is enough", async (type) => {
        expect(await attempt(sshd.config({ hostKey: sshd.fingerprints[type] }))).toBe("in\n");
    });

    it("one of several fingerprints is enough", async () => {
        const hostKey = [`SHA256:${"A".repeat(43)}`, sshd.fingerprints["rsa"] ?? ""];
        expect(await attempt(sshd.config({ hostKey }))).toBe("in\n");
    });

    it("an unknown one is refused and shown", async () => {
        const error = await refusal(unpinned());
        expect(error.code).toBe("host-key");
        expect(error.message).toContain(
            `is not known: it shows ssh-ed25519 ${sshd.fingerprints["ed25519"] ?? ""}`,
        );
        expect(error.message).toContain(`hostKey: ${sshd.fingerprints["ed25519"] ?? ""}`);
        expect(error.message).toContain('on host "san1"');
    });

    it("one that is not the configured one is refused with both", async () => {
        const wrong = `SHA256:${"A".repeat(43)}`;
        const error = await refusal(sshd.config({ hostKey: wrong }));
        expect(error.code).toBe("host-key");
        expect(error.message).toContain(wrong);
        expect(error.message).toContain(sshd.fingerprints["ed25519"]);
    });

    it.each(["ed25519", "ecdsa", "rsa"])(
        "known_hosts with the %s key only: that key is asked for",
        async (type) => {
            file(".ssh/known_hosts", `# mine\n\n${entry(type)}`);
            expect(await attempt(unpinned())).toBe("in\n");
        },
    );

    it("known_hosts with hashed names", async () => {
        const path = file(".ssh/known_hosts", entry("ed25519"));
        execFileSync("ssh-keygen", ["-q", "-H", "-f", path], { stdio: "ignore" });
        expect(readFileSync(path, "utf8")).toMatch(/^\|1\|/);
        expect(await attempt(unpinned())).toBe("in\n");
    });

    it("a known_hosts file of its own", async () => {
        const knownHostsFile = file("hosts", entry("ed25519"));
        expect(await attempt(unpinned({ knownHostsFile }))).toBe("in\n");
    });

    it("one that differs from known_hosts is refused with both, whatever its type", async () => {
        const other = join(dir, "other");
        keygen(other, "ed25519");
        const [type = "", base64 = ""] = readFileSync(`${other}.pub`, "utf8").split(" ");
        file(".ssh/known_hosts", `[127.0.0.1]:${String(sshd.port)} ${type} ${base64}\n`);
        const error = await refusal(unpinned());
        expect(error.code).toBe("host-key");
        expect(error.message).toContain("has changed");
        expect(error.message).toContain(sshd.fingerprints["ed25519"]);
        expect(error.message).toContain(fingerprintOf(other));
        expect(error.message).toContain("ssh-keygen -R");
    });

    it("a revoked one is refused even if it is known", async () => {
        file(".ssh/known_hosts", `${entry("ed25519")}@revoked * ${sshd.publicKey("ed25519")}\n`);
        expect((await refusal(unpinned())).message).toContain("@revoked");
    });

    it("is never tried again", async () => {
        const error = await refusal(unpinned());
        expect(error.code).toBe("host-key");
    });
});

describe("logging in", () => {
    it("refuses a key that the host does not know, and says which was offered", async () => {
        const key = join(dir, "stranger");
        keygen(key, "ed25519");
        const error = await refusal(sshd.config({ privateKeyFile: key }));
        expect(error.code).toBe("auth");
        expect(error.message).toContain(key);
        expect(error.message).toContain(fingerprintOf(key));
        expect(error.message).toContain("authorized_keys");
    });

    it("says that a key file is missing", async () => {
        const error = await refusal(sshd.config({ privateKeyFile: join(dir, "none") }));
        expect(error).toMatchObject({ code: "auth" });
        expect(error.message).toMatch(/none cannot be read \(ENOENT\)/);
    });

    it("says that there was nothing to offer", async () => {
        const error = await refusal(sshd.config({ privateKeyFile: undefined }));
        expect(error).toMatchObject({ code: "auth" });
        expect(error.message).toContain("nothing to offer");
    });

    it.each(["ed25519", "rsa", "ecdsa"])("takes a usual file, %s, with a passphrase", async (type) => {
        const path = join(dir, ".ssh", `id_${type}`);
        keygen(path, type, "open sesame");
        admit(path);
        vi.stubEnv("TEST_PASSPHRASE", "open sesame");
        expect(
            await attempt(sshd.config({ privateKeyFile: undefined, passphraseEnv: "TEST_PASSPHRASE" })),
        ).toBe("in\n");
    });

    it("names the variable of a passphrase that is not set, and not the passphrase that is wrong", async () => {
        const key = join(dir, "locked");
        keygen(key, "ed25519", "open sesame");
        admit(key);
        const config = sshd.config({ privateKeyFile: key, passphraseEnv: "TEST_PASSPHRASE" });
        expect((await refusal(config)).message).toContain("TEST_PASSPHRASE (passphraseEnv) is not set");
        vi.stubEnv("TEST_PASSPHRASE", "wrong-secret");
        const error = await refusal(config);
        expect(error.code).toBe("auth");
        expect(error.message).toContain("does not open it");
        expect(error.message).not.toContain("wrong-secret");
    });

    it("takes a key from the environment, and names the variable when it is missing", async () => {
        const config = sshd.config({ privateKeyFile: undefined, privateKeyEnv: "TEST_KEY" });
        expect((await refusal(config)).message).toContain("TEST_KEY (privateKeyEnv) is not set");
        vi.stubEnv("TEST_KEY", readFileSync(sshd.keyFile, "utf8"));
        expect(await attempt(config)).toBe("in\n");
    });

    describe("with an agent", () => {
        let agent: ChildProcess;
        beforeEach(async () => {
            const socket = join(dir, "agent");
            agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
            await eventually(() => existsSync(socket));
            vi.stubEnv("SSH_AUTH_SOCK", socket);
        });
        afterEach(() => agent.kill());

        it("takes its keys", async () => {
            execFileSync("ssh-add", ["-q", sshd.keyFile], { env: process.env });
            expect(await attempt(sshd.config({ privateKeyFile: undefined }))).toBe("in\n");
        });

        it("takes from it the key of an encrypted file", async () => {
            const locked = join(dir, "locked");
            copyFileSync(sshd.keyFile, locked);
            copyFileSync(`${sshd.keyFile}.pub`, `${locked}.pub`);
            execFileSync("ssh-add", ["-q", locked], { env: process.env, stdio: "ignore" });
            execFileSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", "secret", "-f", locked], {
                stdio: "ignore",
            });
            expect(await attempt(sshd.config({ privateKeyFile: locked }))).toBe("in\n");
        });

        it("goes on to the usual files when it has none", async () => {
            copyFileSync(sshd.keyFile, join(dir, ".ssh/id_ed25519"));
            expect(await attempt(sshd.config({ privateKeyFile: undefined }))).toBe("in\n");
        });

        it("goes on when the agent is gone", async () => {
            vi.stubEnv("SSH_AUTH_SOCK", join(dir, "nobody"));
            copyFileSync(sshd.keyFile, join(dir, ".ssh/id_ed25519"));
            expect(await attempt(sshd.config({ privateKeyFile: undefined }))).toBe("in\n");
        });
    });

    it.each([false, true])("takes a password (keyboard-interactive: %s)", async (interactive) => {
        const server = await startPasswordServer("s3cret-word", interactive);
        const config: TransportConfig = {
            name: "san1",
            address: "127.0.0.1",
            port: server.port,
            user: "storage",
            hostKey: fingerprint(server.publicKey),
            passwordEnv: "TEST_PASSWORD",
        };
        expect((await refusal(config)).message).toContain("TEST_PASSWORD (passwordEnv) is not set");
        vi.stubEnv("TEST_PASSWORD", "not-the-word");
        const error = await refusal(config);
        expect(error.code).toBe("auth");
        expect(error.message).toContain("the password in $TEST_PASSWORD");
        expect(error.message).not.toContain("not-the-word");
        vi.stubEnv("TEST_PASSWORD", "s3cret-word");
        expect(await attempt(config)).toBe("in\n");
        await server.stop();
    });
});

describe("the way there", () => {
    it("leads through jump hosts, each with its key verified", async () => {
        const jump = await startSshd();
        const config = sshd.config({ jump: [jump.config({ name: "bastion" })] });
        expect(await attempt(config)).toBe("in\n");
        const wrong = sshd.config({
            jump: [jump.config({ name: "bastion", hostKey: sshd.fingerprints["rsa"] })],
        });
        expect(await refusal(wrong)).toMatchObject({ code: "host-key", details: { host: "bastion" } });
        const inner = sshd.config({
            hostKey: jump.fingerprints["rsa"],
            jump: [jump.config({ name: "bastion" })],
        });
        expect(await refusal(inner)).toMatchObject({ code: "host-key", details: { host: "san1" } });
        await jump.stop();
        const gone = await refusal({ ...config, connectTimeout: 600 });
        expect(gone).toMatchObject({ code: "unreachable", details: { host: "bastion" } });
    });

    it("says so when a jump host cannot reach the host", async () => {
        const jump = await startSshd();
        const dead = await startSshd();
        const config = dead.config({ jump: [jump.config({ name: "bastion" })], connectTimeout: 600 });
        await dead.stopListening();
        const error = await refusal(config);
        expect(error.code).toBe("unreachable");
        expect(error.message).toContain("through the jump host");
        await jump.stop();
        await dead.stop();
    });

    it("is what ssh_config says of an alias", async () => {
        const jump = await startSshd();
        file(
            "alias_hosts",
            `${entry("ed25519")}[127.0.0.1]:${String(jump.port)} ${jump.publicKey("ed25519")}\n`,
        );
        file(".ssh/extra.conf", `Host storage-*\n  User ${userInfo().username}\n`);
        copyFileSync(jump.keyFile, join(dir, ".ssh/jump_key"));
        file(
            ".ssh/config",
            `Include extra.conf
Host storage-one
  HostName 127.0.0.1
  Port ${String(sshd.port)}
  IdentityFile ${sshd.keyFile}
  ProxyJump bastion
Host bastion
  HostName 127.0.0.1
  Port ${String(jump.port)}
  IdentityFile ~/.ssh/jump_key
  User ${userInfo().username}
Host *
  UserKnownHostsFile %d/alias_hosts
`,
        );
        expect(await attempt({ name: "san1", address: "storage-one" })).toBe("in\n");
        expect(jump.log()).toMatch(/Accepted publickey|127\.0\.0\.1/);
        await jump.stop();
    });

    it("prefers what the configuration says to ssh_config", async () => {
        file(
            ".ssh/config",
            `Host san\n  HostName 127.0.0.1\n  Port 1\n  User nobody\n  UserKnownHostsFile none\n`,
        );
        expect(await attempt(sshd.config({ address: "san" }))).toBe("in\n");
    });

    it("refuses a ProxyCommand", async () => {
        file(".ssh/config", "Host san\n  ProxyCommand nc %h %p\n");
        expect(await refusal(sshd.config({ address: "san" }))).toMatchObject({ code: "unsupported" });
    });
});

/** Lets a key in at the server. */
function admit(key: string): void {
    count++;
    const list = join(sshd.dir, "authorized_keys");
    const known = readFileSync(list, "utf8");
    writeFileSync(list, `${known}${readFileSync(`${key}.pub`, "utf8").trim()}-${String(count)}\n`);
}
