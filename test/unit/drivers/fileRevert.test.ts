import { describe, expect, test } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { GiB, type World, labels, mark, object, script } from "../../support/fileFacts";
import {
    GUARD,
    NOT_OPEN,
    extend,
    failure,
    release,
    revert,
    snap,
    snapMark,
    stranger,
} from "../../support/filePlans";

/** Planners against facts: which steps are left, and what is refused. */

describe("revert", () => {
    const volume = object("v", { mark: mark(), uid: "1" });
    const whole = [
        GUARD,
        NOT_OPEN,
        'mark "v" as reverting',
        "share s.img",
        'give the copy the size of "v"',
        'mark "v.safety" as creating',
        'keep what "v" holds as "v.safety"',
        "put v.img in place",
        'mark "v.safety" as ready',
        'clear away unfinished work of "v"',
        'mark "v" as ready',
    ];
    const reverting = (token = "t1", more = {}) =>
        object("v", { mark: mark({ phase: "reverting", extra: { pending: token } }), uid: "2", ...more });
    /** The safety snapshot as a revert with this token leaves it. */
    const kept = (token: string, more = {}) => {
        const text = script(revert({ objects: [volume, snap] }, token));
        const digest = /origingen:[0-9a-f]{16}&token:([0-9a-f]{16})/.exec(text)?.[1] ?? "";
        return object("v.safety", {
            mark: mark({ kind: "safety", phase: "creating", extra: { token: digest } }),
            uid: "1",
            ...more,
        });
    };

    test("from the beginning", () => {
        expect(labels(revert({ objects: [volume, snap] }))).toEqual(whole);
    });
    test("done", () => {
        const done = object("v", { mark: mark({ extra: { token: "t1" } }) });
        expect(isEmpty(revert({ objects: [done, snap] }))).toBe(true);
    });
    test("asked for again with another token", () => {
        const done = object("v", { mark: mark({ extra: { token: "t0" } }) });
        const old = kept("t0", { mark: mark({ kind: "safety" }) });
        const found = labels(revert({ objects: [done, snap, old] }));
        expect(found.indexOf("remove the previous safety snapshot")).toBeLessThan(
            found.indexOf('mark "v.safety" as creating'),
        );
        expect(found).toContain("share s.img");
    });
    test("stopped before the exchange: begins again", () => {
        expect(labels(revert({ objects: [reverting(), snap] }))).toContain("share s.img");
        // The second link is made, but it is still the volume's own file.
        const linked = labels(revert({ objects: [reverting(), snap, kept("t1", { uid: "2" })] }));
        expect(linked).toContain("share s.img");
    });
    test("stopped after the exchange: only the marks are left", () => {
        expect(labels(revert({ objects: [reverting(), snap, kept("t1")] }))).toEqual([
            GUARD,
            'mark "v.safety" as ready',
            'clear away unfinished work of "v"',
            'mark "v" as ready',
        ]);
    });
    test("another revert is asked for after the exchange: the first is ended first", () => {
        const plan = revert({ objects: [reverting("t0"), snap, kept("t0")] });
        expect(labels(plan)).toContain('mark "v" as ready');
        expect(script(plan)).toContain("phase:ready&token:t0");
    });
    test("another revert is asked for before the exchange: the first is dropped", () => {
        const found = labels(revert({ objects: [reverting("t0"), snap] }));
        expect(found.indexOf('clear away unfinished work of "v"')).toBeLessThan(found.indexOf("share s.img"));
    });
    test("a large copy is a unit", () => {
        const large = object("s", { mark: snapMark, allocatedBytes: GiB });
        const plan = revert({ objects: [volume, large], reflink: "no" });
        expect(labels(plan)).toEqual([GUARD, NOT_OPEN, 'mark "v" as reverting', "start to copy s.img"]);
        expect(plan.waitFor).toMatch(/^revert-v-/);
    });
    test.each([
        ["a file without a mark", object("v.safety"), /v\.safety\.img exists and carries no owner mark/],
        [
            "another owner's",
            object("v.safety", { mark: { ...stranger, kind: "safety" } }),
            /is a safety of .*acme\/shop\/dev/,
        ],
        [
            "of a newer version",
            object("v.safety", { extra: { unreadableMark: "format 9", markText: "blockhost:9" } }),
            /cannot be read: format 9/,
        ],
        [
            "something else under our mark",
            object("v.safety", {
                mark: mark({ kind: "safety" }),
                sizeBytes: undefined,
                extra: { type: "d" },
            }),
            /not a regular file/,
        ],
    ])(
        "the safety snapshot's name is taken (%s): told from the facts, and left alone",
        (_, taken, reason) => {
            const refused = failure(() => revert({ objects: [volume, snap, taken] }));
            expect(refused.code).toBe("not-ours");
            expect(refused.message).toMatch(reason);
            expect(refused.message).toMatch(/move it away/);
        },
    );
    test.each<[string, World, string]>([
        ["no snapshot", { objects: [volume] }, "not-found"],
        [
            "larger snapshot",
            { objects: [volume, object("s", { mark: snapMark, sizeBytes: 2 * GiB })] },
            "invalid",
        ],
        [
            "half-made snapshot",
            { objects: [volume, object("s", { mark: { ...snapMark, phase: "creating" } })] },
            "conflict",
        ],
        [
            "volume being deleted",
            { objects: [object("v", { mark: mark({ phase: "deleting" }) }), snap] },
            "conflict",
        ],
        ["no volume", { objects: [snap] }, "not-found"],
        [
            "no room for the safety snapshot",
            { objects: [volume, snap], limits: { maxOverSubscriptionRatio: 1 }, totalBytes: 2 * GiB },
            "no-space",
        ],
    ])("%s is refused", (_, world, code) => {
        expect(failure(() => revert(world)).code).toBe(code);
    });

    test("nobody asks for it any more: extending or releasing first takes back what there is of it", () => {
        const linked = kept("t1", { uid: "2" });
        const begun = { objects: [reverting(), snap, linked] };
        const back = [
            GUARD,
            'clear away unfinished work of "v"',
            "remove the second link v.safety.img",
            "remove the owner mark",
            'mark "v" as ready',
        ];
        expect(labels(extend(begun, GiB))).toEqual(back);
        expect(labels(release(begun))).toEqual(back);
        expect(script(extend(begun, GiB))).not.toContain("token:t1");
        // After the exchange it counts as done.
        expect(script(extend({ objects: [reverting(), snap, kept("t1")] }, GiB))).toContain(
            "phase:ready&token:t1",
        );
        // The safety snapshot of an earlier revert is not touched.
        const earlier = kept("t0", { mark: mark({ kind: "safety", extra: { token: "other" } }) });
        expect(labels(extend({ objects: [reverting(), snap, earlier] }, GiB))).toEqual([
            GUARD,
            'clear away unfinished work of "v"',
            'mark "v" as ready',
        ]);
    });
});
