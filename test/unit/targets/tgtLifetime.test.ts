import { truncateSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { ExportWanted } from "../../../provider/targets/types";
import { Attached, capacity, inquire, Load, qemuIo } from "./initiator";
import { CHAP, CLIENT, mark, OTHER, sleep, TgtHost } from "./tgtHost";

/** Growth, exchange and removal of exports, against a real tgtd and real initiators. */

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

describe("growth", () => {
    test("is seen by initiators, and no read or write under way fails", async () => {
        const want = host.want("pg");
        host.ensure(want);
        const loads = [new Load(login(want)), new Load(login(want), "write")];
        try {
            const back = () =>
                vi.waitFor(() => expect(host.facts("pg")?.sessions).toHaveLength(2), {
                    timeout: 20_000,
                    interval: 100,
                });
            await back();
            for (const size of [32, 48, 64]) {
                const steps = tgtTarget.reopen(host.context(), {
                    name: "pg",
                    sizeBytes: size * MIB,
                    exchanged: false,
                });
                host.run(steps.close);
                truncateSync(want.devicePath, size * MIB);
                host.run(steps.open);
                await back();
            }
            // Time for I/O after the last.
            await sleep(300);
            expect(loads.map((load) => load.errors)).toEqual(["", ""]);
        } finally {
            for (const load of loads) await load.close();
        }
        expect(host.facts("pg")).toMatchObject({ sizeBytes: 64 * MIB, differences: [] });
        expect(isEmpty(tgtTarget.ensure(host.context(), { ...want, sizeBytes: 64 * MIB }))).toBe(true);
        expect(capacity(login(want))).toBe(64 * MIB);
    });

    test("by less than what tgtd shows is noticed", () => {
        const want = host.want("pg");
        host.ensure(want);
        truncateSync(want.devicePath, 16 * MIB + 512);
        expect(host.facts("pg")?.differences[0]).toMatch(/^size: /);
        host.ensure({ ...want, sizeBytes: 16 * MIB + 512 });
        expect(capacity(login(want))).toBe(16 * MIB + 512);
    });
});

describe("an exchanged device", () => {
    test("is served once it is in place, and its former content by no session", async () => {
        const want = host.want("pg");
        host.ensure(want);
        const next = host.device("next.img");
        qemuIo(login(want), "write -P 1 0 4k");
        const session = await Attached.to(login(want));
        try {
            const steps = tgtTarget.reopen(host.context(), {
                name: "pg",
                sizeBytes: 16 * MIB,
                exchanged: true,
            });
            host.run(steps.close);
            expect(host.facts("pg")?.sessions).toEqual([]);
            expect(inquire(login(want)).ok).toBe(false);
            host.sh(`mv '${next}' '${want.devicePath}'`);
            host.run(steps.open);
            expect(host.facts("pg")?.differences).toEqual([]);
            expect(await session.do("read -P 0 0 4k")).toMatch(/read 4096/);
        } finally {
            await session.close();
        }
    });

    test("behind our back is a difference, and healed", () => {
        const want = host.want("pg");
        host.ensure(want);
        host.sh(`mv '${host.device("next.img")}' '${want.devicePath}'`);
        expect(host.facts("pg")?.differences).toEqual([
            "devicePath: tgtd still serves what was at the path before",
        ]);
        host.ensure(want);
        expect(host.facts("pg")?.differences).toEqual([]);
    });
});

describe("removal", () => {
    test("leaves nothing", () => {
        const want = host.want("pg", {
            initiators: [
                {
                    name: CLIENT,
                    chap: CHAP,
                    mutualChap: { username: "t", password: new Secret("I-am-the-target") },
                },
            ],
        });
        host.ensure(want);
        host.remove(want);
        expect(host.admin("--op", "show", "--mode", "target")).toBe("");
        expect(host.admin("--op", "show", "--mode", "account")).toBe("");
        expect(host.sh(`ls -A '${host.directory}/state with '"'"'quote/exports/iscsi'`).stdout).toBe("");
        expect(isEmpty(tgtTarget.remove(host.context(), want))).toBe(true);
    });

    test("cuts the sessions that were observed, under load, and ends on any other", async () => {
        const want = host.want("pg", { initiators: [{ name: CLIENT }, { name: OTHER }] });
        host.ensure(want);
        const load = new Load(login(want));
        try {
            await sleep(300);
            const context = host.context();
            expect(context.facts.exports.get("pg")?.sessions).toEqual([
                { initiator: CLIENT, address: "127.0.0.1" },
            ]);
            const plan = tgtTarget.remove(context, want);
            const other = await Attached.to(login(want, { initiator: OTHER }));
            expect(() => {
                host.run(plan.steps);
            }).toThrow(/exit status 76: initiator .*:other is logged in/);
            await other.close();
            await sleep(200);
            host.remove(want);
            expect(host.admin("--op", "show", "--mode", "target")).toBe("");
        } finally {
            await load.close();
        }
    });

    test("keeps an account that another export has", () => {
        const [a, b] = [host.want("a"), host.want("b")];
        host.ensure(a);
        host.ensure(b);
        host.remove(a);
        expect(inquire(login(b)).ok).toBe(true);
        host.remove(b);
        expect(host.admin("--op", "show", "--mode", "account")).toBe("");
    });

    test("of two at once with one account between them leaves no account", () => {
        const [a, b] = [host.want("a"), host.want("b")];
        host.ensure(a);
        host.ensure(b);
        const context = host.context();
        const plans = [a, b].map((want) => tgtTarget.remove(context, want));
        for (const plan of plans) host.run(plan.steps);
        expect(host.admin("--op", "show", "--mode", "account")).toBe("");
    });

    test("of somebody else's is refused", () => {
        const want = host.want("pg");
        host.ensure(want);
        expect(() => tgtTarget.remove(host.context(), { ...want, mark: mark("other") })).toThrow(/not-ours/);
        expect(() =>
            tgtTarget.remove(host.context(), { ...want, mark: mark("pg", "fedcba9876543210") }),
        ).toThrow(/not-ours/);
    });
});
