import { describe, expect, test } from "vitest";
import { fileDriver } from "../../../provider/drivers/file";
import { isEmpty } from "../../../provider/host/plan";
import { type World, context, labels, mark, object, owner, script } from "../../support/fileFacts";
import {
    GUARD,
    NOT_OPEN,
    OTHER,
    stranger,
    adopt,
    release,
    failure,
    ready,
    creating,
} from "../../support/filePlans";

/** Planners against facts: which steps are left, and what is refused. */

describe("adopt", () => {
    const disk = (more = {}) => object("./disk.raw", { path: "/pool/disk.raw", ...more });
    const begun = mark({ phase: "creating", extra: { adopted: "disk.raw" } });
    test.each<[string, World, string, string[]]>([
        [
            "a file",
            { objects: [disk()] },
            "disk.raw",
            [GUARD, NOT_OPEN, 'mark "v" as creating', 'rename "disk.raw" to v.img', 'mark "v" as ready'],
        ],
        [
            "in its place",
            { objects: [object("v")] },
            "v.img",
            [GUARD, NOT_OPEN, 'mark "v" as creating', 'mark "v" as ready'],
        ],
        [
            "marked only",
            { objects: [disk(), object("v", { mark: begun, sizeBytes: undefined })] },
            "disk.raw",
            [GUARD, NOT_OPEN, 'rename "disk.raw" to v.img', 'mark "v" as ready'],
        ],
        [
            "renamed",
            { objects: [object("v", { mark: begun })] },
            "disk.raw",
            [GUARD, NOT_OPEN, 'mark "v" as ready'],
        ],
        ["done", { objects: [object("v", { mark: { ...begun, phase: "ready" } })] }, "disk.raw", []],
    ])("%s", (_, world, reference, expected) => {
        expect(labels(adopt(world, reference))).toEqual(expected);
    });
    test.each<[string, World, string, string]>([
        ["missing", {}, "disk.raw", "not-found"],
        ["a path", { objects: [disk()] }, "../pool/disk.raw", "not-found"],
        ["empty", { objects: [disk({ sizeBytes: 0 })] }, "disk.raw", "invalid"],
        ["odd size", { objects: [disk({ sizeBytes: 1000 })] }, "disk.raw", "invalid"],
        [
            "symbolic link",
            { objects: [disk({ sizeBytes: undefined, extra: { type: "l" } })] },
            "disk.raw",
            "invalid",
        ],
        ["hard links", { objects: [disk({ extra: { links: "2" } })] }, "disk.raw", "invalid"],
        ["open", { objects: [disk({ openBy: ["qemu(3)"] })] }, "disk.raw", "in-use"],
        ["another's", { objects: [object("w", { mark: stranger })] }, "w.img", "not-ours"],
        ["name taken", { objects: [disk(), object("v")] }, "disk.raw", "not-ours"],
        ["ours, not adopted", { objects: [disk(), ready] }, "disk.raw", "exists"],
        ["a snapshot", { objects: [object("v", { mark: mark({ kind: "snapshot" }) })] }, "v.img", "invalid"],
    ])("%s is refused", (_, world, reference, code) => {
        expect(failure(() => adopt(world, reference)).code).toBe(code);
    });
    test("what can be adopted, sorted, with the reasons", () => {
        const { pool, facts } = context({
            objects: [
                object("z"),
                ready,
                disk(),
                object("./odd", { sizeBytes: 3 }),
                object("./open", { openBy: ["cat(1)"] }),
                object("./link", { sizeBytes: undefined, extra: { type: "l" } }),
                object("./dir", { sizeBytes: undefined, extra: { type: "d" } }),
                object("half", { mark: mark({ phase: "creating" }), sizeBytes: undefined }),
            ],
        });
        const list = fileDriver.adoptable(pool, facts);
        expect(list.map(({ reference, safeToManage, reason }) => [reference, safeToManage, reason])).toEqual([
            ["disk.raw", true, undefined],
            ["link", false, "it is a symbolic link"],
            ["odd", false, "its size is not a multiple of 512 bytes"],
            ["open", false, "it is open by cat(1)"],
            ["v.img", false, "already managed"],
            ["z.img", true, undefined],
        ]);
        expect(list.find(({ reference }) => reference === "v.img")?.managedBy).toContain("acme/shop/prod");
        expect(fileDriver.resolveReference(pool, facts, "disk.raw")).toBe("./disk.raw");
        expect(fileDriver.resolveReference(pool, facts, "z.img")).toBe("z");
        expect(fileDriver.resolveReference(pool, facts, "none")).toBeUndefined();
    });
});

describe("release and remark", () => {
    const safety = object("v.safety", { mark: mark({ kind: "safety" }) });
    const renamed = mark({ owner: { ...owner, resource: "new-name" } });
    const remark = (world: World) =>
        fileDriver.remark(context(world), { name: "v", from: mark(), to: renamed });
    test("release takes the marks off, the volume's last", () => {
        const plan = release({ objects: [ready, safety] });
        expect(labels(plan).at(-1)).toBe("remove the owner mark");
        expect(script(plan)).toContain("rm -f -- .blockhost/marks/v.safety .blockhost/marks/v");
        expect(script(plan)).not.toContain("v.img");
    });
    test.each<[string, World]>([
        ["gone", {}],
        ["released", { objects: [object("v")] }],
    ])("%s: nothing to do", (_, world) => {
        expect(isEmpty(release(world))).toBe(true);
    });
    test("a half-made one is not left behind", () => {
        expect(failure(() => release({ objects: [creating()] })).code).toBe("conflict");
    });
    test("remark rewrites both marks, once", () => {
        expect(labels(remark({ objects: [ready, safety] }))).toEqual([
            GUARD,
            'mark "v.safety" as ready',
            'mark "v" as ready',
        ]);
        expect(isEmpty(remark({ objects: [object("v", { mark: renamed })] }))).toBe(true);
    });
    test("remark of another's is refused", () => {
        expect(failure(() => remark({ objects: [object("v", { mark: stranger })] })).code).toBe("not-ours");
        expect(
            failure(() => remark({ objects: [object("v", { mark: mark({ generation: OTHER }) })] })).code,
        ).toBe("not-ours");
        expect(failure(() => remark({})).code).toBe("not-found");
    });
});
