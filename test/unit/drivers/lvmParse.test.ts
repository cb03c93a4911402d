import { describe, expect, test } from "vitest";
import { lvmDriver } from "../../../provider/drivers/lvm";
import {
    EXTENT,
    GROUP,
    MiB,
    POOL_UUID,
    THICK,
    THIN,
    VG_UUID,
    type World,
    cowLv,
    factsOf,
    lv,
    poolOf,
    printed,
    tags,
    thinLv,
} from "../../support/lvmFacts";

const problemOf = (world: World) => factsOf(world).problem;

describe("a pool", () => {
    test("is its volume group, and its thin pool", () => {
        expect(factsOf({ options: THICK })).toMatchObject({ id: VG_UUID, extra: { extent: String(EXTENT) } });
        const thin = factsOf({});
        expect(thin.id).toBe(`${VG_UUID}/${POOL_UUID}`);
        expect(thin.problem).toBeUndefined();
    });

    test("has the size of the group, or of the thin pool", () => {
        expect(factsOf({ options: THICK }).capacity).toMatchObject({
            totalBytes: 8581545984,
            freeBytes: 5293211648,
        });
        const half = { data_percent: "50.00" };
        expect(factsOf({ thinPool: half }).capacity).toMatchObject({
            totalBytes: 3221225472,
            freeBytes: 1610612736,
        });
        expect(factsOf({ options: { ...THICK, raid: "raid1" } }).capacity.totalBytes).toBe(4290772992);
    });

    test("tells when its thin pool is nearly full", () => {
        expect(factsOf({ thinPool: { data_percent: "94.99" } }).health).toEqual([]);
        expect(factsOf({ thinPool: { data_percent: "95.00" } }).health?.[0]).toMatch(/95 % full/);
        expect(factsOf({ thinPool: { metadata_percent: "80.10" } }).health?.[0]).toMatch(/metadata.*80 %/);
    });

    const others = [{ vg: { ...GROUP, vg_name: "vg1", vg_uuid: "other" }, lv: [] }];
    test.each<[string, World, RegExp, RegExp]>([
        ["missing", { groups: others }, /not on the host/, /volume groups there: vg1/],
        ["missing and known", { groups: others, record: `${VG_UUID}/x` }, /which knows it/, /disks/],
        [
            "renamed",
            { groups: [{ vg: { ...GROUP, vg_name: "new" }, lv: [] }], record: `${VG_UUID}/x` },
            /called "new"/,
            /vgrename new vg0/,
        ],
        ["another one", { record: "other/x" }, /another one/, /remove .*pools\/lvm@vg0@pool0/],
        ["another thin pool", { record: `${VG_UUID}/x` }, /thin pool .* another one/, /remove /],
        [
            "twice",
            {
                groups: [
                    { vg: GROUP, lv: [] },
                    { vg: { ...GROUP, vg_uuid: "twin" }, lv: [] },
                ],
            },
            /several.*twin/,
            /vgrename UUID/,
        ],
        [
            "incomplete",
            {
                groups: [
                    {
                        vg: { ...GROUP, vg_missing_pv_count: "1" },
                        pv: [{ pv_name: "[unknown]", pv_uuid: "lost", pv_missing: "missing" }],
                        lv: [],
                    },
                ],
            },
            /1 of its disks missing \(lost\)/,
            /attach/,
        ],
        ["exported", { groups: [{ vg: { ...GROUP, vg_attr: "wzx-n-" }, lv: [] }] }, /exported/, /vgimport/],
        [
            "without its thin pool",
            { groups: [{ vg: GROUP, lv: [] }] },
            /"vg0\/pool0".*does not exist/,
            /lvcreate/,
        ],
        ["with something else there", { thinPool: { lv_layout: "linear" } }, /no thin pool/, /thinPool/],
        ["with its thin pool inactive", { thinPool: { lv_active: "" } }, /not active/, /vgchange -ay vg0/],
        [
            "not activated",
            { options: THICK, volumes: [lv("a", { ...tags(), lv_active: "" })] },
            /none of its volumes/,
            /vgchange -ay/,
        ],
        [
            "without rights",
            { status: 5, said: "/run/lock/lvm/P_global: Permission denied" },
            /lacks the rights/,
            /NOPASSWD/,
        ],
        [
            "without device mapper",
            { said: "/dev/mapper/control: open failed: No such device" },
            /device mapper/,
            /modprobe/,
        ],
        ["with an old lvm2", { status: 3, said: "Unrecognised field: lv_role" }, /too old/, /2\.03/],
        ["with LVM failing", { status: 3, said: "Something broke" }, /Something broke/, /fullreport/],
    ])("%s: says so, and what to do", (_, world, summary, hint) => {
        const problem = problemOf(world);
        expect(problem?.summary).toMatch(summary);
        expect(problem?.hint).toMatch(hint);
        expect(factsOf(world)).toMatchObject({ id: "", capacity: { totalBytes: 0 } });
    });

    test("cut short at any point is a problem, never a shorter list", () => {
        const whole = printed({ volumes: [thinLv("a", tags()), thinLv("b", tags())] });
        for (let length = 0; length < whole.length; length += 7) {
            const facts = lvmDriver.parse(poolOf({}), whole.slice(0, length));
            expect(facts.problem === undefined && facts.objects.size < 3, String(length)).toBe(false);
        }
    });

    test("is read from the last try, where LVM crashed in one before", () => {
        const text = printed({}).split("\n");
        const start = text.findIndex((line) => line.startsWith("report ")) + 1;
        const broken = [...text.slice(0, start), ...text.slice(start, start + 5), ...text.slice(start)].join(
            "\n",
        );
        expect(lvmDriver.parse(poolOf({}), broken).id).toBe(`${VG_UUID}/${POOL_UUID}`);
    });
});

describe("an object", () => {
    test("is a thin volume of the pool, with what it really takes", () => {
        const facts = factsOf({ volumes: [thinLv("a", tags())] }).objects.get("a");
        expect(facts).toMatchObject({
            path: "/dev/vg0/a",
            uid: "uuid-a",
            sizeBytes: 40 * MiB,
            allocatedBytes: 10 * MiB,
            mark: { generation: "0123456789abcdef" },
        });
        expect(facts?.health).toBeUndefined();
    });

    test("of the group but not of the pool has a name, and nothing to work on", () => {
        const facts = factsOf({ volumes: [lv("root", tags())] });
        expect(facts.objects.get("root")).not.toHaveProperty("sizeBytes");
        expect(facts.objects.get("root")).not.toHaveProperty("mark");
        expect(facts.capacity.provisionedBytes).toBe(0);
        expect(
            factsOf({ options: THICK, volumes: [thinLv("a", tags())] }).objects.get("a")?.mark,
        ).toBeUndefined();
        expect(facts.objects.has("pool0")).toBe(true);
    });

    test("that is a snapshot of a thick volume has its size, and counts for its space", () => {
        const facts = factsOf({ options: THICK, volumes: [lv("v", tags()), cowLv("s", "v")] });
        expect(facts.objects.get("s")).toMatchObject({ sizeBytes: 40 * MiB, provisionedBytes: 12 * MiB });
        expect(facts.capacity.provisionedBytes).toBe(52 * MiB);
    });

    test.each<[string, World, RegExp | undefined, boolean]>([
        ["inactive", { volumes: [thinLv("a", { ...tags(), lv_active: "" })] }, /not active/, true],
        [
            "of a full pool",
            { thinPool: { data_percent: "100.00" }, volumes: [thinLv("a", tags())] },
            /full/,
            false,
        ],
        [
            "of a pool with full metadata",
            { thinPool: { lv_health_status: "metadata_read_only" }, volumes: [thinLv("a", tags())] },
            /poolmetadatasize/,
            false,
        ],
        [
            "a snapshot whose space is nearly full",
            { options: THICK, volumes: [cowLv("a", "v", { ...tags(), data_percent: "85.00" })] },
            /80 % full.*lvextend/,
            false,
        ],
        [
            "a snapshot that has overflowed",
            { options: THICK, volumes: [cowLv("a", "v", { ...tags(), data_percent: "100.00" })] },
            /lost/,
            false,
        ],
        ["of somebody else", { volumes: [thinLv("a", { lv_active: "" })] }, undefined, false],
    ])("%s: says what is wrong with it", (_, world, text, mendable) => {
        const facts = factsOf(world).objects.get("a");
        if (text === undefined) expect(facts?.health).toBeUndefined();
        else expect(facts?.health?.join()).toMatch(text);
        expect(facts?.mendable ?? false).toBe(mendable);
    });

    test("with two marks, or one of a later format, is nobody's", () => {
        const two = {
            lv_tags: `${tags()["lv_tags"] ?? ""},${tags({ generation: "f".repeat(16) })["lv_tags"] ?? ""}`,
        };
        const later = { lv_tags: "blockhost:9&kind:volume" };
        for (const row of [two, later]) {
            const facts = factsOf({ volumes: [thinLv("a", row)] }).objects.get("a");
            expect(facts?.mark).toBeUndefined();
            expect(facts?.extra?.["unreadableMark"]).toBeTruthy();
        }
    });

    test("in whose place a copy stands during a revert is not gone", () => {
        const kept = thinLv("s.safety", tags({ kind: "snapshot", phase: "reverting" }));
        expect(factsOf({ volumes: [kept] }).objects.get("s")).toMatchObject({
            name: "s",
            uid: "uuid-s.safety",
            extra: { keptAs: "s.safety" },
        });
        expect(factsOf({ options: THIN, volumes: [kept, thinLv("s")] }).objects.get("s")?.uid).toBe("uuid-s");
    });
});
