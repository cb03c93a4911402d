import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { lvmDriver } from "../../../provider/drivers/lvm";
import { BlockhostError, type ErrorCode } from "../../../provider/errors";
import type { Mark } from "../../../provider/host/mark";
import { IN_USE, type Plan, isEmpty } from "../../../provider/host/plan";
import { quote } from "../../../provider/sh";
import {
    MiB,
    POOL_UUID,
    THICK,
    THIN,
    VG_UUID,
    type World,
    contextOf,
    cowLv,
    lv,
    mark,
    poolOf,
    tags,
    thinLv,
} from "../../support/lvmFacts";

const known = { record: `${VG_UUID}/${POOL_UUID}` };
const knownThick = { options: THICK, record: VG_UUID };
const want = { name: "a", mark: mark(), sizeBytes: 40 * MiB };
const commands = (plan: Plan) =>
    plan.steps.map(({ script }) => script.display).filter((display) => display !== "");
const work = (plan: Plan) => (plan.later ?? []).map((later) => later.work);

function code(what: () => Plan): ErrorCode | undefined {
    try {
        what();
        return undefined;
    } catch (error) {
        expect(error).toBeInstanceOf(BlockhostError);
        return (error as BlockhostError).code;
    }
}

describe("create", () => {
    test("makes a thin volume inactive, with its mark, and leaves activation to the end of the run", () => {
        const plan = lvmDriver.create(contextOf(known), want);
        expect(commands(plan)).toHaveLength(1);
        expect(commands(plan)[0]).toMatch(
            /^lvm lvcreate vg0 --type thin -an -kn --thinpool pool0 -V 41943040b --addtag '?blockhost:1&kind:volume.*&phase:ready'? -n a$/,
        );
        expect(work(plan)).toEqual(["activate a"]);
        expect(plan.touched).toEqual({ pools: { fast: ["a"] } });
    });

    test("makes a thick one active and without remains of others' data", () => {
        const plan = lvmDriver.create(contextOf(knownThick), want);
        expect(commands(plan)[0]).toMatch(/^lvm lvcreate vg0 -y -Wy -Zy -l 10 --addtag .* -n a$/);
        expect(work(plan)).toEqual([]);
    });

    test.each([
        [{ raid: "raid1" }, "--type raid1 -m 1 -l 10"],
        [{ raid: "raid10", stripes: 3 }, "--type raid10 -m 1 -i 3 -l 10"],
        [{ stripes: 2 }, "--type striped -i 2 -l 10"],
    ])("lays a thick one out as the pool says: %o", (more, text) => {
        const world = { ...knownThick, options: { ...THICK, ...more } };
        expect(commands(lvmDriver.create(contextOf(world), want))[0]).toContain(text);
        const grain = lvmDriver.grain(poolOf(world), contextOf(world).facts);
        expect(grain).toBe(4 * MiB * ("stripes" in more ? (more.stripes ?? 1) : 1));
    });

    test("remembers a pool that is new to the host", () => {
        expect(work(lvmDriver.create(contextOf({}), want))).toContain(`remember ${VG_UUID}/${POOL_UUID}`);
    });

    test("has nothing to do for what is there, but to activate it", () => {
        const there = (more: Record<string, string> = {}) => ({
            ...known,
            volumes: [thinLv("a", { ...tags(), ...more })],
        });
        expect(isEmpty(lvmDriver.create(contextOf(there()), want))).toBe(true);
        expect(commands(lvmDriver.create(contextOf(there({ lv_active: "" })), want))).toEqual([
            "lvm lvchange -y -ay -K vg0/a",
        ]);
        const other = { ...want, sizeBytes: 80 * MiB };
        expect(code(() => lvmDriver.create(contextOf(there()), other))).toBe("exists");
    });

    const theirs = tags({ owner: { ...mark().owner, stack: "theirs" } });
    test.each<[string, World, ErrorCode]>([
        ["of another stack", { volumes: [thinLv("a", theirs)] }, "not-ours"],
        ["without a mark", { volumes: [thinLv("a")] }, "not-ours"],
        ["in another pool of the group", { volumes: [lv("a")] }, "not-ours"],
        [
            "of the thin pool itself",
            { options: { ...THIN, thinPool: "a" }, thinPool: { lv_name: "a" } },
            "not-ours",
        ],
        ["in a pool that is missing", { groups: [] }, "not-found"],
        ["in a pool that is full by policy", { thinPool: { data_percent: "95.00" } }, "no-space"],
        [
            "in a pool whose metadata is full by policy",
            { thinPool: { metadata_percent: "80.00" } },
            "no-space",
        ],
        ["beyond what may be promised", { limits: { maxOverSubscriptionRatio: 0.01 } }, "no-space"],
    ])("refuses a name %s", (_, world, expected) => {
        expect(code(() => lvmDriver.create(contextOf(world), want))).toBe(expected);
    });
});

describe("a thick copy that was cut short", () => {
    test("lets go what it holds now, not what had been held before", () => {
        const creating = mark({ phase: "creating", extra: { source: "v" } });
        const held = mark({ kind: "safety", extra: { origin: "v", for: "copy" } });
        const world = {
            ...knownThick,
            volumes: [
                lv("v", tags({ generation: "5".repeat(16) })),
                lv("a", tags(creating)),
                cowLv("a.safety", "v", tags(held)),
            ],
        };
        const from = { name: "v", inUse: false };
        const [before, after] = commands(lvmDriver.create(contextOf(world), { ...want, from }))
            .join("\n")
            .split("lvcreate")
            .map((part) => /lvremove -y -S .*/.exec(part)?.[0] ?? "");
        expect(before).toMatch(/lv_uuid=.*vg0\/a\.safety/);
        expect(after).toMatch(/lv_tags=.*for:copy.*vg0\/a\.safety/);
        expect(after).not.toContain("lv_uuid");
    });
});

describe("what lvcreate had only begun to make a thick snapshot of, when the power failed", () => {
    const extra = { origin: "v", origingen: "5".repeat(16) };
    const volume = (more: Partial<Mark> = {}) => lv("v", tags({ generation: "5".repeat(16), ...more }));

    test("is no snapshot: it is removed, and taken again", () => {
        const world = { ...knownThick, volumes: [volume(), lv("s", tags({ kind: "snapshot", extra }))] };
        const take = { name: "s", mark: mark({ kind: "snapshot" }), volume: "v", inUse: false };
        const plan = lvmDriver.snapshot(contextOf(world), take);
        expect(work(plan)).toEqual([expect.stringMatching(/^remove s uuid-s .*phase:ready/)]);
    });

    test("keeps nothing of a volume that is reverted: it is taken anew before anything is written", () => {
        const snapshot = cowLv("s", "v", tags({ kind: "snapshot", generation: "4".repeat(16), extra }));
        const safety = (token: string) =>
            tags({ kind: "safety", generation: "5".repeat(16), extra: { ...extra, token } });
        const reverting = volume({
            phase: "reverting",
            extra: { pending: "one", from: "s", size: String(40 * MiB) },
        });
        const want = {
            name: "v",
            mark: mark({ generation: "5".repeat(16), extra: { token: "one" } }),
            snapshot: "s",
        };
        const begun = lvmDriver.revert(contextOf({ ...knownThick, volumes: [volume(), snapshot] }), want);
        const made = /token:([0-9a-f]{16})/.exec(commands(begun).join("\n"))?.[1] ?? "";
        const half = { ...knownThick, volumes: [reverting, snapshot, lv("v.safety", safety(made))] };
        expect(commands(lvmDriver.revert(contextOf(half), want)).join("\n")).toMatch(
            /lvremove -y -S .*uuid-v\.safety.*\n[^]*lvcreate .*-s .*-n v\.safety/,
        );
        const whole = { ...half, volumes: [reverting, snapshot, cowLv("v.safety", "v", safety(made))] };
        expect(commands(lvmDriver.revert(contextOf(whole), want)).join("\n")).not.toContain("v.safety");
    });
});

describe("a thick snapshot that has overflowed", () => {
    const world = {
        ...knownThick,
        volumes: [
            lv("v", tags()),
            cowLv("s", "v", { ...tags({ kind: "snapshot" }), data_percent: "100.00" }),
        ],
    };

    test("is no source, and nothing goes back to it: it is said before anything is changed", () => {
        expect(
            code(() => lvmDriver.create(contextOf(world), { ...want, from: { name: "s", inUse: false } })),
        ).toBe("invalid");
        const revert = { name: "v", mark: mark({ extra: { token: "one" } }), snapshot: "s" };
        expect(code(() => lvmDriver.revert(contextOf(world), revert))).toBe("invalid");
    });
});

describe("growing a thick volume with snapshots", () => {
    const grow = { name: "a", mark: mark(), sizeBytes: 80 * MiB };
    const snapshot = cowLv("s", "a");
    const plan = (volume: ReturnType<typeof lv>) =>
        commands(lvmDriver.extend(contextOf({ ...knownThick, volumes: [volume, snapshot] }), grow)).join(
            "\n",
        );

    test("takes it down for a moment, and says so in its mark", () => {
        expect(plan(lv("a", tags()))).toMatch(
            /growing:1.*\n.*lvchange -y -an vg0\/a\nlvm lvextend -L 83886080b vg0\/a\n.*-ay -K vg0\/a.*\n.*--addtag [^ ]*phase:ready'? vg0\/a$/,
        );
    });

    test("cut short is mended", () => {
        const half = lv("a", { ...tags({ extra: { growing: "1" } }), lv_active: "" });
        const context = contextOf({ ...knownThick, volumes: [half, snapshot] });
        expect(context.facts.problem).toBeUndefined();
        expect(context.facts.objects.get("a")?.mendable).toBe(true);
        const heal = lvmDriver.heal?.(context, { name: "a", mark: mark() }) ?? { steps: [], touched: {} };
        expect(commands(heal).join("\n")).toMatch(
            /-ay -K vg0\/a\n.*--deltag .*growing:1.* --addtag [^ ]*phase:ready'? /,
        );
    });
});

describe("names", () => {
    test.each([
        "snapshot1",
        "pvmove0",
        "a_tdata",
        "x_tmeta_y",
        "a_mlog",
        "a_rimage_0",
        "-a",
        ".",
        "..",
        "a b",
        `${"x-".repeat(31)}x`,
    ])("%j is refused with the reason", (name) => {
        const problem = lvmDriver.nameProblem?.(
            poolOf({ options: { volumeGroup: "a-group-of-some-length" } }),
            name,
        );
        expect(problem).toContain(JSON.stringify(name).slice(0, 40).replace(/"$/, ""));
        if (/^\w+$/.test(name))
            expect(code(() => lvmDriver.create(contextOf(known), { ...want, name }))).toBe("invalid");
    });

    test.each(["a", "pg-data", "mysnapshot", "tdata", "A.b_c", "_x"])("%j is fine", (name) => {
        expect(lvmDriver.nameProblem?.(poolOf({}), name)).toBeUndefined();
    });
});

describe("options", () => {
    test.each([
        [{ volumeGroup: "vg 0" }, "volumeGroup"],
        [{ volumeGroup: "-vg" }, "volumeGroup"],
        [{ ...THIN, raid: "raid1" }, "raid"],
        [{ ...THIN, snapshotPercent: 10 }, "snapshotPercent"],
        [{ ...THICK, maxDataPercent: 90 }, "maxDataPercent"],
        [{ ...THICK, raid: "raid1", stripes: 2 }, "stripes"],
        [{ ...THICK, deviceFilter: ["a|x|' -y '"] }, "deviceFilter"],
        [{ ...THICK, deviceFilter: ['a|"|'] }, "deviceFilter"],
    ])("%o are refused", (options, path) => {
        const result = lvmDriver.options.safeParse(options);
        expect(result.error?.issues.map((issue) => issue.path[0])).toContain(path);
    });
});

describe("remove", () => {
    const wipe = { method: "none", limitBytes: 0, ionice: "idle" } as const;

    test("checks that it is closed, and goes with the others of the run, by UUID and mark", () => {
        const text = tags()["lv_tags"] ?? "";
        const plan = lvmDriver.remove(contextOf({ ...known, volumes: [thinLv("a", tags())] }), {
            ...want,
            wipe,
        });
        expect(plan.steps).toHaveLength(1);
        const guard = plan.steps[0]?.script.text ?? "";
        expect(guard).toContain("bh_lvm_shut");
        expect(work(plan)).toEqual([`remove a uuid-a ${text}`]);
    });

    test.each([
        ["is closed", "", "", 0],
        ["is not active, of which LVM does not know", "unknown", "unknown", 0],
        ["has been closed by an earlier step", "open", "", 0],
        ["has been taken down by an earlier step", "open", "unknown", 0],
        ["is open", "open", "open", IN_USE],
    ])("goes on where it %s", (_, first, later, status) => {
        const world = contextOf({ ...known, volumes: [thinLv("a", tags())] });
        const guard = lvmDriver.remove(world, { ...want, wipe }).steps[0]?.script.text ?? "";
        const session = lvmDriver.session?.([{ pool: poolOf({}), only: ["a"] }]);
        const now = (open: string) =>
            quote(
                [
                    `"vg_name":"vg0", "vg_uuid":"${VG_UUID}", "vg_missing_pv_count":"0"`,
                    `"vg_name":"vg0", "lv_name":"pool0", "lv_uuid":"${POOL_UUID}", "lv_tags":"", "lv_device_open":""`,
                    `"vg_name":"vg0", "lv_name":"a", "lv_uuid":"uuid-a", "lv_tags":"${tags()["lv_tags"] ?? ""}", "lv_device_open":"${open}"`,
                ].join("\n"),
            );
        const script = `${session?.functions.text ?? ""}
bh_lvm_look() { printf %s ${now(later)}; }
sleep() { :; }
bh_lvm_now=${now(first)}
( ${guard} )`;
        expect(spawnSync("sh", { input: script, encoding: "utf8" })).toMatchObject({ status });
    });

    test("of a thick volume takes its safety snapshot first", () => {
        const safety = cowLv("a.safety", "a", tags({ kind: "safety" }));
        const world = { ...knownThick, volumes: [lv("a", tags()), safety] };
        const verbs = work(lvmDriver.remove(contextOf(world), { ...want, wipe })).map((text) =>
            text.split(" ", 2),
        );
        expect(verbs).toEqual([
            ["drop", "a.safety"],
            ["remove", "a"],
        ]);
    });

    test("is refused while somebody else's snapshot lives on a thick volume", () => {
        const world = { ...knownThick, volumes: [lv("a", tags()), cowLv("theirs", "a")] };
        expect(code(() => lvmDriver.remove(contextOf(world), { ...want, wipe }))).toBe("in-use");
    });

    test("of another generation is refused", () => {
        const world = { ...known, volumes: [thinLv("a", tags({ generation: "f".repeat(16) }))] };
        expect(code(() => lvmDriver.remove(contextOf(world), { ...want, wipe }))).toBe("not-ours");
    });

    test("wipes first: zeros on a thick volume, as long work where it is large; discard on a thin one", () => {
        const zero = { method: "zero", limitBytes: 0, ionice: 3 } as const;
        const small = lvmDriver.remove(contextOf({ ...knownThick, volumes: [lv("a", tags())] }), {
            ...want,
            wipe: zero,
        });
        expect(commands(small).join("\n")).toMatch(/phase:deleting[^]*ionice -t -c 2 -n 3 perl/);
        expect(work(small)[0]).toContain("phase:deleting&wipe:zero.0.3");
        const large = { ...knownThick, volumes: [lv("a", { ...tags(), lv_size: "1073741824" })] };
        expect(lvmDriver.remove(contextOf(large), { ...want, wipe: zero })).toMatchObject({
            waitFor: "lvm-wipe-a-0123456789abcdef",
        });
        const thin = lvmDriver.remove(contextOf({ ...known, volumes: [thinLv("a", tags())] }), {
            ...want,
            wipe: zero,
        });
        expect(commands(thin).join("\n")).toContain("blkdiscard -l 41943040 /dev/vg0/a");
    });

    test("makes a thin volume's safety snapshot writable, which could not be wiped else", () => {
        const safety = thinLv("a.safety", { ...tags({ kind: "safety" }), lv_permissions: "read-only" });
        const world = { ...known, volumes: [thinLv("a", tags()), safety] };
        const zero = { method: "zero", limitBytes: 0, ionice: 3 } as const;
        expect(commands(lvmDriver.remove(contextOf(world), { ...want, wipe: zero })).join("\n")).toMatch(
            /lvchange -prw vg0\/a\.safety\n[^]*blkdiscard -l \d+ \/dev\/vg0\/a\.safety/,
        );
    });
});

describe("revert of a thin volume", () => {
    const snap = (phase: Mark["phase"] = "ready") =>
        tags({ kind: "snapshot", generation: "5".repeat(16), phase, extra: { origin: "a" } });
    const reverting = (extra: Record<string, string> = {}) =>
        tags({ phase: "reverting", extra: { pending: "t", from: "s", size: "41943040", ...extra } });
    const ask = { name: "a", mark: mark({ extra: { token: "t" } }), snapshot: "s" };
    const plan = (...volumes: ReturnType<typeof lv>[]) =>
        commands(lvmDriver.revert(contextOf({ ...known, volumes }), ask)).join("\n");

    test("merges the snapshot while both are down, and puts a copy in its place", () => {
        const all = plan(thinLv("a", tags()), thinLv("s", snap()));
        expect(all).toMatch(
            /lvchange -y -an vg0\/a; lvm lvchange -y -an vg0\/s\n.*phase:reverting.*\n.*vg0\/a -n a\.safety\n.*vg0\/s -n s\.safety\nlvm lvconvert -y --merge vg0\/s\n.*merged:1.*\nlvm lvrename vg0 s\.safety s.*\n.*token:t.*lvchange -y -ay -K vg0\/a vg0\/s vg0\/a\.safety$/,
        );
    });

    test("once merged only finishes, and never merges again", () => {
        const kept = thinLv("s.safety", snap("reverting"));
        for (const world of [
            [thinLv("a", reverting()), kept],
            [thinLv("a", reverting({ merged: "1" })), kept],
            [thinLv("a", reverting({ merged: "1" })), thinLv("s", snap("reverting"))],
            [thinLv("a", reverting({ merged: "1" })), thinLv("s", snap())],
        ]) {
            const all = plan(...world);
            expect(all).not.toMatch(/--merge|lvremove|lvcreate/);
            expect(all).toMatch(/phase:ready&token:t/);
        }
    });

    test("that nobody asks for any more takes back what was kept, unless it was merged", () => {
        const other = { ...ask, mark: mark({ extra: { token: "other" } }) };
        const undo = (...volumes: ReturnType<typeof lv>[]) =>
            commands(lvmDriver.revert(contextOf({ ...known, volumes }), other)).join("\n");
        const kept = thinLv("s.safety", snap("reverting"));
        const before = undo(thinLv("a", reverting()), thinLv("s", snap()), kept);
        expect(before).toMatch(/lvremove -y -S .* vg0\/s\.safety/);
        expect(before).not.toMatch(/token:/);
        expect(undo(thinLv("a", reverting()), kept)).not.toMatch(/lvremove/);
    });
});
