import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Step } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { ExportWanted } from "../../../provider/targets/types";
import { capacity, inquire } from "./initiator";
import { CHAP, CLIENT, OTHER, sleep, TgtHost } from "./tgtHost";

/**
 * Every operation, ended after every order to tgtd; then the same is asked for once more. It must end as declared with
 * nothing left over, and at no point may somebody get in without the password.
 */

// Some hundreds of processes a test, on machines that have other things to do, too.
vi.setConfig({ testTimeout: 300_000 });

let host: TgtHost;
let names = 0;

beforeAll(async () => {
    host = await TgtHost.start();
});

afterAll(async () => {
    await host.stop();
});

function clean(): void {
    for (const name of host.observe().exports.keys()) host.remove(host.want(name));
}

afterEach(clean);

const MUTUAL = { username: "the-target", password: new Secret("I-am-the-target") };
const NEW = { username: "alice", password: new Secret("Sesame-Open-2") };
const RENAMED = { username: "bob", password: new Secret("Sesame-Open-3") };

interface Case {
    readonly before?: Partial<ExportWanted>;
    readonly after: Partial<ExportWanted>;
}

const cases: Record<string, Case> = {
    create: { after: { initiators: [{ name: CLIENT, chap: CHAP, mutualChap: MUTUAL }] } },
    "rotate the secret": { before: {}, after: { initiators: [{ name: CLIENT, chap: NEW }] } },
    "rotate user and secret": { before: {}, after: { initiators: [{ name: CLIENT, chap: RENAMED }] } },
    "add mutual CHAP": {
        before: {},
        after: { initiators: [{ name: CLIENT, chap: CHAP, mutualChap: MUTUAL }] },
    },
    "exchange the initiator": {
        before: { initiators: [{ name: OTHER, chap: CHAP }] },
        after: { initiators: [{ name: CLIENT, chap: CHAP }] },
    },
    "make read-only": { before: {}, after: { readOnly: true } },
};

describe.each(Object.entries(cases))("%s", (operation, { before, after }) => {
    let want: ExportWanted;

    function reset(): void {
        if (before === undefined) host.remove(want);
        else host.ensure({ ...want, readOnly: false, initiators: [{ name: CLIENT, chap: CHAP }], ...before });
    }

    beforeEach(() => {
        want = host.want(`e${String(names++)}`, after);
        reset();
    });

    test("ended at any point, is finished by the next run", async () => {
        await eachPoint((k) => {
            const ended = runUntil(host, tgtTarget.ensure(host.context(), want).steps, k);
            expectClosed(want);
            host.ensure(want);
            expectAs(want);
            reset();
            return ended;
        });
    });

    test("nor is it taken for done where its boot file was run meanwhile, as at a reload of tgt", async () => {
        await eachPoint((k) => {
            const ended = runUntil(host, tgtTarget.ensure(host.context(), want).steps, k);
            const file = join(host.ref.stateDirectory, "exports/iscsi", want.name);
            if (existsSync(file)) spawnSync("sh", [file]);
            host.ensure(want);
            expectAs(want);
            reset();
            return ended;
        });
    });

    // Of these two all others are parts.
    if (!["create", "rotate user and secret"].includes(operation)) return;
    test("ended at any point, can be removed as well", async () => {
        await eachPoint((k) => {
            const ended = runUntil(host, tgtTarget.ensure(host.context(), want).steps, k);
            host.remove(want);
            expectNothing();
            reset();
            return ended;
        });
    });
});

describe("remove", () => {
    test.each(["remove", "ensure"])(
        "ended at any point, is finished by remove, or undone by ensure: %s",
        async (next) => {
            await eachPoint((k) => {
                const want = host.want(`r${String(names++)}`, {
                    initiators: [{ name: CLIENT, chap: CHAP, mutualChap: MUTUAL }],
                });
                host.ensure(want);
                const ended = runUntil(host, tgtTarget.remove(host.context(), want).steps, k);
                if (next === "ensure") {
                    expectClosed(want);
                    host.ensure(want);
                    expectAs(want);
                }
                host.remove(want);
                expectNothing();
                return ended;
            });
        },
    );
});

describe.each([
    ["growth", false],
    ["exchange", true],
])("%s", (_, exchanged) => {
    test("ended at any point, shows as a difference, and is healed", async () => {
        const want = host.want(`g${String(names++)}`);
        const bytes = (mib: number) => mib * 1024 * 1024;
        host.ensure(want);
        await eachPoint((k) => {
            const sizeBytes = bytes(17 + k);
            const plan = tgtTarget.reopen(host.context(), { name: want.name, sizeBytes, exchanged });
            const left = { orders: k };
            const grow = () => host.device(`${want.name}.img`, sizeBytes);
            let ended = runUntil(host, plan.close, left);
            if (ended) {
                grow();
                ended = runUntil(host, plan.open, left);
                // Either it shows that something is left to do, or nothing is.
                const shown = host.facts(want.name)?.differences.length !== 0;
                expect(shown || capacity({ ...login(want), chap: CHAP }) === sizeBytes).toBe(true);
            }
            expectClosed(want);
            grow();
            host.ensure({ ...want, sizeBytes });
            expectAs(want);
            return ended;
        });
    });
});

test("a boot file that was cut short in writing does no harm", () => {
    const want = host.want("cut");
    host.ensure(want);
    const directory = join(host.ref.stateDirectory, "exports/iscsi");
    writeFileSync(join(directory, ".cut.new"), readFileSync(join(directory, "cut")).subarray(0, 300));
    expect([...host.observe().exports.keys()]).toEqual(["cut"]);
    host.remove(want);
    expectNothing();
});

test("two exports with one account, both begun and neither finished, are both finished", () => {
    const wants = ["a", "b"].map((name) => host.want(name));
    for (let k = 3; k < 9; k++) {
        const context = host.context();
        for (const want of wants) runUntil(host, tgtTarget.ensure(context, want).steps, k);
        for (const want of wants) host.ensure(want);
        for (const want of wants) expectAs(want, 2);
        for (const want of wants) host.remove(want);
        expectNothing();
    }
});

test("an export whose tgtd is killed half-way is finished once it is back", async () => {
    const want = host.want("killed");
    runUntil(host, tgtTarget.ensure(host.context(), want).steps, 4);
    await host.kill();
    expect(() => tgtTarget.ensure(host.context(), want)).toThrow(/does not answer.*\[not-found\]/);
    await host.boot();
    host.ensure(want);
    expectAs(want);
    host.remove(want);
});

function login(want: ExportWanted) {
    return { portal: host.portal, target: host.facts(want.name)?.targetName ?? "?", initiator: CLIENT };
}

function expectClosed(want: ExportWanted): void {
    expect(inquire(login(want)).ok).toBe(false);
}

function expectAs(want: ExportWanted, exports = 1): void {
    const [chap, mutual] = [want.initiators[0]?.chap, want.initiators[0]?.mutualChap];
    expect(host.facts(want.name)).toMatchObject({ differences: [], applied: true });
    expect(inquire({ ...login(want), chap, mutual }).output).toMatch(/DIRECT_ACCESS/);
    const users = [chap, mutual].flatMap((one) => (one === undefined ? [] : [one.username])).sort();
    const { accounts, names: targets } = host.observe().extra as unknown as {
        accounts: string[];
        names: Set<string>;
    };
    expect([...accounts].sort()).toEqual(users);
    expect(targets.size).toBe(exports);
}

function expectNothing(): void {
    expect(host.admin("--op", "show", "--mode", "target")).toBe("");
    expect(host.admin("--op", "show", "--mode", "account")).toBe("");
    expect(readdirSync(join(host.ref.stateDirectory, "exports/iscsi"))).toEqual([]);
}

/** Calls with 0, 1, 2 … until the operation ran to its end. */
async function eachPoint(upTo: (k: number) => boolean): Promise<void> {
    let k = 0;
    while (!upTo(k)) {
        k++;
        // All of this is synchronous; the test runner wants to hear from us in between.
        await sleep(1);
    }
    expect(k).toBeGreaterThan(4);
}

/**
 * Runs so many parts of a plan: whole steps where they are shell commands, single orders where they are lists for tgtd.
 * True: that was all of it.
 */
function runUntil(on: TgtHost, steps: readonly Step[], count: number | { orders: number }): boolean {
    const left = typeof count === "number" ? { orders: count } : count;
    for (const step of steps) {
        const all = parts(on, step);
        if (left.orders === 0) return false;
        const some = all.slice(0, left.orders);
        left.orders -= some.length;
        if (some.length === all.length) on.run([step]);
        else on.run([{ label: step.label, script: cutShort(on, step, some) }]);
        if (some.length < all.length) return false;
    }
    return true;
}

const PROGRAM = /<<'BLOCKHOST_TGT'\n([^]*\n__END__\n)([^]*)\nBLOCKHOST_TGT/;

/** Orders in a step: its own, and those of the boot file that it runs. A boot file not yet written counts as one. */
function parts(on: TgtHost, step: Step): string[] {
    const { text } = step.script;
    const list = PROGRAM.exec(text)?.[2];
    if (text.startsWith("exec perl") && list !== undefined) return list.split("\n").slice(1);
    const boot = bootFileOf(on, text);
    if (boot === undefined) return [text];
    const before = /3<<'BLOCKHOST_TGT'\n([^]*)\nBLOCKHOST_TGT/.exec(text)?.[1]?.split("\n").slice(1) ?? [];
    return [...before, ...(PROGRAM.exec(boot)?.[2]?.split("\n").slice(1) ?? [])];
}

function cutShort(on: TgtHost, step: Step, orders: readonly string[]): Step["script"] {
    const { text } = step.script;
    const source = text.startsWith("exec perl") ? text : (bootFileOf(on, text) ?? "");
    const program = PROGRAM.exec(source)?.[1] ?? "";
    const script = `perl - <<'BLOCKHOST_TGT'\n${program}control ${String(on.controlPort)}\n${orders.join("\n")}\nBLOCKHOST_TGT`;
    return { text: script, display: "", toString: () => "" };
}

function bootFileOf(on: TgtHost, text: string): string | undefined {
    const name = /^sh '.*\/exports\/iscsi\/([^']+)'/.exec(text)?.[1];
    if (name === undefined) return undefined;
    try {
        return readFileSync(join(on.ref.stateDirectory, "exports/iscsi", name), "utf8");
    } catch {
        return undefined;
    }
}
