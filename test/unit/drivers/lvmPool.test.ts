import { describe, expect, test } from "vitest";
import { lvmPools } from "../../../provider/drivers/lvm/pool";
import { memberUuid } from "../../../provider/drivers/lvm/pool/disks";
import { profileText } from "../../../provider/drivers/lvm/pool/profile";
import { defaultChunk, defaultMetadata, newLayout } from "../../../provider/drivers/lvm/pool/sizes";
import { containerOf } from "../../../provider/drivers/lvm/pool/facts";
import type { ErrorCode } from "../../../provider/errors";
import {
    EXTENT,
    MARK,
    commands,
    disk,
    poolContext,
    uuid,
    want,
    type Reported,
} from "../../support/poolFacts";

/** What planners of volume groups decide; that LVM does it is tried in the lab. */

const PROFILES = { "blockhost-extend-80-20": profileText({ threshold: 80, percent: 20 }) };
const EMPTY = { disks: { 1: {}, 2: {} } } satisfies Reported;
/** A pool on two disks just as declared: data, metadata, spare. */
const READY = {
    disks: { 1: { signatures: ["member"] }, 2: { signatures: ["member"] } },
    members: { 1: { used: 1000 }, 2: { used: 667 } },
    thinPool: 1659,
    profiles: PROFILES,
} satisfies Reported;

function refusal(plan: () => unknown): { code: ErrorCode; message: string } {
    try {
        plan();
    } catch (error) {
        return error as { code: ErrorCode; message: string };
    }
    throw new Error("it was not refused");
}

const FLUSH = "flush the disks";

describe("making a pool", () => {
    test("labels the disks, and makes the group with a mark that says it is not finished", () => {
        const plan = lvmPools.create(poolContext(EMPTY), want());
        expect(plan.steps.map(({ label }) => label)).toEqual([
            `make a physical volume of ${disk(1)}`,
            `make a physical volume of ${disk(2)}`,
            'make volume group "vg0"',
            FLUSH,
        ]);
        expect(commands(plan)).toContain("phase:creating");
        expect(plan.touched.containers).toEqual({ fast: [disk(1), disk(2)] });
    });

    test("goes on from wherever it was cut short", () => {
        const ours = memberUuid(MARK, "fast", disk(1));
        const labelled = poolContext({
            disks: { 1: { signatures: ["member"] }, 2: {} },
            orphans: { 1: ours },
        });
        expect(lvmPools.create(labelled, want()).steps.map(({ label }) => label)).toEqual([
            `make a physical volume of ${disk(2)}`,
            'make volume group "vg0"',
            FLUSH,
        ]);
        const creating = { ...MARK, phase: "creating" } as const;
        const grouped = poolContext({ ...READY, members: { 1: {}, 2: {} }, thinPool: 0, mark: creating });
        expect(commands(lvmPools.create(grouped, want()))).toContain("lvcreate -q --type thin-pool -n pool0");
        const made = poolContext({ ...READY, mark: creating, monitored: false, whenFull: "error" });
        expect(lvmPools.create(made, want()).steps.map(({ label }) => label)).toEqual([
            "check that it is still the same volume group",
            'monitor "vg0/pool0"',
            'set what "vg0/pool0" does when it is full',
            'mark volume group "vg0"',
            FLUSH,
        ]);
        const half = poolContext({
            ...READY,
            members: { 1: {}, 2: {} },
            thinPool: 0,
            volumes: ["pool0_tmeta"],
            mark: creating,
        });
        expect(commands(lvmPools.create(half, want()))).toContain("lvremove -q -y -S 'lv_uuid=");
    });

    test("has nothing to do when it is as declared", () => {
        expect(lvmPools.create(poolContext(READY), want()).steps).toEqual([]);
        expect(lvmPools.drift(poolContext(READY), want())).toEqual([]);
    });

    test.each<[string, Reported, ErrorCode, RegExp]>([
        [
            "carries a file system",
            { disks: { 1: { signatures: ["ext4"] }, 2: {} } },
            "exists",
            /carries ext4.*\n.*overwrite/s,
        ],
        ["is mounted", { disks: { 1: { users: ["mounted at /srv"] }, 2: {} } }, "in-use", /mounted at \/srv/],
        [
            "is a path of a multipath device",
            { disks: { 1: { users: ["device mpatha on top of it"] }, 2: {} } },
            "in-use",
            /dm-uuid-mpath/,
        ],
        ["is not there", { disks: { 1: null, 2: {} } }, "not-found", /no disk/],
        [
            "is in another group",
            { disks: { 1: { signatures: ["member"] }, 2: {} } },
            "in-use",
            /another volume group/,
        ],
        [
            "has a label that is not ours",
            { disks: { 1: { signatures: ["member"] }, 2: {} }, orphans: { 1: "theirs" } },
            "exists",
            /LVM2_member/,
        ],
    ])("refuses a disk that %s", (_, reported, code, words) => {
        const error = refusal(() => lvmPools.create(poolContext(reported), want()));
        expect(error.code).toBe(code);
        expect(error.message).toMatch(words);
    });

    test("overwrites just what is named", () => {
        const carrying = poolContext({ disks: { 1: { signatures: ["gpt", "ext4"] }, 2: {} } });
        expect(
            refusal(() => lvmPools.create(carrying, want({ overwrite: { [disk(1)]: ["gpt"] } }))).code,
        ).toBe("exists");
        const all = lvmPools.create(carrying, want({ overwrite: { [disk(1)]: ["gpt", "ext4"] } }));
        expect(commands(all)).toContain("wipefs -q -a -t gpt,ext4");
        // Nothing to overwrite: nothing is.
        const clean = lvmPools.create(poolContext(EMPTY), want({ overwrite: { [disk(1)]: ["gpt"] } }));
        expect(commands(clean)).not.toContain("wipefs -q -a");
    });

    test("is refused where the host knows another group under the name", () => {
        const away = refusal(() =>
            lvmPools.create(poolContext({ ...EMPTY, remembered: "group-9/lv-9" }), want()),
        );
        expect(away.code).toBe("not-found");
        expect(away.message).toContain("group-9");
        const renamed = poolContext({ ...READY, renamed: "vg1", remembered: "group-1" });
        expect(refusal(() => lvmPools.create(renamed, want())).message).toContain("vg1");
    });
});

describe("the layout", () => {
    test("keeps the metadata comfortable", () => {
        const TiB = 1024 ** 4;
        expect(defaultChunk(TiB / 8)).toBe(64 * 1024);
        expect(defaultChunk(4 * TiB)).toBe(512 * 1024);
        expect(defaultMetadata(4 * TiB, 512 * 1024, EXTENT)).toBe(1024 ** 3);
        expect(defaultMetadata(1024 ** 3, 64 * 1024, EXTENT)).toBe(16 * 1024 ** 2);
        expect(defaultMetadata(1024 * TiB, 64 * 1024, EXTENT)).toBe(15 * 1024 ** 3);
    });

    test("leaves room for the spare and for one extension", () => {
        const { group } = containerOf(
            poolContext({ ...READY, members: { 1: {}, 2: {} }, thinPool: 0 }).facts,
        );
        if (group === undefined) throw new Error("no group");
        const layout = newLayout(group, {});
        expect(1.2 * (layout.dataExtents + (2 * layout.metadataBytes) / EXTENT)).toBeLessThanOrEqual(2000);
        expect(layout.dataExtents).toBeGreaterThan(1600);
        expect(newLayout(group, { autoExtend: false }).dataExtents).toBe(
            2000 - (2 * layout.metadataBytes) / EXTENT,
        );
        expect(refusal(() => newLayout(group, { sizeBytes: 2000 * EXTENT })).code).toBe("no-space");
    });
});

describe("changing a pool", () => {
    test("adds a disk, and then grows the thin pool", () => {
        const three = want({ disks: [disk(1), disk(2), disk(3)] });
        const before = poolContext({ ...READY, disks: { ...READY.disks, 3: {} } });
        expect(commands(lvmPools.alter(before, three))).toContain(`vgextend -q vg0 ${disk(3)}`);
        expect(commands(lvmPools.alter(before, three))).toContain("--metadatasize 15m");
        // Beside disks with LVM's default there would be nothing gained.
        const adopted = poolContext({
            ...READY,
            disks: { ...READY.disks, 3: {} },
            members: { ...READY.members, 1: { areaMiB: 1 } },
        });
        expect(commands(lvmPools.alter(adopted, three))).not.toContain("--metadatasize");
        const added = poolContext({
            ...READY,
            disks: { ...READY.disks, 3: { signatures: ["member"] } },
            members: { ...READY.members, 3: {} },
        });
        expect(commands(lvmPools.alter(added, three))).toMatch(/lvextend -q -l \d+ vg0\/pool0/);
        expect(lvmPools.alter(added, { ...three, sizeBytes: EXTENT }).steps).toEqual([]);
    });

    const leaving = want({
        disks: [disk(1)],
        sizeBytes: EXTENT,
        former: { [disk(1)]: uuid(1), [disk(2)]: uuid(2) },
    });

    test("evacuates a disk before it takes it out", () => {
        const room = { ...READY, members: { 1: { used: 100 }, 2: { used: 300 } }, thinPool: 390 };
        const start = lvmPools.alter(poolContext(room), leaving);
        expect(start.waitFor).toMatch(/^evacuate-/);
        expect(commands(start)).toContain("pvchange -q -xn /dev/sd2");
        const unit = { name: start.waitFor ?? "", log: "" };
        const running = poolContext({ ...room, units: [{ ...unit, state: "running" }] });
        expect(lvmPools.alter(running, leaving)).toMatchObject({ steps: [], waitFor: unit.name });
        const failed = poolContext({ ...room, units: [{ ...unit, state: "failed", exitStatus: 5 }] });
        expect(refusal(() => lvmPools.alter(failed, leaving)).code).toBe("command-failed");
        const empty = { ...room, members: { 1: { used: 400 }, 2: { fenced: true } } };
        const done = lvmPools.alter(poolContext({ ...empty, units: [{ ...unit, state: "done" }] }), leaving);
        expect(commands(done)).toMatch(/vgreduce -q vg0 \/dev\/sd2/);
        expect(done.waitFor).toBeUndefined();
    });

    test("clears the label of a disk that was taken out and no more", () => {
        const left = poolContext({
            ...READY,
            members: { 1: { used: 400 } },
            thinPool: 390,
            orphans: { 2: uuid(2) },
        });
        expect(lvmPools.alter(left, leaving).steps.map(({ label }) => label)).toEqual([
            `take the label of LVM off ${disk(2)}`,
            FLUSH,
        ]);
        expect(lvmPools.alter(left, { ...leaving, former: {} }).steps).toEqual([]);
    });

    test("keeps a disk that is declared again", () => {
        const fenced = poolContext({
            ...READY,
            members: { 1: { used: 1000 }, 2: { used: 667, fenced: true } },
        });
        expect(commands(lvmPools.alter(fenced, want()))).toContain("pvchange -q -xy /dev/sd2");
    });

    test("moves nothing where there is no room", () => {
        const error = refusal(() => lvmPools.alter(poolContext(READY), leaving));
        expect(error.code).toBe("no-space");
    });

    test("brings up a thin pool that is down, before anything else of it", () => {
        const down = poolContext({ ...READY, inactive: true, monitored: false });
        expect(lvmPools.drift(down, want())).toEqual([
            'thin pool "vg0/pool0" is not active',
            'thin pool "vg0/pool0" is not monitored by dmeventd',
        ]);
        const [, first] = lvmPools.alter(down, want()).steps;
        expect(first?.label).toBe('activate "vg0/pool0"');
        const adopted = want({ adopted: true, disks: undefined });
        expect(lvmPools.alter(down, adopted).steps).toEqual([]);
    });

    test("mends guard rails, and only declared ones of an adopted pool", () => {
        const off = poolContext({ ...READY, monitored: false, whenFull: "error", profile: "", profiles: {} });
        expect(lvmPools.drift(off, want())).toHaveLength(4);
        expect(lvmPools.alter(off, want()).steps).toHaveLength(6);
        const adopted = want({ adopted: true, disks: undefined });
        expect(lvmPools.drift(off, adopted)).toEqual([]);
        expect(lvmPools.alter(off, adopted).steps).toEqual([]);
        expect(lvmPools.drift(off, { ...adopted, whenFull: "queue" })).toHaveLength(1);
    });
});

describe("deleting a pool", () => {
    const made = {
        containerId: "group-1",
        generation: MARK.generation,
        sizeBytes: 0,
        members: { [disk(1)]: uuid(1), [disk(2)]: uuid(2) },
    };

    test("is refused while anything is inside, ours or not", () => {
        const error = refusal(() =>
            lvmPools.remove(poolContext({ ...READY, volumes: ["theirs"] }), { mark: MARK, made }),
        );
        expect(error.code).toBe("in-use");
        expect(error.message).toContain("theirs");
    });

    test("removes thin pool, group and labels, and finishes when it was cut short", () => {
        const plan = commands(lvmPools.remove(poolContext(READY), { mark: MARK, made }));
        expect(plan).toMatch(/phase:deleting[\s\S]*thin_count=0[\s\S]*vgremove -q vg0[\s\S]*pvremove/);
        const labels = poolContext({ disks: READY.disks, orphans: { 1: uuid(1), 2: "theirs" } });
        expect(lvmPools.remove(labels, { mark: MARK, made }).steps.map(({ label }) => label)).toEqual([
            `take the label of LVM off ${disk(1)}`,
            FLUSH,
        ]);
    });

    test("knows the disks of one that was taken over with whatever it had", () => {
        const adopted = want({ adopted: true, disks: undefined });
        const members = (reported: Reported) => lvmPools.made(poolContext(reported), adopted).members;
        const seen = { ...READY, disks: {} };
        expect(members(seen)).toEqual(made.members);
        // A disk whose name could be another's tomorrow proves nothing; nor is it ours before it is marked.
        expect(members({ ...seen, named: [1] })).toEqual({});
        expect(members({ ...seen, mark: "none" })).toEqual({});
    });

    test("is done only when all its disks are seen without it", () => {
        const gone = (reported: Reported) => lvmPools.gone(poolContext(reported), made);
        expect(gone(EMPTY)).toBe(true);
        expect(gone({ disks: READY.disks, orphans: { 1: uuid(1), 2: "theirs" } })).toBe(false);
        expect(refusal(() => gone({ disks: { 1: {}, 2: null } })).message).toContain(disk(2));
        expect(refusal(() => gone({ ...READY, renamed: "vg1" })).message).toContain("vg1");
        expect(refusal(() => gone({ disks: { 1: { signatures: ["member"] }, 2: {} } })).message).toContain(
            "labels",
        );
    });
});

describe("a group that cannot be used", () => {
    test.each<[string, Reported, RegExp]>([
        ["incomplete", { ...READY, missing: 1 }, /lacks 1/],
        ["there twice", { ...READY, twice: true }, /2 volume groups/],
    ])("is told: %s", (_, reported, words) => {
        expect(poolContext(reported).facts.problem?.summary).toMatch(words);
    });
});

describe("declared for a pool of thick volumes", () => {
    test("what is for thin pools is a problem", () => {
        const { pool } = poolContext({}, {});
        expect(
            lvmPools.check(pool, { whenFull: "error", chunkBytes: 65_536 }).map(({ path }) => path),
        ).toEqual(["chunkSize", "whenFull"]);
    });
});
