import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
    capacityFigures,
    claimSpace,
    overSubscriptionRatio,
    provisionedBytes,
    showBytes,
} from "../../../provider/drivers/capacity";
import { BlockhostError } from "../../../provider/errors";
import { GiB, context, object } from "../../support/fileFacts";

const need = (more = {}) => ({ name: "v", thin: true, provisionedBytes: GiB, allocatedBytes: 0, ...more });

function claim(world: Parameters<typeof context>[0], wanted: ReturnType<typeof need>) {
    const { pool, facts, host } = context(world);
    return claimSpace(pool, facts, host, wanted);
}

function code(what: () => unknown): string | undefined {
    try {
        what();
        return undefined;
    } catch (error) {
        return error instanceof BlockhostError ? error.code : String(error);
    }
}

describe("ratio", () => {
    const capacity = { totalBytes: 100 * GiB, freeBytes: 60 * GiB, provisionedBytes: 82 * GiB };
    const limits = { reservedPercentage: 0 };
    test("a number is itself", () => {
        expect(overSubscriptionRatio({ ...limits, maxOverSubscriptionRatio: 1.5 }, capacity)).toBe(1.5);
    });
    test("auto is 1 + provisioned / (used + 1 GiB), as Cinder has it", () => {
        expect(overSubscriptionRatio({ ...limits, maxOverSubscriptionRatio: "auto" }, capacity)).toBe(3);
    });
    test("auto is 20 while nothing is provisioned", () => {
        const empty = { ...capacity, provisionedBytes: 0 };
        expect(overSubscriptionRatio({ ...limits, maxOverSubscriptionRatio: "auto" }, empty)).toBe(20);
    });
});

describe("thin", () => {
    const small = { totalBytes: 10 * GiB, freeBytes: 10 * GiB };
    test("may promise ratio times its size", () => {
        const world = { ...small, limits: { maxOverSubscriptionRatio: 2 } };
        expect(code(() => claim(world, need({ provisionedBytes: 20 * GiB })))).toBeUndefined();
        expect(code(() => claim(world, need({ provisionedBytes: 20 * GiB + 512 })))).toBe("no-space");
    });
    test("what is provisioned counts, ours or not", () => {
        const world = {
            ...small,
            limits: { maxOverSubscriptionRatio: 1 },
            objects: [object("a", { sizeBytes: 4 * GiB }), object("./b.raw", { sizeBytes: 5 * GiB })],
        };
        expect(code(() => claim(world, need()))).toBeUndefined();
        expect(code(() => claim(world, need({ provisionedBytes: 2 * GiB })))).toBe("no-space");
    });
    test("reserved percentage comes off first", () => {
        const world = { ...small, limits: { maxOverSubscriptionRatio: 2, reservedPercentage: 25 } };
        expect(code(() => claim(world, need({ provisionedBytes: 15 * GiB })))).toBeUndefined();
        expect(code(() => claim(world, need({ provisionedBytes: 16 * GiB })))).toBe("no-space");
    });
    test("data copied at once has to fit the free space", () => {
        const world = { ...small, freeBytes: 2 * GiB };
        expect(code(() => claim(world, need({ allocatedBytes: 2 * GiB })))).toBeUndefined();
        expect(code(() => claim(world, need({ allocatedBytes: 3 * GiB })))).toBe("no-space");
    });
});

describe("thick", () => {
    test("needs the free space for all of it", () => {
        const world = { totalBytes: 10 * GiB, freeBytes: 3 * GiB };
        const thick = (size: number) => need({ thin: false, provisionedBytes: size, allocatedBytes: size });
        expect(code(() => claim(world, thick(3 * GiB)))).toBeUndefined();
        expect(code(() => claim(world, thick(3 * GiB + 512)))).toBe("no-space");
    });
    test("never over-subscribes, even where extents are shared and so take nothing yet", () => {
        const world = {
            totalBytes: 10 * GiB,
            freeBytes: 9 * GiB,
            objects: [object("a", { sizeBytes: 6 * GiB })],
        };
        const shared = need({ thin: false, provisionedBytes: 6 * GiB });
        expect(code(() => claim(world, shared))).toBe("no-space");
    });
});

describe("claims of other plans", () => {
    const world = (
        claims: { pool: string; name: string; provisionedBytes: number; allocatedBytes: number }[],
    ) => ({
        totalBytes: 10 * GiB,
        freeBytes: 10 * GiB,
        limits: { maxOverSubscriptionRatio: 1 },
        claims,
    });
    const of = (name: string, gib: number, pool = "bulk") => ({
        pool,
        name,
        provisionedBytes: gib * GiB,
        allocatedBytes: 0,
    });
    test("are summed", () => {
        expect(code(() => claim(world([of("a", 5), of("b", 4)]), need()))).toBeUndefined();
        expect(code(() => claim(world([of("a", 5), of("b", 5)]), need()))).toBe("no-space");
    });
    test("of another pool do not count", () => {
        expect(code(() => claim(world([of("a", 10, "fast")]), need()))).toBeUndefined();
    });
    test("a later one for the same object replaces the earlier", () => {
        expect(code(() => claim(world([of("a", 10), of("a", 1)]), need()))).toBeUndefined();
    });
    test("of the object itself do not count twice", () => {
        expect(code(() => claim(world([of("v", 10)]), need({ provisionedBytes: 10 * GiB })))).toBeUndefined();
    });
});

test("the error has the figures and the ways out", () => {
    const world = {
        totalBytes: 10 * GiB,
        freeBytes: 9 * GiB,
        limits: { maxOverSubscriptionRatio: 1.5, reservedPercentage: 10 },
        objects: [object("a", { sizeBytes: 13 * GiB })],
    };
    expect(() => claim(world, need())).toThrow(
        'pool "bulk" has no room for 1 GiB more: 512 MiB left of 10 GiB (9 GiB free, 13 GiB provisioned, 1 GiB reserved (10 %), over-subscription ratio 1.5) [no-space]',
    );
});

test("a need of nothing fits a pool that is over its limit", () => {
    const world = {
        totalBytes: GiB,
        freeBytes: 0,
        limits: { maxOverSubscriptionRatio: 1 },
        objects: [object("a", { sizeBytes: 9 * GiB })],
    };
    expect(code(() => claim(world, need({ provisionedBytes: 0 })))).toBeUndefined();
});

test("provisioned is summed from the objects, as a read-back of a few knows only theirs", () => {
    const { pool, facts } = context({ objects: [object("a"), object("b")] });
    const partial = { ...facts, capacity: { ...facts.capacity, provisionedBytes: GiB } };
    expect(capacityFigures(pool, partial, true).provisionedBytes).toBe(2 * GiB);
    expect(provisionedBytes(facts.objects)).toBe(2 * GiB);
});

test("what fits one by one is never refused one by one, and the sum never exceeds the limit", () => {
    fc.assert(
        fc.property(
            fc.array(fc.integer({ min: 1, max: 4 * 1024 }), { maxLength: 20 }),
            fc.integer({ min: 1, max: 30 }),
            fc.integer({ min: 0, max: 100 }),
            (sizes, ratio, reservedPercentage) => {
                const total = 1024 * 512;
                const limit = Math.floor((total - Math.floor((total * reservedPercentage) / 100)) * ratio);
                const claims: ReturnType<typeof claim>[] = [];
                let sum = 0;
                sizes.forEach((sectors, i) => {
                    const wanted = need({ name: `v${String(i)}`, provisionedBytes: sectors * 512 });
                    const world = {
                        totalBytes: total,
                        freeBytes: total,
                        limits: { maxOverSubscriptionRatio: ratio, reservedPercentage },
                        claims,
                    };
                    const fits = sum + sectors * 512 <= limit;
                    expect(code(() => claims.push(claim(world, wanted)))).toBe(fits ? undefined : "no-space");
                    if (fits) sum += sectors * 512;
                });
            },
        ),
    );
});

test.each([
    [0, "0 B"],
    [512, "512 B"],
    [1536, "1.5 KiB"],
    [GiB, "1 GiB"],
    [2 ** 53, "8 PiB"],
])("%d bytes are shown as %s", (bytes, shown) => {
    expect(showBytes(bytes)).toBe(shown);
});
