import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { GUARD_FAILED } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import type { Dhchap, ExportWanted, TargetContext } from "../../../provider/targets/types";
import type { NvmetOptions } from "../../../provider/targets/nvmet/options";
import { CLIENT, NvmetKernel } from "./nvmetKernel";

/** What exports of nvmet share with each other and with others' objects: hosts with their keys, and ports. */

const kernel = new NvmetKernel();
beforeEach(() => {
    kernel.reset();
});
afterAll(() => {
    kernel.remove();
});

const key = (purpose: string) =>
    new Secret(deriveDhchapKey("a secret of more than thirty-two bytes", purpose));
const want = (name: "pg" | "one" | "two", dhchap?: Dhchap): ExportWanted =>
    kernel.want(name, [{ name: CLIENT, ...(dhchap === undefined ? {} : { dhchap }) }]);
const hostKey = (which = "key") => kernel.sh(`cat hosts/${CLIENT}/dhchap_${which}`);

test("an export is made, is as declared, and leaves nothing", async () => {
    const pristine = await kernel.dump();
    const pg = want("pg", { key: key("1"), controllerKey: key("2") });
    await kernel.host.ensure(pg);
    expect((await kernel.host.facts("pg"))?.differences).toEqual([]);
    expect(await hostKey()).toBe(`${key("1").value}\n`);
    await kernel.host.remove(pg);
    expect(await kernel.dump()).toBe(pristine);
});

describe("a host's keys, when a plan was made before another stack", () => {
    const seen = async () => kernel.host.context(await kernel.host.observe());
    /** Carries out a plan that was made from older facts. */
    const late = (before: TargetContext<NvmetOptions>, wanted: ExportWanted) =>
        kernel.host.steps(nvmetTarget.ensure(before, wanted).steps);
    const refused = { status: GUARD_FAILED };

    test.each<[string, Dhchap | undefined, Dhchap | undefined]>([
        ["gave it another key", { key: key("1") }, { key: key("2") }],
        ["gave it a key", { key: key("1") }, undefined],
        ["gave it none", undefined, { key: key("2") }],
        [
            "gave it another key for controllers",
            { key: key("1"), controllerKey: key("3") },
            { key: key("1"), controllerKey: key("4") },
        ],
    ])("%s, are not overwritten", async (_, theirs, ours) => {
        const before = await seen();
        await kernel.other.ensure(want("one", theirs));
        const all = await kernel.dump();
        await expect(late(before, want("two", ours))).rejects.toMatchObject(refused);
        expect(await kernel.dump()).toBe(all);
        const now = await kernel.host.observe();
        expect([...now.exports.keys()]).toEqual(["one"]);
        // Planned again, it is refused in words.
        expect(() => nvmetTarget.ensure(kernel.host.context(now), want("two", ours))).toThrow(
            /different keys/,
        );
    });

    test("gave it the same, are shared, and no process looks at them", async () => {
        const keys = { key: key("1"), controllerKey: key("2") };
        const before = await seen();
        await kernel.other.ensure(want("one", keys));
        const { steps } = nvmetTarget.ensure(before, want("two", keys));
        const hash = "sha256sum() { echo it is hashed >&2; exit 9; }";
        await kernel.host.all(steps.map(({ script }) => `${hash}\n${script.text}`));
        for (const name of ["one", "two"]) expect((await kernel.host.facts(name))?.differences).toEqual([]);
    });

    test("changed them, are not put back", async () => {
        await kernel.other.ensure(want("one", { key: key("1") }));
        const before = await seen();
        await kernel.other.ensure(want("one", { key: key("2") }));
        await expect(late(before, want("two", { key: key("1") }))).rejects.toMatchObject(refused);
        expect(await hostKey()).toBe(`${key("2").value}\n`);
    });

    test("changed them, are not changed into others", async () => {
        for (const name of ["one", "two"] as const) await kernel.other.ensure(want(name, { key: key("1") }));
        const before = await seen();
        await kernel.other.ensure(want("one", { key: key("2") }));
        await expect(late(before, want("two", { key: key("3") }))).rejects.toMatchObject(refused);
        expect(await hostKey()).toBe(`${key("2").value}\n`);
    });

    test("removed the host, are set", async () => {
        await kernel.other.ensure(want("one", { key: key("1") }));
        const before = await seen();
        await kernel.other.remove(want("one"));
        await late(before, want("two", { key: key("1") }));
        expect((await kernel.host.facts("two"))?.differences).toEqual([]);
    });

    test("did nothing, are changed by all exports of a program in turn, whatever was read of them since", async () => {
        const all = ["pg", "one", "two"] as const;
        for (const name of all)
            await kernel.host.ensure(want(name, { key: key("1"), controllerKey: key("2") }));
        let facts = await kernel.host.observe();
        for (const name of all) {
            const changed = want(name, { key: key("3") });
            await kernel.host.steps(nvmetTarget.ensure(kernel.host.context(facts), changed).steps);
            const read = await kernel.host.observe([name]);
            facts = nvmetTarget.merge?.(facts, read, [name]) ?? read;
        }
        for (const name of all) expect((await kernel.host.facts(name))?.differences).toEqual([]);
        expect(await hostKey()).toBe(`${key("3").value}\n`);
        expect(await hostKey("ctrl_key")).toBe("\n");
    });

    test("left a host behind that nobody has, are set, after another export was read again, too", async () => {
        await kernel.other.ensure(want("one", { key: key("1") }));
        await kernel.sh(`rm subsystems/*/allowed_hosts/* && rm -r ${kernel.directory}/state`);
        await kernel.sh("rm ports/*/subsystems/* && rm -r subsystems/*");
        const facts = await kernel.host.observe();
        const [pg] = [kernel.want("pg", [{ name: `${CLIENT}2` }])];
        await kernel.host.steps(nvmetTarget.ensure(kernel.host.context(facts), pg).steps);
        const merged = nvmetTarget.merge?.(facts, await kernel.host.observe(["pg"]), ["pg"]) ?? facts;
        await late(kernel.host.context(merged), want("two", { key: key("2") }));
        expect((await kernel.host.facts("two"))?.differences).toEqual([]);
    });

    test("are in no argument of a process", async () => {
        await kernel.host.ensure(want("one", { key: key("1") }));
        const { steps } = nvmetTarget.ensure(await seen(), want("one", { key: key("2") }));
        for (const { script } of steps) expect(script.display).not.toContain(key("2").value);
    });
});

test("to put the number of queues back ends all connections, and so needs leave; other attributes do not", async () => {
    const pg = want("pg");
    await kernel.host.ensure(pg);
    const nqn = (await kernel.host.facts("pg"))?.targetName ?? "";
    kernel.connect(CLIENT, nqn);
    const after = async (script: string) => {
        await kernel.sh(script);
        return kernel.host.context(await kernel.host.observe());
    };
    const before = await after("echo 2 > $(echo subsystems/*)/attr_qid_max");
    expect(nvmetTarget.cuts(before, pg)).toMatchObject({
        sessions: [{ initiator: CLIENT }],
        reason: expect.stringContaining("attr_qid_max") as string,
    });
    // Nobody else than those that were seen may be connected.
    const { steps } = nvmetTarget.ensure(before, pg);
    kernel.connect(`${CLIENT}2`, nqn);
    await expect(kernel.host.steps(steps)).rejects.toMatchObject({ status: GUARD_FAILED });
    expect(await kernel.sh("cat subsystems/*/attr_qid_max")).toBe("2\n");
    kernel.reset();
    await kernel.host.ensure(pg);
    kernel.connect(CLIENT, nqn);
    for (const attribute of ["cntlid_min", "pi_enable", "allow_any_host"]) {
        const altered = await after(`echo 5 > $(echo subsystems/*)/attr_${attribute}`);
        expect(altered.facts.exports.get("pg")?.differences).toHaveLength(1);
        expect(nvmetTarget.cuts(altered, pg)).toBeUndefined();
        await kernel.host.ensure(pg);
    }
    expect((await kernel.host.facts("pg"))?.differences).toEqual([]);
});
