import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { GUARD_FAILED } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import { TOLD } from "../../../provider/targets/nvmet/own";
import type { Dhchap, ExportWanted, TargetContext } from "../../../provider/targets/types";
import type { NvmetOptions } from "../../../provider/targets/nvmet/options";
import { UNKNOWN } from "../../../provider/validate";
import { mark } from "../../lab/support/kernelHost";
import { CLIENT, NvmetKernel, PORTAL } from "./nvmetKernel";

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

test("a boot file that runs while another file is at the path does not take that for the one that is served", async () => {
    const pg = want("pg");
    await kernel.host.ensure(pg);
    const differences = async () => (await kernel.host.facts("pg"))?.differences;
    const boot = () => kernel.sh(`. ${join(kernel.directory, "state/exports/nvme-tcp/pg")}`);
    await kernel.sh("printf more >> ../pg");
    expect(await differences()).toEqual([expect.stringContaining("size: ")]);
    await boot();
    expect(await differences()).toEqual([]);
    await kernel.sh("cp ../pg ../restored && mv ../restored ../pg && printf more >> ../pg");
    const exchanged = await differences();
    expect(exchanged).toEqual([expect.stringContaining("what was at the path before")]);
    await boot();
    expect(await differences()).toEqual(exchanged);
    await kernel.host.ensure(pg);
    expect(await differences()).toEqual([]);
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
        const again = () => nvmetTarget.ensure(kernel.host.context(now), want("two", ours));
        expect(again).toThrow(/different keys/);
        expect(again).toThrow(
            expect.objectContaining({
                details: expect.objectContaining({ property: "initiators" }) as object,
            }) as Error,
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

describe("keys that one export no longer gives a host", () => {
    const [K, C] = [key("1"), key("2")];
    const both = { key: K, controllerKey: C };
    const differences = async (name: string) => (await kernel.host.facts(name))?.differences;
    const boot = (name: string) => kernel.sh(`. ${join(kernel.directory, `state/exports/nvme-tcp/${name}`)}`);

    test.each<[string, Dhchap | undefined]>([
        ["all", undefined],
        ["the controller's", { key: K }],
    ])("(%s) stay while another does, at a boot too, and go with its own", async (_, less) => {
        await kernel.host.ensure(want("one", both));
        await kernel.host.ensure(want("two", both));
        await kernel.host.ensure(want("one", less));
        const kept = async () => {
            expect(await hostKey()).toBe(`${K.value}\n`);
            expect(await hostKey("ctrl_key")).toBe(`${C.value}\n`);
        };
        await kept();
        for (const name of ["one", "two"]) expect(await differences(name)).toEqual([]);
        // Of one alone, as it is read back.
        expect((await kernel.host.observe(["one"])).exports.get("one")?.differences).toEqual([]);
        await boot("two");
        await boot("one");
        await kept();
        // Neither of both is in the way of what else they change.
        for (const [name, keys] of [
            ["one", less],
            ["two", both],
        ] as const) {
            const initiators = [...want(name, keys).initiators, { name: `${CLIENT}2` }];
            await kernel.host.ensure(kernel.want(name, initiators));
        }
        await kept();
        await kernel.host.ensure(want("two", less));
        expect(await hostKey("ctrl_key")).toBe("\n");
        expect(await hostKey()).toBe(less === undefined ? "\n" : `${K.value}\n`);
        for (const name of ["one", "two"]) expect(await differences(name)).toEqual([]);
    });

    test.each<[string, () => Promise<unknown>]>([
        ["export is", () => kernel.host.remove(want("two", both))],
        [
            "export no longer admits it",
            () => kernel.host.ensure(kernel.want("two", [{ name: `${CLIENT}2` }])),
        ],
    ])("go with the last, also where that other %s gone", async (_, leave) => {
        await kernel.host.ensure(want("one", both));
        await kernel.host.ensure(want("two", both));
        await kernel.host.ensure(want("one"));
        await leave();
        expect(await hostKey()).toBe("\n");
        expect(await hostKey("ctrl_key")).toBe("\n");
        expect(await differences("one")).toEqual([]);
    });

    test("are kept while a change that was cut short has left the host admitted elsewhere", async () => {
        await kernel.host.ensure(want("one", both));
        await kernel.host.ensure(want("two", both));
        await kernel.host.ensure(want("one"));
        const without = kernel.want("two", [{ name: `${CLIENT}2` }]);
        const context = kernel.host.context(await kernel.host.observe());
        const steps = nvmetTarget.ensure(context, without).steps;
        await kernel.host.steps(
            steps.slice(
                0,
                steps.findIndex(({ label }) => label.startsWith("set up ")),
            ),
        );
        await expect(kernel.host.ensure(want("one"))).rejects.toMatchObject({
            stderr: expect.stringMatching(/still admits .*update that export first/) as string,
        });
        expect(await hostKey()).toBe(`${K.value}\n`);
        await kernel.host.ensure(without);
        await kernel.host.ensure(want("one"));
        expect(await hostKey()).toBe("\n");
        for (const name of ["one", "two"]) expect(await differences(name)).toEqual([]);
    });

    test("can be exchanged by the one that still gives them", async () => {
        await kernel.host.ensure(want("one", both));
        await kernel.host.ensure(want("two", both));
        await kernel.host.ensure(want("one"));
        await kernel.host.ensure(want("two", { key: key("3"), controllerKey: C }));
        expect(await hostKey()).toBe(`${key("3").value}\n`);
        for (const name of ["one", "two"]) expect(await differences(name)).toEqual([]);
    });

    test("are told within a program before anything is done", () => {
        const agreed = (dhchap?: Dhchap) => nvmetTarget.agreed?.(want("one", dhchap))[0];
        expect(agreed(both)).toMatchObject({ path: "initiators[0].dhchap", to: `host ${CLIENT}` });
        expect(agreed(both)?.value).toBe(agreed({ ...both })?.value);
        for (const other of [undefined, { key: K }, { key: C, controllerKey: K }])
            expect(agreed(other)?.value).not.toBe(agreed(both)?.value);
        expect(agreed(both)?.value).not.toContain(K.value);
        expect(agreed({ key: new Secret(UNKNOWN) })).toBeUndefined();
    });
});

describe("a host that is taken off an export", () => {
    const [A, B] = [CLIENT, `${CLIENT}2`];
    const admitting = (...names: string[]) =>
        kernel.want(
            "pg",
            names.map((name) => ({ name })),
        );
    const facts = async () => (await kernel.host.facts("pg")) ?? expect.fail("it is gone");
    const quiet = async () => {
        const context = kernel.host.context(await kernel.host.observe());
        expect((await facts()).differences).toEqual([]);
        expect(nvmetTarget.cuts(context, admitting(A))).toBeUndefined();
        expect(nvmetTarget.ensure(context, admitting(A)).steps).toEqual([]);
    };

    test("while connected does not count as connected ever after", async () => {
        await kernel.host.ensure(admitting(A, B));
        const { targetName } = await facts();
        kernel.connect(A, targetName);
        kernel.connect(B, targetName);
        const context = kernel.host.context(await kernel.host.observe());
        expect(nvmetTarget.cuts(context, admitting(A))?.sessions).toHaveLength(2);
        await kernel.host.ensure(admitting(A));
        expect((await facts()).sessions).toEqual([]);
        kernel.connect(A, targetName);
        expect((await facts()).sessions).toMatchObject([{ initiator: A, arrivals: 1 }]);
        await quiet();
        // Nor is it in the way of what is to cut the others.
        await kernel.sh("echo 2 > $(echo subsystems/*)/attr_qid_max");
        await kernel.host.ensure(admitting(A));
        await quiet();
    });

    test("after it has gone does not either", async () => {
        await kernel.host.ensure(admitting(A, B));
        const { targetName } = await facts();
        kernel.connect(B, targetName);
        kernel.disconnect();
        await kernel.host.ensure(admitting(A));
        kernel.connect(A, targetName);
        await quiet();
    });

    test("and has come meanwhile is seen", async () => {
        await kernel.host.ensure(admitting(A, B));
        const { targetName } = await facts();
        const { steps } = nvmetTarget.ensure(kernel.host.context(await kernel.host.observe()), admitting(A));
        kernel.connect(B, targetName);
        await kernel.host.steps(steps);
        expect((await facts()).differences).toEqual([expect.stringContaining(`${B} is connected`)]);
    });

    test("together with a portal leaves the export on the others", async () => {
        const more = "127.0.0.1:4421";
        const wider = { ...admitting(A, B), portals: [PORTAL, more] };
        const portals = kernel.host.ref.portals as string[];
        portals.push(more);
        try {
            await kernel.host.ensure(wider);
            const { targetName } = await facts();
            for (const name of [A, B]) kernel.connect(name, targetName);
            await kernel.host.ensure({ ...admitting(A), portals: [PORTAL] });
            expect((await facts()).differences).toEqual([]);
        } finally {
            portals.pop();
        }
    });

    test("and has come while it was asked who is connected is seen", async () => {
        await kernel.host.ensure(admitting(A, B));
        const { targetName } = await facts();
        const told = (what: string) => kernel.sh(`echo '[    8.1] ${what}${targetName}' >> ../log`);
        kernel.connect(A, targetName);
        await told(TOLD.asks);
        kernel.connect(B, targetName);
        await told(TOLD.left);
        expect((await facts()).sessions).toMatchObject([{ initiator: B, arrivals: 1 }]);
    });

    test.each([
        ["caller ids as the kernel writes them", "[    7.1][    T9] "],
        ["caller ids as dmesg does", "[    7.1] [  C1] "],
    ])("is found in a log with %s, and in kernels' other words", async (_, stamp) => {
        await kernel.host.ensure(admitting(A));
        const { targetName } = await facts();
        const lines = [
            "Linux version 5.10.0",
            `nvmet: creating controller 1 for subsystem ${targetName} for NQN ${A}.`,
            `nvmet: creating nvm controller 2 for subsystem ${targetName} for NQN ${A} with DH-HMAC-CHAP.`,
            `nvmet: Created nvm controller 3 for subsystem ${targetName} for NQN ${A}, TLS.`,
        ].map((line) => `${stamp}${line}`);
        kernel.connect(B, targetName);
        await kernel.sh(`printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} > ../log`);
        expect((await facts()).sessions).toMatchObject([{ initiator: A, arrivals: 3 }]);
    });

    test("is not told by what somebody calls himself who was not let in", async () => {
        await kernel.host.ensure(admitting(A));
        const { targetName } = await facts();
        kernel.connect(A, targetName);
        for (const name of [
            `x nvmet: Created nvm controller 1 for subsystem ${targetName} for NQN ${B}.`,
            `x [    7.1] nvmet: Created nvm controller 1 for subsystem ${targetName} for NQN ${B}.`,
            `x ${TOLD.asks}${targetName}`,
            `x ${TOLD.left}${targetName}`,
        ])
            await kernel.sh(`echo '[    7.2] nvmet: connect by host ${name}' >> ../log`);
        expect((await facts()).sessions).toMatchObject([{ initiator: A }]);
        await quiet();
    });
});

test("a serial number that begins with zeros is the same to a kernel that has it as a number", async () => {
    const pg = { ...want("pg"), mark: { ...mark("pg"), generation: "00ab000000000001" } };
    await kernel.host.ensure(pg);
    await kernel.sh(`s=$(echo subsystems/*)/attr_serial; sed -i 's/^0*//' $s`);
    expect((await kernel.host.facts("pg"))?.differences).toEqual([]);
    await kernel.sh("echo 1ab000000000001 > $(echo subsystems/*)/attr_serial");
    expect((await kernel.host.facts("pg"))?.differences).toEqual([expect.stringContaining("serial")]);
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

describe("a port of ours", () => {
    const port = async () => (await kernel.sh("echo ports/*")).trim();
    const alter = (what: string, value: string) =>
        kernel.sh(`for p in ports/*; do echo '${value}' > "$p/${what}"; done`);
    const differences = async () => (await kernel.host.facts("pg"))?.differences ?? [];

    test.each([
        ["ana_groups/1/ana_state", "inaccessible", false],
        ["addr_treq", "required", true],
        ["addr_tsas", "tls1.3", true],
    ])("whose %s somebody has changed is put right", async (attribute, value, cuts) => {
        const pg = want("pg");
        await kernel.host.ensure(pg);
        const before = await kernel.dump();
        await alter(attribute, value);
        const name = attribute.split("/").at(-1) ?? "";
        expect(await differences()).toEqual([expect.stringContaining(`portals: ${name} of port`)]);
        kernel.connect(CLIENT, (await kernel.host.facts("pg"))?.targetName ?? "");
        const context = kernel.host.context(await kernel.host.observe());
        // The kernel lets these be changed only while nothing is on the port.
        expect(nvmetTarget.cuts(context, pg) !== undefined).toBe(cuts);
        kernel.disconnect();
        await kernel.host.ensure(pg);
        expect(await kernel.dump()).toBe(before);
    });

    test("that others are on, too, is not taken from them", async () => {
        await kernel.host.ensure(want("pg"));
        await kernel.host.ensure(want("one"));
        await alter("addr_tsas", "tls1.3");
        const all = await kernel.dump();
        await expect(kernel.host.ensure(want("pg"))).rejects.toMatchObject({
            stderr: expect.stringMatching(/other subsystems are on it: .*rm/) as string,
        });
        expect((await kernel.dump()).replaceAll("blockhost", "")).toBe(all.replaceAll("blockhost", ""));
        await kernel.sh("rm ports/*/subsystems/*");
        for (const name of ["pg", "one"] as const) await kernel.host.ensure(want(name));
        expect(await kernel.sh(`cat ${await port()}/addr_tsas`)).toBe("none\n");
        expect(await differences()).toEqual([]);
    });
});

describe("what somebody else has made in nvmet", () => {
    const [KEY, OTHERS] = [key("1"), "nqn.2001-01.org.elsewhere:disk"];
    /** A subsystem, a host and a port at our address, by hand. */
    const make = (more = "") =>
        kernel.sh(`mkdir hosts/${CLIENT} subsystems/${OTHERS} subsystems/${OTHERS}/namespaces/1 ports/1 &&
echo '${KEY.value}' > hosts/${CLIENT}/dhchap_key && echo 'hmac(sha512)' > hosts/${CLIENT}/dhchap_hash &&
echo ffdhe2048 > hosts/${CLIENT}/dhchap_dhgroup && echo /dev/elsewhere > subsystems/${OTHERS}/namespaces/1/device_path &&
ln -s $PWD/hosts/${CLIENT} subsystems/${OTHERS}/allowed_hosts/ && cd ports/1 &&
echo tcp > addr_trtype && echo ipv4 > addr_adrfam && echo 127.0.0.1 > addr_traddr && echo 4420 > addr_trsvcid &&
echo non-optimized > ana_groups/1/ana_state && ln -s $OLDPWD/subsystems/${OTHERS} subsystems/
${more}`);
    const lines = async () => (await kernel.dump()).split("\n");
    const another = `${CLIENT}2`;

    test("stays as it is, whatever our exports to the same host at the same address do", async () => {
        await make();
        const theirs = await lines();
        const kept = async () => {
            const now = new Set(await lines());
            expect(theirs.filter((line) => !now.has(line))).toEqual([]);
        };
        const pg = want("pg", { key: KEY });
        await kernel.host.ensure(pg);
        await kept();
        expect((await kernel.host.facts("pg"))?.differences).toEqual([]);
        await kernel.host.ensure(kernel.want("pg", [...pg.initiators, { name: another }]));
        await kept();
        await kernel.host.ensure(kernel.want("pg", [{ name: another }]));
        await kept();
        await kernel.host.ensure(pg);
        await kept();
        await kernel.host.remove(pg);
        expect(await lines()).toEqual(theirs);
    });

    test.each(["before there was an export", "of an export"])("does not get other keys, %s", async (when) => {
        await make();
        if (when === "of an export") await kernel.host.ensure(want("pg", { key: KEY }));
        const context = kernel.host.context(await kernel.host.observe());
        for (const dhchap of [{ key: key("2") }, { key: KEY, controllerKey: key("2") }, undefined])
            expect(() => nvmetTarget.ensure(context, want("pg", dhchap))).toThrow(/with other keys/);
        // Nor where its maker gave it others: what it was is not put back.
        await kernel.sh(`echo '${key("3").value}' > hosts/${CLIENT}/dhchap_key`);
        const now = kernel.host.context(await kernel.host.observe());
        expect(() => nvmetTarget.ensure(now, want("pg", { key: KEY }))).toThrow(/with other keys/);
    });

    test("and admits a host of ours keeps the keys that it has", async () => {
        const pg = want("pg", { key: KEY });
        await kernel.host.ensure(pg);
        await kernel.sh(
            `mkdir subsystems/${OTHERS} && ln -s $PWD/hosts/${CLIENT} subsystems/${OTHERS}/allowed_hosts/`,
        );
        const context = kernel.host.context(await kernel.host.observe());
        expect(nvmetTarget.ensure(context, pg).steps).toEqual([]);
        for (const dhchap of [{ key: key("2") }, undefined])
            expect(() => nvmetTarget.ensure(context, want("pg", dhchap))).toThrow(/none of ours, admits it/);
        // One that changes no key is not refused.
        await kernel.host.ensure(want("one", { key: KEY }));
        await kernel.sh(`rm subsystems/${OTHERS}/allowed_hosts/*`);
        await kernel.host.ensure(want("one"));
        await kernel.sh(`ln -s $PWD/hosts/${CLIENT} subsystems/${OTHERS}/allowed_hosts/`);
        await kernel.host.ensure(kernel.want("one", [{ name: CLIENT }, { name: another }]));
        await kernel.host.remove(want("one"));
        await kernel.sh(`rm subsystems/${OTHERS}/allowed_hosts/*`);
        await kernel.host.ensure(want("pg", { key: key("2") }));
        expect(await hostKey()).toBe(`${key("2").value}\n`);
    });

    test("is refused as a port that lets nobody through", async () => {
        await make();
        const pg = want("pg", { key: KEY });
        await kernel.host.ensure(pg);
        for (const [set, reason] of [
            ["echo inaccessible > ports/1/ana_groups/1/ana_state", /ana_state.*inaccessible/],
            [
                "echo optimized > ports/1/ana_groups/1/ana_state; echo tls1.3 > ports/1/addr_tsas; echo required > ports/1/addr_treq",
                /without TLS/,
            ],
        ] as const) {
            await kernel.sh(set);
            const all = await kernel.dump();
            const facts = await kernel.host.observe();
            expect(facts.exports.get("pg")?.differences).toEqual([expect.stringMatching(reason)]);
            for (const one of [pg, want("one", { key: KEY })])
                expect(() => nvmetTarget.ensure(kernel.host.context(facts), one)).toThrow(reason);
            expect(await kernel.dump()).toBe(all);
        }
        await kernel.host.remove(pg);
    });
});
