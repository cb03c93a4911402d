import { describe, expect, test } from "vitest";
import { GENERATION, GiB, MiB, type World, labels, mark, object, script } from "../../support/fileFacts";
import {
    GUARD,
    NOT_OPEN,
    OTHER,
    stranger,
    snap,
    create,
    failure,
    ready,
    creating,
} from "../../support/filePlans";

/** Planners against facts: which steps are left, and what is refused. */

describe("create", () => {
    const fresh = [GUARD, 'mark "v" as creating', "create v.img", 'mark "v" as ready'];
    const rest = [GUARD, "create v.img", 'mark "v" as ready'];
    test.each<[string, World, string[]]>([
        ["nothing there", {}, fresh],
        ["a mark only", { objects: [creating({ sizeBytes: undefined })] }, rest],
        ["a mark and data of another size", { objects: [creating({ sizeBytes: 512 })] }, rest],
        ["ready", { objects: [ready] }, []],
        [
            "this host does not remember the pool",
            { facts: { extra: { recorded: "no" } } },
            ["remember the pool", ...fresh],
        ],
        [
            "a directory to be made a pool",
            { facts: { id: "new", extra: {} } },
            ["make a pool of /pool", ...fresh],
        ],
        [
            "thick",
            { provisioning: "thick" },
            [GUARD, 'mark "v" as creating', "create and preallocate v.img", 'mark "v" as ready'],
        ],
        [
            "a deletion that was begun",
            { objects: [object("v", { mark: mark({ phase: "deleting" }) })] },
            [GUARD, NOT_OPEN, 'clear away unfinished work of "v"', "remove v.img", "remove the owner mark"],
        ],
        [
            "begun as a copy of something",
            { objects: [creating({ mark: mark({ phase: "creating", extra: { source: "s" } }) })] },
            [
                GUARD,
                'clear away unfinished work of "v"',
                "remove v.img",
                'mark "v" as creating',
                "create v.img",
                'mark "v" as ready',
            ],
        ],
    ])("%s", (_, world, expected) => {
        expect(labels(create(world))).toEqual(expected);
    });

    test("a half-made volume keeps its generation", () => {
        const plan = create({
            objects: [creating({ mark: mark({ phase: "creating", generation: OTHER }) })],
        });
        expect(script(plan)).toContain(`gen:${OTHER}&phase:ready`);
        expect(script(plan)).not.toContain(GENERATION);
    });
    test("claims what the facts do not count yet", () => {
        expect(create({}).claims).toEqual([
            { pool: "bulk", name: "v", provisionedBytes: GiB, allocatedBytes: 0 },
        ]);
        expect(create({ objects: [creating({ sizeBytes: MiB })] }).claims?.[0]?.provisionedBytes).toBe(
            GiB - MiB,
        );
        expect(create({ provisioning: "thick" }).claims?.[0]?.allocatedBytes).toBe(GiB);
    });
    test.each<[string, World, object, string, RegExp]>([
        [
            "another size",
            { objects: [ready] },
            { sizeBytes: 2 * GiB },
            "exists",
            /its size is 1 GiB, not 2 GiB/,
        ],
        [
            "another source",
            { objects: [ready, snap] },
            { from: { name: "s", inUse: false } },
            "exists",
            /made without a source, not from "s"/,
        ],
        ["no mark", { objects: [object("v")] }, {}, "not-ours", /carries no owner mark/],
        [
            "another stack's",
            { objects: [object("v", { mark: stranger })] },
            {},
            "not-ours",
            /acme\/shop\/dev/,
        ],
        [
            "a snapshot",
            { objects: [object("v", { mark: mark({ kind: "snapshot" }) })] },
            {},
            "not-ours",
            /is a snapshot of resource/,
        ],
        [
            "a mark of a newer version",
            { objects: [object("v", { extra: { unreadableMark: "newer" } })] },
            {},
            "unsupported",
            /newer/,
        ],
        [
            "lost data",
            { objects: [object("v", { mark: mark(), sizeBytes: undefined })] },
            {},
            "not-found",
            /lost its data/,
        ],
        [
            "a directory in the data's place",
            {
                objects: [
                    object("v", {
                        mark: mark({ phase: "creating" }),
                        sizeBytes: undefined,
                        extra: { type: "d" },
                    }),
                ],
            },
            {},
            "not-ours",
            /not a regular file/,
        ],
        [
            "half-adopted",
            { objects: [creating({ mark: mark({ phase: "creating", extra: { adopted: "disk.raw" } }) })] },
            {},
            "exists",
            /half-way through adopting "disk.raw"/,
        ],
        [
            "too large",
            { limits: { maxOverSubscriptionRatio: 1 } },
            { sizeBytes: 101 * GiB },
            "no-space",
            /100 GiB/,
        ],
        ["a hostile name", {}, { name: "../x" }, "invalid", /cannot be the name/],
        [
            "a pool with a problem",
            { facts: { problem: { summary: "gone", hint: "mount it" } } },
            {},
            "not-found",
            /gone/,
        ],
    ])("%s is refused", (_, world, want, code, message) => {
        const error = failure(() => create(world, want));
        expect(error.code).toBe(code);
        expect(error.message).toMatch(message);
    });
});
