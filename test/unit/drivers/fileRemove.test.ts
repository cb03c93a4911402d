import { describe, expect, test } from "vitest";
import type { Wipe } from "../../../provider/drivers/types";
import { isEmpty } from "../../../provider/host/plan";
import { GENERATION, GiB, MiB, type World, labels, mark, object, script } from "../../support/fileFacts";
import {
    GUARD,
    NOT_OPEN,
    OTHER,
    stranger,
    noWipe,
    zero,
    create,
    extend,
    remove,
    failure,
    ready,
    creating,
} from "../../support/filePlans";

/** Planners against facts: which steps are left, and what is refused. */

describe("extend", () => {
    test("grows, and is done when it is as large", () => {
        expect(labels(extend({ objects: [ready] }, 2 * GiB))).toEqual([GUARD, "grow v.img"]);
        expect(isEmpty(extend({ objects: [ready] }, GiB))).toBe(true);
    });
    test.each<[string, World, number, string]>([
        ["shrinking", { objects: [ready] }, MiB, "invalid"],
        ["what is not there", {}, GiB, "not-found"],
        ["a half-made one", { objects: [creating()] }, 2 * GiB, "conflict"],
        [
            "another generation",
            { objects: [object("v", { mark: mark({ generation: OTHER }) })] },
            2 * GiB,
            "not-ours",
        ],
        ["beyond the pool", { objects: [ready] }, 3000 * GiB, "no-space"],
    ])("%s is refused", (_, world, size, code) => {
        expect(failure(() => extend(world, size)).code).toBe(code);
    });
});

describe("remove", () => {
    const full = object("v", { mark: mark(), allocatedBytes: GiB });
    const safety = object("v.safety", { mark: mark({ kind: "safety" }) });
    test("another's object under the safety snapshot's name is neither in the way nor touched", () => {
        const taken = object("v.safety", { mark: { ...stranger, kind: "safety" } });
        const text = script(remove({ objects: [ready, taken] }));
        expect(text).toContain("rm -f -- v.img");
        expect(text).not.toContain("v.safety");
        // One that has come since is met by the guard.
        expect(script(remove({ objects: [ready] }))).toContain("v.safety");
    });
    test.each<[string, World, Wipe, string[]]>([
        ["gone already", {}, noWipe, []],
        [
            "ready",
            { objects: [ready] },
            noWipe,
            [
                GUARD,
                NOT_OPEN,
                'mark "v" as deleting',
                'clear away unfinished work of "v"',
                "remove v.img",
                "remove the owner mark",
            ],
        ],
        [
            "only a mark",
            { objects: [object("v", { mark: mark({ phase: "deleting" }), sizeBytes: undefined })] },
            zero,
            [GUARD, 'clear away unfinished work of "v"', "remove the owner mark"],
        ],
        [
            "with a safety snapshot",
            { objects: [ready, safety] },
            noWipe,
            [
                GUARD,
                NOT_OPEN,
                'mark "v" as deleting',
                'clear away unfinished work of "v"',
                "remove v.img and v.safety.img",
                "remove the owner mark",
            ],
        ],
        ["never written: nothing to wipe", { objects: [ready] }, zero, ["remove v.img"]],
        [
            "a large one is wiped as a unit",
            { objects: [full] },
            zero,
            [GUARD, NOT_OPEN, 'mark "v" as deleting', 'start to overwrite "v" with zeros'],
        ],
        [
            "a limit makes it small",
            { objects: [full] },
            { ...zero, limitBytes: MiB },
            ['overwrite "v" with zeros'],
        ],
    ])("%s", (_, world, wipe, expected) => {
        const found = labels(remove(world, wipe));
        if (expected.length === 1) expect(found).toContain(expected[0]);
        else expect(found).toEqual(expected);
    });
    test("goes on after the unit", () => {
        const deleting = object("v", { mark: mark({ phase: "deleting" }), allocatedBytes: GiB });
        const name = `wipe-v-${GENERATION}`;
        const running = remove({ objects: [deleting], units: [{ name, state: "running", log: "" }] }, zero);
        expect(running).toMatchObject({ steps: [], waitFor: name });
        const done = remove({ objects: [deleting], units: [{ name, state: "done", log: "" }] }, zero);
        expect(labels(done)).toContain("remove v.img");
        expect(script(done)).not.toContain("perl -e 'use strict");
    });
    test("ends a copy that is still under way", () => {
        const units = [{ name: `copy-v-${GENERATION}-abc`, state: "running" as const, log: "" }];
        expect(script(remove({ objects: [creating()], units }))).toContain("kill -KILL");
    });
    test("a deletion found half-way is ended as it was asked for", () => {
        const marked = script(remove({ objects: [full] }, { method: "zero", limitBytes: MiB, ionice: 3 }));
        expect(marked).toContain("phase:deleting&wipe:1048576.3");
        const half = object("v", {
            mark: mark({ phase: "deleting", extra: { wipe: "1048576.3" } }),
            allocatedBytes: GiB,
        });
        const plan = create({ objects: [half] });
        expect(labels(plan)).toContain('overwrite "v" with zeros');
        expect(script(plan)).toContain("ionice -t -c 2 -n 3");
    });
    test.each<[string, World, string]>([
        ["unmarked", { objects: [object("v")] }, "not-ours"],
        ["another stack's", { objects: [object("v", { mark: stranger })] }, "not-ours"],
        ["made anew", { objects: [object("v", { mark: mark({ generation: OTHER }) })] }, "not-ours"],
        ["pool not mounted", { facts: { problem: { summary: "s", hint: "h" } } }, "not-found"],
    ])("%s is refused", (_, world, code) => {
        expect(failure(() => remove(world)).code).toBe(code);
    });
    test("another's file that is called like a safety snapshot stays", () => {
        expect(script(remove({ objects: [ready, object("v.safety")] }))).not.toContain(
            "rm -f -- v.img v.safety.img",
        );
    });
});
