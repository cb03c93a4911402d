import { spawnSync } from "node:child_process";
import { networkInterfaces } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GUARD_FAILED } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { TgtContext, TgtExtra } from "../../../provider/targets/tgt/model";
import type { ExportWanted, TargetFacts } from "../../../provider/targets/types";
import { inquire } from "./initiator";
import { CHAP, CLIENT, StepFailed, TgtHost } from "./tgtHost";
import { ALICE, boot, context, live, REF, TARGET, UP, wanted } from "./tgtPrinted";

/** Plans that were made from facts which no longer hold: they change nothing and say so. */

let host: TgtHost;

beforeAll(async () => {
    host = await TgtHost.start();
});
afterEach(() => {
    for (const one of host.observe().exports.values()) host.run(tgtTarget.remove(host.context(), one).steps);
    for (const user of (host.observe().extra as TgtExtra).accounts)
        host.admin("--mode", "account", "--op", "delete", "--user", user);
});
afterAll(async () => {
    await host.stop();
});

const PASSWORD = new Secret("Sesame-Open-2");
const withChap = (username: string, password = CHAP.password) => ({
    initiators: [{ name: CLIENT, chap: { username, password } }],
});

/** Carries out a plan that was made from older facts. */
function late(before: TgtContext, want: ExportWanted): void {
    host.run(tgtTarget.ensure(before, want).steps);
}

function expectRefused(what: () => void): void {
    try {
        what();
    } catch (error) {
        expect(error).toBeInstanceOf(StepFailed);
        expect((error as StepFailed).status).toBe(GUARD_FAILED);
        return;
    }
    expect.fail("the plan was carried out");
}

const shown = () =>
    host.admin("--mode", "target", "--op", "show") + host.admin("--mode", "account", "--op", "show");

describe("an account", () => {
    test("that another export has been given another secret for", () => {
        const before = host.context();
        const want = host.want("a", withChap("alice"));
        host.ensure(host.want("b", withChap("alice", PASSWORD)));
        const all = shown();
        expectRefused(() => late(before, want));
        expect(shown()).toBe(all);
        expect([...host.observe().exports.keys()]).toEqual(["b"]);
    });

    test("that an export has as the target's own, with another secret", () => {
        const before = host.context();
        const chap = { username: "bob", password: CHAP.password };
        const mutualChap = { username: "alice", password: PASSWORD };
        host.ensure(host.want("b", { initiators: [{ name: CLIENT, chap, mutualChap }] }));
        expectRefused(() => late(before, host.want("a", withChap("alice"))));
    });

    test("that somebody else has made", () => {
        const before = host.context();
        host.admin("--mode", "account", "--op", "new", "--user", "alice", "--password", "secret-000001");
        expectRefused(() => late(before, host.want("a")));
        expect(host.observe().exports.size).toBe(0);
    });

    test("that has been made with the same secret since is shared", () => {
        const before = host.context();
        host.ensure(host.want("b"));
        late(before, host.want("a"));
        expect(host.facts("a")?.differences).toEqual([]);
        expect(host.facts("b")?.differences).toEqual([]);
    });

    test("that is to be made anew, and that another target has bound since", () => {
        const want = host.want("a");
        host.ensure(want);
        // Its secret is to be changed, and was left in doubt.
        const changed = { ...want, ...withChap("alice", PASSWORD) };
        const before = host.context();
        host.admin(
            "--mode",
            "target",
            "--op",
            "new",
            "--tid",
            "9",
            "--targetname",
            "iqn.2001-01.org.elsewhere:x",
        );
        host.admin("--mode", "account", "--op", "bind", "--tid", "9", "--user", "alice");
        const all = shown();
        expectRefused(() => late(before, changed));
        expect(shown()).toBe(all);
        host.admin("--mode", "target", "--op", "delete", "--force", "--tid", "9");
    });

    test("whose name is the beginning of others'", () => {
        const before = host.context();
        host.admin("--mode", "account", "--op", "new", "--user", "alice2", "--password", "secret-000001");
        host.ensure(host.want("b", withChap("alice.b", PASSWORD)));
        late(before, host.want("a"));
        expect(host.facts("a")?.differences).toEqual([]);
    });
});

describe("an export", () => {
    test("of that name that has been made or removed since", () => {
        const [nothing, want] = [host.context(), host.want("a")];
        host.ensure(want);
        const one = host.context();
        const all = shown();
        expectRefused(() => late(nothing, { ...want, readOnly: true }));
        expect(shown()).toBe(all);
        host.remove(want);
        expectRefused(() => late(one, { ...want, readOnly: true }));
        expectRefused(() => {
            host.run(tgtTarget.remove(one, want).steps);
        });
        for (const exchanged of [true, false]) {
            expectRefused(() => {
                host.run(tgtTarget.reopen(one, { name: "a", sizeBytes: 1 << 25, exchanged }).close);
            });
        }
        expect(host.observe().exports.size).toBe(0);
    });
});

describe("an observation of a few", () => {
    const other = wanted({ name: "other", devicePath: "/srv/other.img" });
    const targetName = "iqn.2010-10.org.blockhost:other:01234567";
    const facts = (...lines: string[]): TargetFacts => context(lines).facts;
    const newer = ["B newer", "H #bh target iqn.2010-10.org.blockhost:newer:01234567"];
    const all = () =>
        facts(
            ...boot(),
            ...boot({ want: other, targetName }),
            "E broken Permission denied",
            ...newer,
            "H #bh mark blockhost:2&kind:export",
            ...UP,
            ...ALICE,
            ...live(),
            ...live({ want: other, targetName }).map((line) => line.replace("Target 1:", "Target 2:")),
        );
    const brief = (...accounts: string[]) => [
        "T Target 1: " + TARGET,
        "T     Account information:",
        ...accounts.map((user) => `T         ${user}`),
    ];
    const merged = (...lines: string[]) =>
        tgtTarget.merge?.(all(), facts(...UP, ...ALICE, ...lines), ["other"]) as TargetFacts;
    const mine = ["B pg", `H #bh target ${TARGET}`, ...newer, "E broken Permission denied"];

    test("leaves the others as they were known", () => {
        const now = merged(...mine, ...brief("alice"));
        expect([...now.exports]).toEqual([["pg", all().exports.get("pg")]]);
        expect((now.extra as TgtExtra).unreadable).toEqual((all().extra as TgtExtra).unreadable);
        expect([...(now.extra as TgtExtra).unreadable.keys()].sort()).toEqual(["broken", "newer"]);
    });

    test("tells of the others that an account was taken off, that a target is gone, that a boot file is gone", () => {
        expect(merged(...mine, ...brief()).exports.get("pg")?.differences).toEqual([
            "chap: user alice is not bound",
        ]);
        const gone = merged(...mine).exports.get("pg");
        expect(gone).toMatchObject({ differences: ["missing"], sessions: [] });
        expect(merged("B broken", ...live()).exports.size).toBe(0);
    });

    test("that failed leaves them as they were", () => {
        const failed = tgtTarget.parse(REF, [...mine, "X -1 Connection refused", "Z"].join("\n"));
        const now = tgtTarget.merge?.(all(), failed, ["other"]);
        expect(now?.problem).toBeDefined();
        expect([...(now?.exports ?? [])]).toEqual([["pg", all().exports.get("pg")]]);
    });
});

test("the host's own addresses are known", () => {
    const { addresses } = host.observe().extra as TgtExtra;
    const own = Object.values(networkInterfaces()).flatMap((list) =>
        (list ?? []).map(({ address }) => address),
    );
    expect(own.length).toBeGreaterThan(0);
    expect([...addresses]).toEqual(expect.arrayContaining(own));
    const shownByIp = spawnSync("ip", ["-o", "addr"], { encoding: "utf8" }).stdout;
    for (const address of addresses) expect(shownByIp).toContain(` ${address}/`);
});

test("a portal on all addresses, or on any of loopback, is none that the host lacks", () => {
    for (const address of ["0.0.0.0", "127.9.9.9"]) {
        const portal = `${address}:${String(host.port + 1)}`;
        const ref = { ...host.ref, portals: [portal] };
        const plan = tgtTarget.ensure({ ...host.context(), target: ref }, host.want("a"));
        expect(plan.steps).toHaveLength(3);
    }
    const want = host.want("a");
    host.ensure(want);
    expect(
        inquire({
            portal: host.portal,
            target: host.facts("a")?.targetName ?? "",
            initiator: CLIENT,
            chap: CHAP,
        }).ok,
    ).toBe(true);
});
