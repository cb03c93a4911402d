import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordFile } from "../../../provider/drivers/file/layout";
import { directoryProblem } from "../../../provider/drivers/file/options";
import { parsePool } from "../../../provider/drivers/file/parse";
import { encodeMark } from "../../../provider/host/mark";
import { POOL_ID, context, mark } from "../../support/fileFacts";

const { pool } = context();
const identity = encodeMark(mark({ kind: "pool", generation: POOL_ID }));
const OK = `pool ok\ndir /pool\nfs 4096 1000 900 ext2/ext3\nl ./.blockhost/pool ${identity}\n`;
const parse = (output: string, options = {}) =>
    parsePool({ ...pool, options: { ...pool.options, ...options } }, output);

describe("problems, never an empty pool", () => {
    test.each([
        ["pool missing\n", /does not exist/],
        ["pool not-a-directory\n", /is not a directory/],
        ["pool unreadable\n", /cannot be read/],
        ["pool empty\ndir /pool\nfs 4096 1 1 xfs\n", /is empty and not a pool/],
        ["pool occupied\ndir /pool\nfs 4096 1 1 xfs\n", /is not a pool and not empty/],
        ["recorded\npool empty\ndir /pool\nfs 4096 1 1 xfs\n", /has lost its identity/],
        ["recorded\npool missing\n", /does not exist/],
        ["", /could not be read/],
        [OK, /could not be read completely/],
        [`${OK}end 1\n`, /could not be read completely/],
        [`${OK.replace(identity, "whatever")}end 0\n`, /identity that cannot be read/],
        [`${OK.replace("kind:pool", "kind:volume")}end 0\n`, /identity that cannot be read/],
        [`${OK.replace("blockhost:1", "blockhost:2")}end 0\n`, /newer version/],
        [
            `recorded\n${OK}l ${recordFile(pool)} 1111222233334444\nend 0\n`,
            /this host knows pool 1111222233334444/,
        ],
    ])("%j", (output, summary) => {
        const facts = parse(output);
        expect(facts.problem?.summary).toMatch(summary);
        expect(facts.problem?.hint).not.toBe("");
        expect(facts.id).toBe("");
        expect(facts.objects.size).toBe(0);
    });
    test("initialize does not help a directory that this host knows as a pool, nor one that is not empty", () => {
        for (const output of [
            "recorded\npool empty\ndir /pool\nfs 1 1 1 x\n",
            "pool occupied\ndir /pool\nfs 1 1 1 x\n",
        ]) {
            expect(parse(output, { initialize: true }).problem).toBeDefined();
        }
    });
    test("initialize turns an empty directory into a new pool", () => {
        const facts = parse("pool empty\ndir /real\nfs 4096 1000 900 xfs\n", { initialize: true });
        expect(facts).toMatchObject({
            id: "new",
            capacity: { totalBytes: 4096000, freeBytes: 3686400 },
            extra: { directory: "/real", reflink: "unknown" },
        });
        expect(facts.problem).toBeUndefined();
    });
});

describe("objects", () => {
    const volume = encodeMark(mark());
    const facts = parse(
        `recorded\n${OK}l ./.blockhost/reflink yes\nl ${recordFile(pool)} ${POOL_ID}\n` +
            `l ./.blockhost/marks/v1 ${volume}\n` +
            `l ./.blockhost/marks/gone ${volume}\n` +
            `l ./.blockhost/marks/newer ${volume.replace("blockhost:1", "blockhost:7")}\n` +
            "w 10 8 ./.blockhost/work/v1~copy-aa.done\nw 10 8 ./.blockhost/work/v1~copy-bb.part\n" +
            "o f 1048576 16 77 1700000000.5 1 ./v1.img\n" +
            "o f 512 8 78 1700000000.5 1 ./disk one.raw\n" +
            "o f 512 8 79 1700000000.5 1 ./a.img.img\n" +
            "o l 5 0 80 1700000000.5 1 ./link.img\n" +
            "o d 0 0 81 1700000000.5 1 ./dir.img\n" +
            "u 12\t/pool/v1.img\ttgtd\nu -\t/pool/v1.img\t/dev/loop3\nu 13\t/elsewhere/v1.img\tcat\nend 0\n",
    );
    test("a volume", () => {
        expect(facts.objects.get("v1")).toEqual({
            name: "v1",
            path: "/pool/v1.img",
            mark: mark(),
            sizeBytes: 1048576,
            allocatedBytes: 8192,
            uid: "77",
            openBy: ["/dev/loop3", "tgtd(12)"],
            extra: {
                type: "f",
                mtime: "1700000000.5",
                links: "1",
                markText: volume,
                done: "copy-aa",
                part: "copy-bb",
            },
        });
    });
    test("a mark whose data is gone", () => {
        expect(facts.objects.get("gone")).toMatchObject({ mark: mark() });
        expect(facts.objects.get("gone")?.sizeBytes).toBeUndefined();
    });
    test("a mark of a newer version makes its object nobody's we may touch", () => {
        expect(facts.objects.get("newer")?.mark).toBeUndefined();
        expect(facts.objects.get("newer")?.extra?.["unreadableMark"]).toMatch(/newer version/);
    });
    test("other files have names that none of ours can have", () => {
        expect([...facts.objects.keys()].sort()).toEqual(
            ["./disk one.raw", "a.img", "dir", "gone", "link", "newer", "v1"].sort(),
        );
        expect(facts.objects.get("./disk one.raw")?.path).toBe("/pool/disk one.raw");
    });
    test("what is no regular file has no size", () => {
        expect(facts.objects.get("link")?.sizeBytes).toBeUndefined();
        expect(facts.objects.get("dir")?.sizeBytes).toBeUndefined();
    });
    test("the pool", () => {
        expect(facts.id).toBe(POOL_ID);
        expect(facts.extra).toMatchObject({ reflink: "yes", recorded: "yes", fileSystem: "ext2/ext3" });
        expect(facts.capacity.provisionedBytes).toBe(1048576 + 512 + 512);
    });
});

test("no output whatever makes the parser throw, and what has no end is never a healthy pool", () => {
    const line = fc.oneof(
        fc.string(),
        fc.constantFrom("pool ok", "dir /pool", "fs 1 1 1 x", "recorded", `l ./.blockhost/pool ${identity}`),
        fc.string().map((text) => `o f 1 1 1 1.0 1 ./${text}`),
        fc.string().map((text) => `l ./.blockhost/marks/${text} ${identity}`),
        fc.string().map((text) => `w 1 1 ./.blockhost/work/${text}`),
    );
    fc.assert(
        fc.property(fc.array(line), (lines) => {
            expect(parse(lines.filter((one) => !one.startsWith("end")).join("\n")).problem).toBeDefined();
        }),
    );
});

test.each([
    "",
    "relative",
    "/",
    "/a/",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a/..",
    "/a\nb",
    "/a\0b",
    `/${"x".repeat(1100)}`,
])("%j is no directory for a pool", (path) => {
    expect(directoryProblem(path)).toBeDefined();
});
test.each(["/srv", "/srv/block host/ü", "/srv/..a", "/srv/$(x)"])("%j can be a pool's directory", (path) => {
    expect(directoryProblem(path)).toBeUndefined();
});
