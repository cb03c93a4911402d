import { describe, expect, test } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { GENERATION, GiB, type World, labels, mark, object, script } from "../../support/fileFacts";
import { GUARD, snapMark, snap, create, snapshot, failure, ready, creating } from "../../support/filePlans";

/** Planners against facts: which steps are left, and what is refused. */

describe("create from another object", () => {
    const from = { name: "s", inUse: false };
    const sourced = mark({ phase: "creating", extra: { source: "s" } });
    const unit = (state: "running" | "done" | "failed", more = {}) => {
        const name = create({ objects: [large], reflink: "no" }, { from }).waitFor ?? "";
        return { name, state, log: "", ...more };
    };
    const large = object("s", { mark: snapMark, allocatedBytes: GiB });

    test("shares extents where it can", () => {
        expect(labels(create({ objects: [snap] }, { from }))).toEqual([
            GUARD,
            'mark "v" as creating',
            "share s.img",
            "put v.img in place",
            'mark "v" as ready',
        ]);
    });
    test("copies what is small in the same run", () => {
        expect(labels(create({ objects: [snap], reflink: "no" }, { from }))).toEqual([
            GUARD,
            'mark "v" as creating',
            "copy s.img",
            "put v.img in place",
            'clear away unfinished work of "v"',
            'mark "v" as ready',
        ]);
    });
    test("copies what is large as a unit, and waits for it", () => {
        const plan = create({ objects: [large], reflink: "no" }, { from });
        expect(labels(plan)).toEqual([GUARD, 'mark "v" as creating', "start to copy s.img"]);
        expect(plan.waitFor).toMatch(/^copy-v-0123456789abcdef-[0-9a-f]{12}$/);
        expect(plan.claims?.[0]).toMatchObject({ provisionedBytes: GiB, allocatedBytes: GiB });
    });
    test("only waits while the unit runs", () => {
        const half = creating({ mark: sourced, sizeBytes: undefined });
        const plan = create({ objects: [large, half], reflink: "no", units: [unit("running")] }, { from });
        expect(plan.steps).toEqual([]);
        expect(plan.waitFor).toBe(unit("running").name);
        expect(isEmpty(plan)).toBe(false);
    });
    test("puts a complete copy in place, whether or not its unit is still on the books", () => {
        const id = /-([0-9a-f]{12})$/.exec(unit("done").name)?.[1] ?? "";
        const half = creating({ mark: sourced, sizeBytes: undefined, extra: { done: `copy-${id}` } });
        for (const units of [[], [unit("done")]]) {
            expect(labels(create({ objects: [large, half], reflink: "no", units }, { from }))).toEqual([
                GUARD,
                "put v.img in place",
                'clear away unfinished work of "v"',
                'mark "v" as ready',
            ]);
        }
    });
    test("starts again when the unit ended without a copy", () => {
        const half = creating({ mark: sourced, sizeBytes: undefined });
        const plan = create({ objects: [large, half], reflink: "no", units: [unit("done")] }, { from });
        expect(labels(plan)).toEqual([GUARD, "start to copy s.img"]);
    });
    test.each([
        [1, "No space left on device", "no-space"],
        [76, "written", "in-use"],
        [1, "whatever", "command-failed"],
    ])("a unit that failed with %d, %j is the error %s", (exitStatus, log, code) => {
        const half = creating({ mark: sourced, sizeBytes: undefined });
        const world: World = {
            objects: [large, half],
            reflink: "no",
            units: [unit("failed", { exitStatus, log })],
        };
        const error = failure(() => create(world, { from }));
        expect(error.code).toBe(code);
        expect(error.message).toContain(log);
    });
    test("begun from something else, it begins anew", () => {
        const half = creating({ mark: mark({ phase: "creating", extra: { source: "old" } }) });
        expect(labels(create({ objects: [snap, half] }, { from })).slice(0, 3)).toEqual([
            GUARD,
            'clear away unfinished work of "v"',
            'mark "v" as creating',
        ]);
    });
    test("first finds out whether extents can be shared", () => {
        expect(labels(create({ objects: [snap], reflink: "unknown" }, { from }))).toEqual([
            "find out whether files can share extents",
        ]);
    });
    test("a source that is not asked for any more is no difference", () => {
        const made = object("v", { mark: mark({ extra: { source: "s" } }) });
        expect(isEmpty(create({ objects: [made] }))).toBe(true);
    });
    test("a larger volume grows, a same one does not", () => {
        expect(script(create({ objects: [snap] }, { from, sizeBytes: 2 * GiB }))).toContain(
            `truncate -s ${2 * GiB}`,
        );
        expect(script(create({ objects: [snap] }, { from }))).not.toContain("truncate");
    });
    test("a source in use can be shared, not copied", () => {
        const used = { from: { name: "s", inUse: true } };
        expect(labels(create({ objects: [snap] }, used))).toContain("share s.img");
        expect(failure(() => create({ objects: [snap], reflink: "no" }, used)).code).toBe("in-use");
    });
    test.each<[string, World, string]>([
        ["missing", {}, "not-found"],
        ["larger", { objects: [object("s", { mark: snapMark, sizeBytes: 2 * GiB })] }, "invalid"],
        ["half-made", { objects: [object("s", { mark: { ...snapMark, phase: "creating" } })] }, "conflict"],
        ["of nobody", { objects: [object("s")] }, "not-ours"],
        ["without data", { objects: [object("s", { mark: snapMark, sizeBytes: undefined })] }, "not-found"],
    ])("a source that is %s is refused", (_, world, code) => {
        expect(failure(() => create(world, { from })).code).toBe(code);
    });
});

describe("snapshot", () => {
    test("shares extents, also of a volume in use", () => {
        expect(labels(snapshot({ objects: [ready] }, true))).toEqual([
            GUARD,
            'mark "s" as creating',
            "share v.img",
            "put s.img in place",
            'mark "s" as ready',
        ]);
    });
    test("says of what it is, and is read-only", () => {
        const text = script(snapshot({ objects: [ready] }));
        expect(text).toContain(`phase:ready&origin:v&origingen:${GENERATION}`);
        expect(text).toContain("chmod 0400");
    });
    test("there already", () => {
        expect(isEmpty(snapshot({ objects: [ready, snap] }))).toBe(true);
        expect(isEmpty(snapshot({ objects: [snap] }))).toBe(true);
    });
    test.each<[string, World, boolean, string]>([
        ["in use and only copyable", { objects: [ready], reflink: "no" }, true, "in-use"],
        ["no volume", {}, false, "not-found"],
        [
            "volume being reverted",
            { objects: [object("v", { mark: mark({ phase: "reverting" }) })] },
            false,
            "conflict",
        ],
        [
            "of another volume",
            { objects: [ready, object("s", { mark: { ...snapMark, extra: { origin: "w" } } })] },
            false,
            "exists",
        ],
    ])("%s is refused", (_, world, inUse, code) => {
        expect(failure(() => snapshot(world, inUse)).code).toBe(code);
    });
});
