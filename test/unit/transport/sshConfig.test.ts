import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveHost } from "../../../provider/transport/sshConfig";
import type { TransportConfig } from "../../../provider/transport/types";

let home: string;
beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "blockhost-config-"));
    mkdirSync(join(home, ".ssh/conf.d"), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(home, ".ssh", name), text);
const resolve = (address: string, more: Partial<TransportConfig> = {}, env: NodeJS.ProcessEnv = {}) =>
    resolveHost({ name: "san1", address, ...more }, { HOME: home, ...env });

describe("without ssh_config", () => {
    it("port 22, this user, the usual known_hosts", async () => {
        const host = await resolve("10.0.0.5", {}, { SSH_AUTH_SOCK: "/agent" });
        expect(host).toMatchObject({
            host: "10.0.0.5",
            port: 22,
            user: userInfo().username,
            agent: "/agent",
            jump: [],
            hostKeys: [],
        });
        expect(host.knownHostsFiles[0]).toBe(join(home, ".ssh/known_hosts"));
    });
});

describe("an alias", () => {
    beforeEach(() => {
        write(
            "config",
            `Include conf.d/*.conf
Host san
  HostName %h.example.com
  User storage
  Port 2222
  IdentityFile ~/.ssh/%r_%h_%p
  IdentityFile %d/two
  IdentitiesOnly yes
  IdentityAgent \${MY_AGENT}
  HostKeyAlias the-san
  UserKnownHostsFile ~/a "%d/b c"
Host through
  ProxyJump admin@one:2200,ssh://two,[fe80::1]:23
Host circle
  ProxyJump circle
Host direct
  ProxyJump none
  ProxyCommand none
Host command
  ProxyCommand nc %h %p
Match exec "exit 0"
  User wrong
`,
        );
    });

    it("gives what it says, tokens and variables replaced", async () => {
        expect(await resolve("san", {}, { MY_AGENT: "/tmp/agent" })).toMatchObject({
            host: "san.example.com",
            user: "storage",
            port: 2222,
            identityFiles: [join(home, ".ssh/storage_san.example.com_2222"), join(home, "two")],
            identitiesOnly: true,
            agent: "/tmp/agent",
            hostKeyAlias: "the-san",
        });
        const { knownHostsFiles } = await resolve("san");
        expect(knownHostsFiles.slice(0, 2)).toEqual([join(home, "a"), join(home, "b c")]);
    });

    it("comes after what the configuration says", async () => {
        expect(
            await resolve("san", { port: 22, user: "root", knownHostsFile: "~/mine", hostKey: "SHA256:x" }),
        ).toMatchObject({
            port: 22,
            user: "root",
            knownHostsFiles: [join(home, "mine")],
            hostKeys: ["SHA256:x"],
        });
    });

    it("may be included from other files", async () => {
        write("conf.d/one.conf", "Host inc\n  Port 4022\n");
        write("conf.d/ignored", "Host inc\n  Port 1\n");
        expect(await resolve("inc")).toMatchObject({ port: 4022 });
    });

    it("may lead through jump hosts, whose own aliases count", async () => {
        write("conf.d/jump.conf", "Host two\n  HostName 10.0.0.2\n  User hop\n");
        const { jump } = await resolve("through");
        expect(jump.map(({ host, port, user }) => `${user}@${host}:${String(port)}`)).toEqual([
            "admin@one:2200",
            "hop@10.0.0.2:22",
            `${userInfo().username}@fe80::1:23`,
        ]);
    });

    it("may lead nowhere else: jump hosts of the configuration go first, and an empty list means none", async () => {
        const { jump } = await resolve("through", { jump: [{ name: "bastion", address: "b" }] });
        expect(jump.map((hop) => hop.name)).toEqual(["bastion"]);
        expect((await resolve("through", { jump: [] })).jump).toEqual([]);
        expect((await resolve("direct")).jump).toEqual([]);
    });

    it("must not lead in a circle", async () => {
        await expect(resolve("circle")).rejects.toMatchObject({ code: "invalid" });
    });

    it("must not need a command", async () => {
        await expect(resolve("command")).rejects.toMatchObject({ code: "unsupported" });
    });

    it("is not decided by a command either", async () => {
        expect((await resolve("else")).user).toBe(userInfo().username);
    });
});
