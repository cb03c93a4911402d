import { execFileSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import * as iscsi from "../../tools/iscsi.mjs";

/** The initiator that other tests rely on, against a target made by hand. */

const iqn = "iqn.2024-01.com.example:by-hand";
const initiator = "iqn.2024-01.com.example:db1";
const chap = { username: "db1", password: "secretsecret1" };
const MiB = 1024 * 1024;

let host: EmbeddedHost;
let file: string;
let lun: iscsi.Lun;

function tgtadm(args: string): string {
    const controlPort = String(host.tgt?.controlPort);
    return execFileSync("tgtadm", ["-C", controlPort, "--lld", "iscsi", ...args.split(" ")], {
        encoding: "utf8",
    });
}

beforeAll(async () => {
    host = await startEmbeddedHost();
    file = `${host.directory}/volume`;
    writeFileSync(file, "");
    truncateSync(file, 64 * MiB);
    lun = { portal: host.tgt?.portal ?? "", iqn, lun: 1, initiator, chap };
    for (const args of [
        `--mode target --op new --tid 1 --targetname ${iqn}`,
        `--mode logicalunit --op new --tid 1 --lun 1 --backing-store ${file}`,
        `--mode account --op new --user db1 --password ${chap.password}`,
        "--mode account --op bind --tid 1 --user db1",
        "--mode account --op new --user target --password mutualsecret2",
        "--mode account --op bind --tid 1 --user target --outgoing",
        `--mode target --op bind --tid 1 --initiator-name ${initiator}`,
    ]) {
        tgtadm(args);
    }
});
afterAll(() => host.stop());

test("what it writes is in the file, and it reads what is there", async () => {
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) % 256));
    await iscsi.write(lun, { offset: 8192, bytes });
    expect(
        readFileSync(file)
            .subarray(8192, 8192 + 4096)
            .equals(bytes),
    ).toBe(true);
    expect((await iscsi.read(lun, { offset: 8192, length: 4096 })).equals(bytes)).toBe(true);
});

test("a pattern is written and recognised", async () => {
    await iscsi.write(lun, { offset: MiB, length: 65_536, pattern: 0xab });
    expect(await iscsi.holds(lun, { offset: MiB, length: 65_536, pattern: 0xab })).toBe(true);
    expect(await iscsi.holds(lun, { offset: MiB - 512, length: 1024, pattern: 0xab })).toBe(false);
});

test("says capacity and serial number", async () => {
    expect(await iscsi.capacity(lun)).toBe(64 * MiB);
    expect(await iscsi.serial(lun)).toBe("beaf11");
});

test("discovers targets", async () => {
    expect(await iscsi.discover(lun.portal, { initiator })).toEqual([iqn]);
});

test("discovers nothing where there is no target, and says so where there is no portal", async () => {
    const other = await startEmbeddedHost();
    const portal = other.tgt?.portal ?? "";
    expect(await iscsi.discover(portal)).toEqual([]);
    await other.stop();
    await expect(iscsi.discover(portal)).rejects.toThrow(/cannot discover/);
});

test.each([
    ["the wrong password", { chap: { ...chap, password: "wrongwrong12" } }, /Authentication failure/],
    ["no password", { chap: undefined }, /Authentication failure/],
    ["an initiator that is not allowed", { initiator: "iqn.2024-01.com.example:db2" }, /Target not found/],
    ["a target that is not there", { iqn: `${iqn}2` }, /Target not found/],
    ["a LUN that is not there", { lun: 7 }, /LOGICAL_UNIT_NOT_SUPPORTED/],
    [
        "a target that cannot prove who it is",
        { mutual: { username: "target", password: "wrongwrong12" } },
        /CHAP_R/,
    ],
])("is refused with %s", async (_, difference, reason) => {
    const { chap: _chap, ...rest } = { ...lun, ...difference };
    const other = { ...rest, ...(_chap && { chap: _chap }) };
    expect(await iscsi.login(other)).toEqual({ ok: false, reason: expect.stringMatching(reason) as string });
    if (!("mutual" in other))
        await expect(iscsi.read(other, { offset: 0, length: 512 })).rejects.toThrow(reason);
});

test("both sides prove who they are", async () => {
    const mutual = { username: "target", password: "mutualsecret2" };
    expect(await iscsi.login({ ...lun, mutual })).toMatchObject({ ok: true });
});

test("takes os-brick's connection properties", async () => {
    const taken = iscsi.lunOf(
        {
            driver_volume_type: "iscsi",
            data: {
                target_portal: lun.portal,
                target_iqn: iqn,
                target_lun: 1,
                auth_method: "CHAP",
                auth_username: chap.username,
                auth_password: chap.password,
            },
        },
        initiator,
    );
    expect(taken).toEqual(lun);
});

test("a session stays logged in until it is closed", async () => {
    const session = await iscsi.openSession(lun);
    await session.do("write -P 0x11 0 512");
    expect(tgtadm("--mode conn --op show --tid 1")).toContain(initiator);
    expect(await session.do("read -P 0x11 0 512")).toContain("read 512/512");
    await session.close();
    await expect.poll(() => tgtadm("--mode conn --op show --tid 1"), { interval: 10 }).toBe("");
});

test("a session that cannot be opened says why", async () => {
    await expect(iscsi.openSession({ ...lun, lun: 7 })).rejects.toThrow(/LOGICAL_UNIT_NOT_SUPPORTED/);
});

test("its own secret is not in the process list", async () => {
    const session = await iscsi.openSession(lun);
    const argv = readFileSync(`/proc/${session.pid ?? 0}/cmdline`, "utf8");
    await session.close();
    expect(argv).toContain(iqn);
    expect(argv).not.toContain(chap.password);
});
