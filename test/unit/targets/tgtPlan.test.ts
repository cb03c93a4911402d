import { describe, expect, test } from "vitest";
import { hasCode } from "../../../provider/errors";
import type { Mark } from "../../../provider/host/mark";
import { isEmpty } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import { declare } from "../../../provider/targets/tgt/model";
import type { ExportWanted } from "../../../provider/targets/types";
import { CHAP, CLIENT, mark, OTHER } from "./tgtHost";
import { differencesOf } from "../../../provider/targets/bootUnit";
import { addresses, ALICE, boot, context, live, REF, TARGET, UP, wanted } from "./tgtPrinted";

/** Plans from facts alone. */

/** Code of the error that planning ends with, or `undefined`. */
function refusal(
    lines: readonly string[],
    want = wanted(),
    reserved: readonly string[] = [],
): string | undefined {
    try {
        tgtTarget.ensure(context(lines, reserved), want);
        return undefined;
    } catch (error) {
        if (!hasCode(error, "invalid", "not-found", "not-ours", "exists", "in-use")) throw error;
        return error.code;
    }
}

test("an export is one run of three steps, and what is as wanted needs none", () => {
    const plan = tgtTarget.ensure(context(UP), wanted());
    expect(plan.steps.map(({ label }) => label)).toEqual([
        "see that export pg is as it was observed",
        "write the boot file of export pg",
        `set up target ${TARGET} in tgtd`,
    ]);
    expect(plan.touched).toEqual({ targets: { iscsi: ["pg"] } });
    expect(isEmpty(tgtTarget.ensure(context([...boot(), ...UP, ...ALICE, ...live()]), wanted()))).toBe(true);
});

test("no secret is in what may be shown of a plan, or in facts", () => {
    const mutualChap = { username: "t", password: new Secret("I-am-the-target") };
    const want = wanted({ initiators: [{ name: CLIENT, chap: CHAP, mutualChap }] });
    const plan = tgtTarget.ensure(context(UP), want);
    const shown = plan.steps.map(({ label, script }) => label + script.display).join("\n");
    expect(shown).not.toMatch(/Sesame|I-am-the-target/);
    expect(shown).toContain("password=***");
    expect(plan.steps[1]?.script.text).toContain("Sesame-Open-1");
    expect(plan.reserved?.join()).not.toMatch(/Sesame/);
    expect(JSON.stringify(context([...boot({ want }), ...UP]).facts.exports.get("pg"))).not.toMatch(/Sesame/);
});

describe("refused is", () => {
    const bob: Mark = mark("bob");
    test.each<[string, string, readonly string[], ExportWanted?]>([
        [
            "an export of another resource",
            "not-ours",
            [...boot(), ...UP, ...ALICE, ...live()],
            wanted({ mark: bob }),
        ],
        [
            "one made at another time",
            "not-ours",
            [...boot(), ...UP],
            wanted({ mark: mark("pg", "fedcba9876543210") }),
        ],
        ["a target of that name without a boot file", "not-ours", [...UP, ...live({ incoming: [] })]],
        [
            "a boot file of a newer version",
            "not-ours",
            [...boot({ markText: "blockhost:2&kind:export" }), ...UP],
        ],
        ["a file that is no boot file", "not-ours", ["B pg", ...UP]],
        ["a boot file that cannot be read", "not-ours", ["E pg Permission denied", ...UP]],
        ["an account that somebody else made", "not-ours", [...UP, ...ALICE]],
        ["another tgtd's export", "invalid", [...boot({ controlPort: 7 }), ...UP]],
        ["a malformed declaration", "invalid", UP, wanted({ initiators: [] })],
        ["a device that is gone", "not-found", [...boot({ device: "gone" }), ...UP, ...ALICE, ...live()]],
        ["a host without perl", "not-found", ["N perl"]],
        ["a host without tgtd", "not-found", ["X -1 No such file or directory"]],
        ["a portal that is taken", "in-use", ["I 123", "L 4 0500000A 3260 77 nginx"]],
        ["a portal that is taken on all addresses", "in-use", ["I 123", "L 4 00000000 3260 - "]],
        ["a portal on an address that the host lacks", "invalid", ["I 123", ...addresses("10.0.0.6")]],
        [
            "a live target of the same export, made by nobody knows whom",
            "not-ours",
            [...UP, ...live({ incoming: [], targetName: `${TARGET.slice(0, -8)}fedcba98` })],
        ],
    ])("%s: %s", (_, code, lines, want) => {
        expect(refusal(lines, want)).toBe(code);
    });

    test("one user with two secrets, in the facts or in the same run", () => {
        const other = wanted({
            name: "b",
            mark: mark("b"),
            initiators: [{ name: OTHER, chap: { ...CHAP, password: new Secret("Sesame-Open-2") } }],
        });
        const name = "iqn.2010-10.org.blockhost:b:01234567";
        expect(refusal([...boot({ want: other, targetName: name }), ...UP])).toBe("exists");
        const reserved = tgtTarget.ensure(context(UP), other).reserved ?? [];
        expect(refusal(UP, wanted(), reserved)).toBe("exists");
        const same =
            tgtTarget.ensure(context(UP), { ...other, initiators: wanted().initiators }).reserved ?? [];
        expect(refusal(UP, wanted(), same)).toBeUndefined();
    });
});

test("what cannot be observed says what to do about it", () => {
    expect(context(["X -1 Connection refused"]).facts.problem).toEqual({
        summary: "tgtd does not answer on the host: Connection refused",
        hint: "start it: systemctl enable --now tgt; it answers only the user it runs as (root), so connect as root or set `sudo: true`",
    });
    expect(context([]).facts.problem?.summary).toBe("tgtd could not be observed");
    const forged = context([...boot(), ...UP, ...live(), ...live()]).facts;
    expect(forged.problem?.summary).toMatch(/cannot be trusted/);
    expect(forged.exports.get("pg")?.differences).toEqual(["unknown: tgtd does not answer"]);
});

test.each([
    ["an observation that was cut short", [...boot(), ...UP].join("\n")],
    ["one without perl", "N perl"],
    ["boot files that cannot be listed", "F Permission denied\nX -1 x\nZ"],
    ["nothing", ""],
])("%s does not make exports gone", (_, output) => {
    const facts = tgtTarget.parse(REF, output);
    expect(facts.problem).toBeDefined();
    expect(facts.extra).toBeUndefined();
    const broken = { ...context(UP), facts };
    expect(() => tgtTarget.remove(broken, { name: "other", mark: mark("other") })).toThrow(/\[not-found\]/);
    expect(() => tgtTarget.ensure(broken, wanted())).toThrow(/\[not-found\]/);
});

test("the unit that runs boot files comes with the first export of a run, and goes with the last", () => {
    const labels = (lines: readonly string[], reserved: readonly string[] = []) =>
        tgtTarget.ensure(context([...UP, ...lines], reserved), wanted()).steps.map(({ label }) => label);
    const install = "have exports made anew at boot, and flushed at shutdown";
    expect(labels([])).not.toContain(install);
    expect(labels(["U installed"])).not.toContain(install);
    expect(labels(["U missing"])).toContain(install);
    const { reserved = [] } = tgtTarget.ensure(context([...UP, "U missing"]), wanted());
    expect(
        labels(
            ["U missing"],
            reserved.filter((name) => name.startsWith("targets/")),
        ),
    ).not.toContain(install);
    const lines = [...boot(), ...UP, ...ALICE, ...live(), "U installed"];
    const removed = tgtTarget.remove(context(lines), wanted()).steps.at(-1)?.script.text ?? "";
    // While there is a boot file, without which nobody would ask for the unit any more.
    const [unit, file] = ["systemctl --quiet --no-reload disable", ': > "$file"'].map((words) =>
        removed.indexOf(words),
    );
    expect(unit).toBeGreaterThan(0);
    expect(file).toBeGreaterThan(unit ?? 0);
});

test("where the unit is missing, or is a former version's, exports that are as declared bring it", () => {
    const with_ = (...lines: string[]) => context([...boot(), ...UP, ...ALICE, ...live(), ...lines]);
    const drift = ({ facts }: ReturnType<typeof context>) => {
        const one = facts.exports.get("pg");
        return one === undefined ? undefined : differencesOf(facts, one);
    };
    expect(drift(with_("U installed"))).toEqual([]);
    expect(drift(with_())).toEqual([]);
    expect(drift(with_("U missing"))).toEqual([expect.stringMatching(/^unit: /)]);
    expect(isEmpty(tgtTarget.ensure(with_("U installed"), wanted()))).toBe(true);
    const first = tgtTarget.ensure(with_("U missing"), wanted());
    expect(first.steps.map(({ label }) => label)).toEqual([
        "see that export pg is as it was observed",
        "have exports made anew at boot, and flushed at shutdown",
    ]);
    // A second one of the same run is only read again after it.
    const lines = [...boot(), ...UP, ...ALICE, ...live(), "U missing"];
    const second = tgtTarget.ensure(context(lines, first.reserved), wanted());
    expect(second.steps.map(({ label }) => label)).toEqual(["see that export pg is as it was observed"]);
});

test("connection properties tell what is live", () => {
    const want = wanted({ readOnly: true });
    const facts = context([...boot({ want }), ...UP]).facts.exports.get("pg");
    if (facts === undefined) throw new Error("no export");
    const { data } = tgtTarget.connection(REF, wanted(), facts);
    expect(data).toMatchObject({ access_mode: "ro", target_portal: "10.0.0.5:3260", target_lun: 1 });
    expect(Object.keys(data)).not.toContain("target_portals");
});

test("an unfinished change is told by the mark's phase and as a difference", () => {
    const facts = context([...boot({ applied: "0" }), ...UP, ...ALICE, ...live()]).facts.exports.get("pg");
    expect(facts?.mark.phase).toBe("creating");
    expect(facts?.differences).toEqual(["unfinished: the last change was not carried out to its end"]);
});

test("accounts are unbound from the last slot to the first, behind a closed access list", () => {
    const lines = [
        ...boot(),
        ...UP,
        ...ALICE,
        "A     eve",
        ...live({ incoming: ["eve", "mallory", "alice"] }),
    ];
    const script = tgtTarget.ensure(context(lines), wanted()).steps[2]?.script.text ?? "";
    const said = script.split("\n").filter((line) => /^(request|cut)/.test(line));
    expect(said.map((line) => line.split(" ")[1]?.replaceAll("%20", " "))).toEqual([
        `no longer admit ${CLIENT}`,
        `no longer admit ${CLIENT}`,
        "unbind account alice",
        "unbind account mallory",
        "unbind account eve",
    ]);
});

test("a change cuts those whom it concerns", () => {
    const want = wanted({
        initiators: [
            { name: CLIENT, chap: CHAP },
            { name: OTHER, chap: CHAP },
        ],
    });
    const lines = [...boot({ want }), ...UP, ...ALICE, ...live({ want, sessions: [CLIENT, OTHER] })];
    const cut = (changes: Partial<ExportWanted>) =>
        tgtTarget.cuts(context(lines), { ...want, ...changes })?.sessions.map(({ initiator }) => initiator);
    expect(cut({})).toBeUndefined();
    expect(cut({ initiators: [{ name: CLIENT, chap: CHAP }] })).toEqual([OTHER]);
    expect(
        cut({
            initiators: [
                { name: CLIENT, chap: { ...CHAP, password: new Secret("Sesame-Open-2") } },
                { name: OTHER, chap: { ...CHAP, password: new Secret("Sesame-Open-2") } },
            ],
        }),
    ).toBeUndefined();
    expect(cut({ readOnly: true })).toEqual([CLIENT, OTHER]);
    expect(cut({ discard: true })).toBeUndefined();
    expect(cut({ devicePath: "/srv/other.img" })).toEqual([CLIENT, OTHER]);
    expect(cut({ initiators: [], addresses: ["10.0.0.0/24"] })).toBeUndefined();
    expect(cut({ initiators: [], addresses: ["10.0.1.0/24"] })).toEqual([CLIENT, OTHER]);
});

test("the digest changes with everything declared, and with nothing else", () => {
    const digest = (changes: Partial<ExportWanted>) => declare(REF, wanted(changes)).digest;
    const base = digest({});
    for (const changes of [
        { readOnly: true },
        { discard: true },
        { devicePath: "/srv/x" },
        { mark: mark("pg", "fedcba9876543210") },
        { portals: ["10.0.0.6:3260"] },
        { initiators: [{ name: CLIENT }] },
        { initiators: [{ name: CLIENT, chap: { ...CHAP, password: new Secret("Sesame-Open-2") } }] },
        { initiators: [], addresses: ["10.0.0.9"] },
    ]) {
        expect(digest(changes)).not.toBe(base);
    }
    for (const changes of [{ sizeBytes: 1 }, { mark: mark("renamed") }, { portals: ["10.0.0.5:3260"] }]) {
        expect(digest(changes)).toBe(base);
    }
});
