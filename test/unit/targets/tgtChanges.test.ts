import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { ExportWanted } from "../../../provider/targets/types";
import { Attached, inquire, Load, tryOpenLogin } from "./initiator";
import { CHAP, CLIENT, OTHER, sleep, TgtHost } from "./tgtHost";

/** Changes of an export that is in use, and what was changed behind our back. */

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

function rotated(password: string, username = "alice") {
    return [{ name: CLIENT, chap: { username, password: new Secret(password) } }];
}

const connections = () => host.admin("--mode", "conn", "--op", "show", "--tid", "1");

describe("a new CHAP password", () => {
    test("counts at the next login; reads and writes under way go on", async () => {
        const want = host.want("pg");
        host.ensure(want);
        const load = new Load(login(want), "write");
        try {
            await sleep(300);
            const before = connections();
            let now = want;
            for (let i = 0; i < 5; i++) {
                now = { ...want, initiators: rotated(`Sesame-Open-${String(i + 2)}`) };
                expect(tgtTarget.cuts(host.context(), now)).toBeUndefined();
                host.ensure(now);
            }
            expect(inquire(login(now)).ok).toBe(true);
            expect(inquire(login(want)).ok).toBe(false);
            expect(inquire(login(want, { chap: undefined })).ok).toBe(false);
            expect(connections()).toBe(before);
            expect(load.errors).toBe("");
        } finally {
            await load.close();
        }
    });

    test("never leaves the export open, not even for a moment", async () => {
        const bare = host.want("bare", { initiators: [{ name: CLIENT }] });
        const want = host.want("pg");
        host.ensure(bare);
        host.ensure(want);
        // The intruder does find an open door.
        expect(await tryOpenLogin(host.port, login(bare).target)).toBe(true);
        const { target } = login(want);
        const found = { open: 0, tries: 0 };
        let stop = false;
        const intrude = async () => {
            while (!stop) {
                found.tries++;
                if (await tryOpenLogin(host.port, target)) found.open++;
            }
        };
        const intruders = Array.from({ length: 4 }, intrude);
        for (let i = 0; i < 15; i++) {
            const initiators = rotated(`Sesame-Open-${String(i + 2)}`, i % 3 === 0 ? "bob" : "alice");
            for (const step of tgtTarget.ensure(host.context(), { ...want, initiators }).steps)
                await host.runAsync(step);
        }
        stop = true;
        await Promise.all(intruders);
        expect(found.open).toBe(0);
        expect(found.tries).toBeGreaterThan(100);
    });

    test("comes with a new user name, and the old account goes", () => {
        const want = host.want("pg");
        host.ensure(want);
        const now = { ...want, initiators: rotated("Sesame-Open-2", "bob") };
        host.ensure(now);
        expect(inquire(login(now)).ok).toBe(true);
        expect(host.observe().extra).toMatchObject({ accounts: ["bob"] });
    });

    test("for the target's own account, too", () => {
        const initiator = (password: string) => {
            const mutualChap = { username: "the-target", password: new Secret(password) };
            return { name: CLIENT, chap: CHAP, mutualChap };
        };
        const want = host.want("pg", { initiators: [initiator("I-am-the-target-1")] });
        host.ensure(want);
        const now = { ...want, initiators: [initiator("I-am-the-target-2")] };
        host.ensure(now);
        expect(inquire(login(now, { mutual: now.initiators[0]?.mutualChap })).ok).toBe(true);
        expect(inquire(login(now, { mutual: want.initiators[0]?.mutualChap })).ok).toBe(false);
        host.ensure({ ...want, initiators: [{ name: CLIENT, chap: CHAP }] });
        expect(host.observe().extra).toMatchObject({ accounts: ["alice"] });
    });

    test("where there was none, and none where there was one", () => {
        const open = host.want("pg", { initiators: [{ name: CLIENT }] });
        host.ensure(open);
        expect(inquire(login(open)).ok).toBe(true);
        const closed = { ...open, initiators: [{ name: CLIENT, chap: CHAP }] };
        host.ensure(closed);
        expect(inquire(login(open)).ok).toBe(false);
        expect(inquire(login(closed)).ok).toBe(true);
        host.ensure(open);
        expect(inquire(login(open)).ok).toBe(true);
        expect(host.observe().extra).toMatchObject({ accounts: [] });
    });

    test("of a user that another export has, too, is refused and names both", () => {
        const [a, b] = [host.want("a"), host.want("b")];
        host.ensure(a);
        host.ensure(b);
        expect(() =>
            tgtTarget.ensure(host.context(), { ...a, initiators: rotated("Sesame-Open-2") }),
        ).toThrow(/exports "a" and "b" give user "alice" different CHAP passwords \[exists\]/);
        // A new user name in one export after the other is the way.
        for (const want of [a, b]) host.ensure({ ...want, initiators: rotated("Sesame-Open-2", "alice2") });
        expect(host.observe().extra).toMatchObject({ accounts: ["alice2"] });
    });
});

describe("the list of initiators", () => {
    test("is changed under those who stay, and only they stay", async () => {
        const initiators = [{ name: CLIENT }, { name: OTHER }];
        const want = host.want("pg", { initiators });
        host.ensure(want);
        const load = new Load(login(want));
        const other = await Attached.to(login(want, { initiator: OTHER }));
        try {
            await sleep(300);
            const now = {
                ...want,
                initiators: [{ name: CLIENT }, { name: "iqn.2024-01.com.example:third" }],
            };
            expect(tgtTarget.cuts(host.context(), now)).toEqual({
                sessions: [{ initiator: OTHER, address: "127.0.0.1" }],
                reason: `no longer admitted: ${OTHER}`,
            });
            host.ensure(now);
            expect(host.facts("pg")?.sessions).toEqual([{ initiator: CLIENT, address: "127.0.0.1" }]);
            expect(inquire(login(want, { initiator: OTHER })).ok).toBe(false);
            expect(inquire(login(want, { initiator: "iqn.2024-01.com.example:third" })).ok).toBe(true);
            expect(load.errors).toBe("");
        } finally {
            await other.close();
            await load.close();
        }
    });
});

describe("read-only", () => {
    test("is told as a cut of all sessions when it comes, and as none when it goes", async () => {
        const want = host.want("pg");
        host.ensure(want);
        const session = await Attached.to(login(want));
        try {
            const readOnly = { ...want, readOnly: true };
            expect(tgtTarget.cuts(host.context(), readOnly)?.sessions).toHaveLength(1);
            host.ensure(readOnly);
            expect(await session.do("write 0 4k")).toMatch(
                /not permitted|denied|WRITE.*failed|protect|error/i,
            );
        } finally {
            await session.close();
        }
        expect(tgtTarget.cuts(host.context(), want)).toBeUndefined();
        host.ensure(want);
        expect(inquire(login(want)).ok).toBe(true);
    });
});

describe("what was altered by hand is seen, and just that is healed", () => {
    const target = ["--mode", "target", "--tid", "1"];
    const unit = ["--mode", "logicalunit", "--tid", "1", "--lun", "1"];
    const account = ["--mode", "account", "--tid", "1"];
    test.each<[string, string[][], RegExp[]]>([
        ["state", [["update", ...target, "-n", "state", "-v", "offline"]], [/^state: the target is offline/]],
        ["read-only", [["update", ...unit, "-P", "readonly=1"]], [/^readOnly: yes, not no/]],
        ["discard", [["update", ...unit, "-P", "thin_provisioning=1"]], [/^discard: yes, not no/]],
        ["serial", [["update", ...unit, "-P", "scsi_sn=1"]], [/^serial: 1, not/]],
        ["SCSI ID", [["update", ...unit, "-P", "scsi_id=1"]], [/^serial: the SCSI ID is 1/]],
        ["LUN offline", [["update", ...unit, "-P", "online=0"]], [/^state: the LUN is offline/]],
        ["removable", [["update", ...unit, "-P", "removable=1"]], [/^state: the LUN claims to be removable/]],
        ["no LUN", [["delete", ...unit]], [/^devicePath: the target has no LUN 1/]],
        ["initiator gone", [["unbind", ...target, "-Q", CLIENT]], [/^initiators: .*:client is not admitted/]],
        ["initiator added", [["bind", ...target, "-Q", OTHER]], [/^initiators: .*:other is admitted/]],
        ["address added", [["bind", ...target, "-I", "ALL"]], [/^addresses: ALL is admitted/]],
        [
            "odd name added",
            [["bind", ...target, "-Q", "anything at all"]],
            [/^addresses: anything at all is admitted/],
        ],
        ["account gone", [["unbind", ...account, "--user", "alice"]], [/^chap: user alice is not bound/]],
        [
            "account removed",
            [["delete", "--mode", "account", "--user", "alice"]],
            [/^chap: user alice is not bound/],
        ],
        [
            "account added",
            [
                ["new", "--mode", "account", "--user", "eve", "--password", "secret-000001"],
                ["bind", ...account, "--user", "eve"],
            ],
            [/^chap: user eve is bound/],
        ],
        [
            "account exchanged",
            [
                ["new", "--mode", "account", "--user", "eve", "--password", "secret-000001"],
                ["unbind", ...account, "--user", "alice"],
                ["bind", ...account, "--user", "eve"],
                ["bind", ...account, "--user", "alice"],
            ],
            [/^chap: user eve is bound/],
        ],
        [
            "outgoing account",
            [
                ["new", "--mode", "account", "--user", "eve", "--password", "secret-000001"],
                ["bind", ...account, "--user", "eve", "--outgoing"],
            ],
            [/^mutualChap: the target answers as eve, not as nobody/],
        ],
        ["everything", [["delete", ...target]], [/^missing/]],
    ])("%s", (_, commands, expected) => {
        const want = host.want("pg");
        host.ensure(want);
        const before = host.facts("pg");
        for (const command of commands) expect(host.admin("--op", ...command)).toBe("");
        const found = host.facts("pg")?.differences ?? [];
        expect(found).toHaveLength(expected.length);
        expected.forEach((pattern, i) => {
            expect(found[i]).toMatch(pattern);
        });
        host.ensure(want);
        expect(host.facts("pg")).toEqual(before);
        expect(inquire(login(want)).ok).toBe(true);
        expect(host.alive).toBe(true);
    });

    test("another LUN in our target, and another device under ours", () => {
        const want = host.want("pg");
        host.ensure(want);
        const strange = host.device("strange.img");
        host.admin("--op", "delete", "--mode", "logicalunit", "--tid", "1", "--lun", "1");
        for (const lun of ["1", "2"]) {
            host.admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", lun, "-b", strange);
        }
        expect(host.facts("pg")?.differences).toEqual([
            `devicePath: tgtd serves ${strange}, not ${want.devicePath}`,
            `devicePath: there is a LUN 2 too (${strange})`,
        ]);
        host.ensure(want);
        expect(host.facts("pg")?.differences).toEqual([]);
    });

    test("a portal that was taken away", () => {
        const want = host.want("pg");
        host.ensure(want);
        host.admin("--op", "delete", "--mode", "portal", "--param", `portal=${host.portal}`);
        expect(host.facts("pg")?.differences).toEqual([`portals: tgtd does not listen on ${host.portal}`]);
        host.ensure(want);
        expect(inquire(login(want)).ok).toBe(true);
    });
});

test("another device is refused no session: they all end before it appears", async () => {
    const want = host.want("pg");
    host.ensure(want);
    const session = await Attached.to(login(want));
    try {
        const moved = { ...want, devicePath: host.device("moved.img") };
        expect(tgtTarget.cuts(host.context(), moved)?.reason).toMatch(/^devicePath: tgtd serves/);
        host.ensure(moved);
        expect(isEmpty(tgtTarget.ensure(host.context(), moved))).toBe(true);
    } finally {
        await session.close();
    }
});
