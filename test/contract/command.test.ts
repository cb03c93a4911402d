import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readlinkSync,
    rmSync,
    unlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { HostStatus } from "../../provider/cli/hostStatus";
import { encodeMark } from "../../provider/host/mark";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { main } from "../../provider/cli/main";
import { blockhost as run } from "../support/command";
import { Client, HOST, POOL, id } from "../support/client";

/** The command `blockhost`, on a host whose volumes are files and whose exports tgtd serves. */

let host: EmbeddedHost;
let client: Client;
let folder: string;

beforeAll(async () => {
    host = await startEmbeddedHost();
    client = new Client(host);
    folder = mkdtempSync(join(tmpdir(), "blockhost-command-"));
});
afterEach(() => {
    vi.restoreAllMocks();
});
afterAll(async () => {
    await client.close();
    await host.stop();
    rmSync(folder, { recursive: true, force: true });
});

/** Runs the command with a stack's file that names the host. */
const blockhost = (args: readonly string[], more: Record<string, unknown> = {}) =>
    run(folder, { [HOST]: host.configuration(), ...more }, args);

async function statusOf(args: readonly string[] = [], more: Record<string, unknown> = {}) {
    const { status, stdout } = await blockhost(["status", "--json", ...args], more);
    const { level, hosts } = JSON.parse(stdout) as { level: string; hosts: HostStatus[] };
    return { status, level, hosts, host: hosts[0] as HostStatus };
}

describe("status", () => {
    test("of a host with nothing wrong is ok", async () => {
        await client.volume("one");
        await client.export("lun", "one");
        const { status, stdout } = await blockhost(["status"]);
        expect(status).toBe(0);
        expect(stdout).toMatch(/^BLOCKHOST OK: 1 host as declared\n/);
        expect(stdout).toMatch(/pool fast \(file\): .* free of .*, 4 MiB provisioned/);
        expect(stdout).toContain("exports: 1, all as declared");
        const { host: seen } = await statusOf();
        expect(seen.exports).toMatchObject([{ id: `${HOST}/iscsi/lun`, level: "ok" }]);
        expect(seen.pools[0]?.capacity?.provisionedBytes).toBe(4 * 1024 ** 2);
    });

    test("tells what is attached to the host, and that it is not as declared", async () => {
        const folder = join(host.configuration().stateDirectory, "attachments");
        const owner = client.owner("disk");
        const declared = {
            protocol: "iscsi",
            target: "iqn.2024-01.com.example:pg:00000000",
            portals: ["127.0.0.1:3260"],
            unit: 0,
            multipath: "prefer",
            paths: "one",
            initiator: "iqn.2024-01.com.example:db1",
            digest: "0",
        };
        const { generation, phase } = { generation: "0123456789abcdef", phase: "ready" } as const;
        const mark = encodeMark({
            kind: "attachment",
            owner: { installation: "default", ...owner },
            generation,
            phase,
            extra: {},
        });
        mkdirSync(folder, { recursive: true });
        const lines = [
            "#!/bin/sh",
            "# Attachment",
            `#bh mark ${mark}`,
            "#bh applied 1",
            "#bh size 1048576",
            `#bh target ${declared.target}`,
            "#bh accounts ",
            `#bh declared ${JSON.stringify(declared)}`,
        ];
        writeFileSync(join(folder, "disk"), `${lines.join("\n")}\n`, { mode: 0o600 });
        const { stdout } = await blockhost(["status"]);
        expect(stdout).toContain("attachments: 1, 1 not as declared");
        expect(stdout).toContain(`${HOST}/attachment/disk [critical]: missing: no session`);
        const { host: seen } = await statusOf();
        expect(seen.attachments).toMatchObject([{ id: `${HOST}/attachment/disk`, level: "critical" }]);
        rmSync(join(folder, "disk"));
        expect((await statusOf()).host.attachments).toEqual([]);
    });

    test("tells what a state does not know, and what is left of a volume", async () => {
        await client.volume("two");
        await client.snapshot("before", "two");
        const state = join(folder, "state.json");
        const owner = { organization: "acme", project: "shop", stack: "test" };
        const resources = ["one", "two"].map((name) => ({
            type: "pulumi-nodejs:dynamic/blockhost:Volume",
            id: id(name),
            outputs: { owner: { ...owner, resource: name } },
        }));
        writeFileSync(state, JSON.stringify({ version: 3, deployment: { resources } }));
        const { status, host: seen } = await statusOf(["--state", state]);
        expect(status).toBe(1);
        expect(seen.orphans.map((orphan) => orphan.id).sort()).toEqual([id("before"), `${HOST}/iscsi/lun`]);
        unlinkSync(join(host.poolDirectories[POOL] ?? "", "two.img"));
        const without = await statusOf();
        expect(without.status).toBe(1);
        expect(without.host.orphans.map(({ id, reason }) => `${id}: ${reason}`)).toContain(
            `${id("two")}: its data is gone`,
        );
    });

    test("of an export that is not served is critical", async () => {
        await host.stopTgtd();
        const { status, host: seen } = await statusOf();
        expect(status).toBe(2);
        expect(seen.level).toBe("critical");
    });

    test("of a host that does not answer, or of no configuration, is unknown", async () => {
        const away = { away: { ...host.configuration(), port: 1, connectTimeout: 500 } };
        const { status, hosts } = await statusOf(["away"], away);
        expect(status).toBe(3);
        expect(hosts).toMatchObject([{ name: "away", level: "unknown" }]);
        const missing = await main(["status", "--config", join(folder, "nosuch.yaml")]);
        expect(missing).toBe(3);
    });
});

describe("import-file", () => {
    test("lists what the host holds, with hosts from a stack's file; of one stack where it is named", async () => {
        const volume = { type: "blockhost:index:Volume", id: id("one") };
        const all = await blockhost(["import-file", HOST]);
        expect(all).toMatchObject({ status: 0, stderr: "" });
        const { resources } = JSON.parse(all.stdout) as { resources: object[] };
        expect(resources).toContainEqual({ ...volume, name: "one" });
        const of = async (stack: string) => (await blockhost(["import-file", HOST, "--of", stack])).stdout;
        expect(JSON.parse(await of("acme/shop/test"))).toEqual({ resources });
        expect(JSON.parse(await of("shop/another"))).toEqual({ resources: [] });
        expect(await blockhost(["import-file", HOST, "--of", "test"])).toMatchObject({
            status: 1,
            stderr: expect.stringContaining("[ORGANIZATION/]PROJECT/STACK") as string,
        });
    });
});

describe("uninstall", () => {
    test("says what it would do, and does nothing unless it is confirmed", async () => {
        const { stateDirectory } = host.configuration() as { stateDirectory: string };
        const asked = await blockhost(["uninstall", HOST]);
        expect(asked.status).toBe(1);
        expect(asked.stdout).toContain("export iscsi/lun");
        expect(asked.stdout).toContain(stateDirectory);
        const refused = await blockhost(["uninstall", HOST, "--yes"]);
        expect(refused.status).toBe(1);
        expect(refused.stderr).toContain("in-use");
        expect(existsSync(join(stateDirectory, "exports"))).toBe(true);
    });

    test("removes what is ours and leaves the data, marks too where they are asked for", async () => {
        const { stateDirectory } = host.configuration() as { stateDirectory: string };
        const pool = host.poolDirectories[POOL] ?? "";
        writeFileSync(join(stateDirectory, "theirs"), "x");
        const kept = await blockhost(["uninstall", HOST, "--force", "--yes"]);
        expect(kept.stderr).toContain("not ours");
        rmSync(join(stateDirectory, "theirs"));
        const { status, stdout, stderr } = await blockhost(["uninstall", HOST, "--force", "--yes"]);
        expect(stderr).toBe("");
        expect(status).toBe(0);
        expect(stdout).toContain("owner marks of");
        expect(existsSync(stateDirectory)).toBe(false);
        expect(existsSync(join(pool, "one.img"))).toBe(true);
        expect(readlinkSync(join(pool, ".blockhost", "marks", "one"))).toContain("kind:volume");
        const marks = await blockhost(["uninstall", HOST, "--marks", "--force", "--yes"]);
        expect(marks.stderr).toBe("");
        expect(marks.stdout).toContain(id("one"));
        expect(readdirSync(pool).sort()).toEqual(["before.img", "one.img"]);
        expect(existsSync(stateDirectory)).toBe(false);
    });
});
