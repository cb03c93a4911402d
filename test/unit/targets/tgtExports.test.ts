import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { TgtExtra } from "../../../provider/targets/tgt/model";
import type { ExportWanted } from "../../../provider/targets/types";
import { inquire, Load, qemuIo } from "./initiator";
import { CHAP, CLIENT, mark, OTHER, sleep, TgtHost } from "./tgtHost";

/** Exports against a real tgtd and real initiators. */

const MIB = 1024 * 1024;
let host: TgtHost;

beforeEach(async () => {
    host = await TgtHost.start();
});

afterEach(async () => {
    await host.stop();
});

function login(want: ExportWanted, changes: Partial<Parameters<typeof inquire>[0]> = {}) {
    const target = host.facts(want.name)?.targetName ?? "?";
    return { portal: host.portal, target, initiator: CLIENT, chap: want.initiators[0]?.chap, ...changes };
}

describe("an export", () => {
    test("serves the device to whoever knows the password, and to nobody else", () => {
        const want = host.want("pg");
        host.ensure(want);
        expect(qemuIo(login(want), "write -P 0x5a 4k 8k").output).toMatch(/wrote 8192/);
        const bytes = readFileSync(want.devicePath).subarray(4096, 4096 + 8192);
        expect(bytes.every((byte) => byte === 0x5a)).toBe(true);
        const wrong = { username: "alice", password: new Secret("Sesame-Open-2") };
        expect(inquire(login(want, { chap: wrong })).output).toMatch(/Authentication failure/i);
        expect(inquire(login(want, { chap: undefined })).ok).toBe(false);
        expect(inquire(login(want, { initiator: OTHER })).output).toMatch(/not found/i);
    });

    test("proves itself to initiators that ask (mutual CHAP)", () => {
        const mutual = { username: "the-target", password: new Secret("I-am-the-target") };
        const want = host.want("pg", { initiators: [{ name: CLIENT, chap: CHAP, mutualChap: mutual }] });
        host.ensure(want);
        expect(inquire(login(want, { mutual })).ok).toBe(true);
        const wrong = { ...mutual, password: new Secret("somebody-else-1") };
        expect(inquire(login(want, { mutual: wrong })).ok).toBe(false);
    });

    test("carries every character that a password may have", () => {
        let password = "";
        for (let code = 0x21; code <= 0x7e; code++) password += String.fromCharCode(code);
        const chap = { username: "a.b_c:d@e-f-g.h", password: new Secret(password) };
        const want = host.want("pg", { initiators: [{ name: CLIENT, chap }] });
        host.ensure(want);
        expect(
            qemuIo(
                login(want, { chap: { ...chap, password: new Secret(password.replaceAll(",", ",,")) } }),
                "read 0 512",
            ).ok,
        ).toBe(true);
        expect(readFileSync(`${host.ref.stateDirectory}/exports/iscsi/pg`, "utf8")).not.toContain(password);
    });

    test("admits by address in place of a name", () => {
        const want = host.want("pg", { initiators: [], addresses: ["127.0.0.1/32"] });
        host.ensure(want);
        expect(inquire(login(want, { initiator: OTHER })).ok).toBe(true);
        const elsewhere = { ...want, addresses: ["10.0.0.0/8"] };
        host.ensure(elsewhere);
        expect(inquire(login(want)).ok).toBe(false);
        host.ensure({ ...want, addresses: ["0.0.0.0/0"] });
        expect(inquire(login(want)).ok).toBe(true);
    });

    test("admits an initiator that writes its name in capitals, as declared", () => {
        const want = host.want("pg", { initiators: [{ name: "iqn.2024-01.com.example:DB1" }] });
        host.ensure(want);
        expect(inquire(login(want, { initiator: "iqn.2024-01.com.example:DB1" })).ok).toBe(true);
        expect(inquire(login(want, { initiator: "iqn.2024-01.com.example:db1" })).ok).toBe(true);
    });

    test("refuses writes when read-only", () => {
        const want = host.want("pg", { readOnly: true });
        host.ensure(want);
        expect(qemuIo(login(want), "write 0 4k").output).toMatch(/LUN is write protected/);
        expect(inquire(login(want)).ok).toBe(true);
    });

    test("offers discard when asked to, and says so", () => {
        const want = host.want("pg", { discard: true });
        host.ensure(want);
        qemuIo(login(want), "write -P 1 0 1M");
        const before = statSync(want.devicePath).blocks;
        expect(qemuIo(login(want), "discard 0 1M").output).toMatch(/discard/);
        expect(statSync(want.devicePath).blocks).toBeLessThan(before);
        expect(inquire(login(want), "-e", "1", "-c", "178").output).toMatch(/lbpu:1/i);
    });

    test("has a serial and a WWID of its own generation", () => {
        const want = host.want("pg");
        host.ensure(want);
        const facts = host.facts("pg");
        expect(facts?.serial).toBe("0123456789abcdef");
        expect(inquire(login(want), "-e", "1", "-c", "128").output).toContain("0123456789abcdef");
        host.remove(want);
        const again = host.want("pg", { mark: mark("pg", "fedcba9876543210") });
        host.ensure(again);
        expect(host.facts("pg")?.targetName).not.toBe(facts?.targetName);
        expect(host.facts("pg")?.serial).toBe("fedcba9876543210");
    });

    test("is made once however often it is asked for", () => {
        const want = host.want("pg");
        host.ensure(want);
        expect(isEmpty(tgtTarget.ensure(host.context(), want))).toBe(true);
    });

    test("comes back as it was after tgtd was restarted, by ensure or by its boot file alone", async () => {
        const want = host.want("pg");
        host.ensure(want);
        await host.kill();
        const down = host.observe();
        expect(down.problem?.hint).toContain("tgtd -C");
        expect(down.exports.get("pg")?.differences).toEqual(["unknown: tgtd does not answer"]);
        await host.boot();
        expect(host.facts("pg")?.differences).toEqual(["missing"]);
        const file = `${host.ref.stateDirectory}/exports/iscsi/pg`;
        expect(statSync(file).mode & 0o777).toBe(0o600);
        expect(host.sh(`sh '${file.replaceAll("'", "'\\''")}'`)).toMatchObject({ status: 0, stderr: "" });
        expect(host.facts("pg")?.differences).toEqual([]);
        await host.kill();
        await host.boot();
        host.ensure(want);
        expect(inquire(login(want)).ok).toBe(true);
    });

    test("listens on further portals of its own", () => {
        const second = `127.0.0.2:${String(host.port)}`;
        const ref = { ...host.ref, portals: [...host.ref.portals, second] };
        Object.assign(host, { ref });
        const want = host.want("pg");
        host.ensure(want);
        expect(inquire(login(want, { portal: second })).ok).toBe(true);
        const facts = host.facts("pg");
        if (facts === undefined) throw new Error("no export");
        expect(tgtTarget.connection(ref, want, facts).data).toMatchObject({
            target_portal: host.portal,
            target_portals: [host.portal, second],
            target_iqns: [facts.targetName, facts.targetName],
            target_luns: [1, 1],
        });
    });

    test("listens on IPv6, and knows a portal in any spelling", () => {
        const portal = `[0:0:0::1]:${String(host.port)}`;
        Object.assign(host, { ref: { ...host.ref, portals: [portal] } });
        const want = host.want("pg");
        host.ensure(want);
        expect(inquire(login(want, { portal: `[::1]:${String(host.port)}` })).ok).toBe(true);
        host.ensure({ ...want, initiators: [], addresses: ["::/0"] });
        expect(inquire(login(want, { portal: `[::1]:${String(host.port)}`, chap: undefined })).ok).toBe(true);
    });

    test("names whoever has taken the portal", async () => {
        const server = createServer();
        const port = await new Promise<number>((resolve) => {
            server.listen(0, "127.0.0.3", () => {
                resolve((server.address() as { port: number }).port);
            });
        });
        try {
            const portal = `127.0.0.3:${String(port)}`;
            Object.assign(host, { ref: { ...host.ref, portals: [portal] } });
            expect(() => tgtTarget.ensure(host.context(), host.want("pg"))).toThrow(
                new RegExp(
                    `portal ${portal} is taken by .* \\(process ${String(process.pid)}\\) \\[in-use\\]`,
                ),
            );
        } finally {
            server.close();
        }
    });
});

describe("other exports", () => {
    test("notice nothing when one is added, applied again, changed or removed", async () => {
        const first = host.want("first");
        host.ensure(first);
        const loads = [new Load(login(first)), new Load(login(first), "write")];
        try {
            await sleep(300);
            const sessions = () => host.facts("first")?.sessions.length;
            const before = host.admin("--mode", "conn", "--op", "show", "--tid", "1");
            expect(sessions()).toBe(2);
            const second = host.want("second", {
                initiators: [{ name: OTHER, chap: { ...CHAP, username: "bob" } }],
            });
            host.ensure(second);
            host.ensure({ ...second, readOnly: true });
            host.admin("--mode", "target", "--op", "unbind", "--tid", "1", "-Q", CLIENT);
            host.ensure(first);
            host.run(
                tgtTarget.reopen(host.context(), { name: "second", sizeBytes: 32 * MIB, exchanged: false })
                    .open,
            );
            host.remove(second);
            await sleep(200);
            expect(loads.map((load) => load.errors)).toEqual(["", ""]);
            expect(host.admin("--mode", "conn", "--op", "show", "--tid", "1")).toBe(before);
        } finally {
            for (const load of loads) await load.close();
        }
    });

    test("that are not ours stay as they are", () => {
        host.admin("--op", "new", "--mode", "target", "--tid", "1", "-T", "iqn.2001-01.org.elsewhere:x");
        const device = host.device("elsewhere.img");
        host.admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", device);
        host.admin("--op", "new", "--mode", "account", "--user", "carol", "--password", "secret-000001");
        const show = () => host.admin("--op", "show", "--mode", "target").split("Target 2")[0];
        const before = show();
        const want = host.want("pg");
        host.ensure(want);
        expect(host.observe().foreign.get(device)).toMatch(/elsewhere:x/);
        const carol = { ...CHAP, username: "carol" };
        expect(() =>
            tgtTarget.ensure(host.context(), host.want("b", { initiators: [{ name: CLIENT, chap: carol }] })),
        ).toThrow(/account "carol" that no export of ours made \[not-ours\]/);
        host.remove(want);
        expect(show()).toBe(before);
        expect(host.admin("--op", "show", "--mode", "account")).toContain("carol");
    });
});

test("a mark is taken over to a renamed resource, and nothing else changes", () => {
    const want = host.want("pg");
    host.ensure(want);
    const before = host.facts("pg");
    const to = mark("pg2");
    host.converge((context) => tgtTarget.remark(context, { name: "pg", from: want.mark, to }));
    expect(host.facts("pg")).toEqual({ ...before, mark: to });
    expect(isEmpty(tgtTarget.ensure(host.context(), { ...want, mark: to }))).toBe(true);
});

test("an observation of a few tells of the others what concerns these", () => {
    host.ensure(host.want("a"));
    host.ensure(host.want("b"));
    const facts = host.observe(["b", "gone"]);
    expect([...facts.exports.keys()]).toEqual(["b"]);
    expect(facts.exports.get("b")).toEqual(host.facts("b"));
    expect(facts.foreign.size).toBe(0);
    const { live, ...some } = facts.extra as TgtExtra;
    const { live: all, ...rest } = host.observe().extra as TgtExtra;
    expect(some).toEqual(rest);
    // Of the others only what concerns their accounts.
    const accounts = (targets: TgtExtra["live"]) =>
        [...targets.values()].map(({ name, incoming, outgoing }) => ({ name, incoming, outgoing }));
    expect(accounts(live)).toEqual(accounts(all));
    expect(accounts(live).flatMap(({ incoming }) => incoming)).toEqual(["alice", "alice"]);
});
