import { statSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import {
    type Plans,
    SIZE,
    World,
    of,
    plans,
    volume,
    withSafety,
    withSnapshot,
} from "../../support/fileScenarios";
import { Stopped } from "../../support/localHost";
import { type FileSystem, type Mounted, mount } from "../../support/mounts";

/** An operation stopped before every step, after which something else is asked for. */

interface Case {
    readonly name: string;
    readonly prepare: (world: World) => Promise<unknown>;
    readonly stopped: Plans;
    readonly then: Plans;
    readonly check: (world: World) => Promise<unknown>;
}

const nothing = async () => undefined;
/** Neither a second name for the data nor a mark that says something is under way. */
const soundVolume = async (world: World) => {
    expect(statSync(`${world.directory}/v.img`).nlink).toBe(1);
    const facts = await world.host.observe(world.pool);
    expect(facts.objects.get("v")?.mark?.phase).toBe("ready");
    expect([...facts.objects.values()].filter(({ sizeBytes }) => sizeBytes === undefined)).toEqual([]);
};

const CASES: readonly Case[] = [
    {
        name: "create, then delete",
        prepare: nothing,
        stopped: plans.create(),
        then: plans.remove(),
        check: (world) => world.check({}),
    },
    {
        name: "create, then create larger",
        prepare: nothing,
        stopped: plans.create(),
        then: (context) => {
            // Finished meanwhile, it would have to be extended.
            const ready = context.facts.objects.get("v")?.mark?.phase === "ready";
            return ready ? plans.extend(2 * SIZE)(context) : plans.create(2 * SIZE)(context);
        },
        check: (world) => world.check({ v: of("", 2 * SIZE) }),
    },
    {
        name: "clone, then clone something else",
        prepare: withSnapshot,
        stopped: plans.clone(SIZE, "s"),
        then: (context) => {
            const ready = context.facts.objects.get("c")?.mark?.phase === "ready";
            return ready && context.facts.objects.get("c")?.mark?.extra["source"] === "s"
                ? plans.removeClone()(context)
                : plans.clone(SIZE, "v")(context);
        },
        check: (world) => world.check({ v: of("new"), s: of("old"), c: of("new") }),
    },
    {
        name: "snapshot, then delete it",
        prepare: volume,
        stopped: plans.snapshot(),
        then: plans.removeSnapshot(),
        check: (world) => world.check({ v: of("old") }),
    },
    {
        name: "revert, then delete",
        prepare: withSafety,
        stopped: plans.revert("t1"),
        then: plans.remove(),
        check: (world) => world.check({ s: of("old") }),
    },
    {
        name: "revert, then revert with another token",
        prepare: withSafety,
        stopped: plans.revert("t1"),
        then: plans.revert("t2"),
        check: async (world) => {
            await soundVolume(world);
            expect(world.word("v")).toBe("old");
            expect(["newer", "old"]).toContain(world.word("v.safety"));
        },
    },
    {
        name: "revert, then extend",
        prepare: withSafety,
        stopped: plans.revert("t1"),
        then: plans.extend(2 * SIZE),
        check: async (world) => {
            await soundVolume(world);
            expect(["newer", "old"]).toContain(world.word("v"));
        },
    },
    {
        name: "revert, then release",
        prepare: withSnapshot,
        stopped: plans.revert("t1"),
        then: plans.release(),
        check: async (world) => {
            expect(statSync(`${world.directory}/v.img`).nlink).toBe(1);
            const facts = await world.host.observe(world.pool);
            expect(facts.objects.get("v")?.mark).toBeUndefined();
            expect(facts.objects.get("v.safety")?.mark).toBeUndefined();
        },
    },
    {
        name: "delete, then create",
        prepare: withSafety,
        stopped: plans.remove(),
        then: (context) =>
            // Not begun, it would be the volume that was to be deleted.
            context.facts.objects.get("v")?.mark?.phase === "ready" &&
            (context.facts.objects.get("v")?.allocatedBytes ?? 0) > 0
                ? plans.remove()(context)
                : plans.create()(context),
        check: (world) => world.check({ v: of(""), s: of("old") }),
    },
];

describe.each<FileSystem>(["plain", "xfs"])("on %s", (kind) => {
    let mounted: Mounted | undefined;
    afterAll(() => mounted?.unmount());

    test.each(CASES)(
        "$name",
        async ({ prepare, stopped, then, check }) => {
            mounted ??= mount(kind, 512);
            const world = new World(mounted);
            try {
                await prepare(world);
                await world.keep();
                for (let step = 0, found = true; found; step++) {
                    await world.restore();
                    found = await world.host.perform(world.pool, stopped, { step }).then(
                        () => false,
                        (error: unknown) => {
                            if (error instanceof Stopped) return true;
                            throw error;
                        },
                    );
                    if (!found) break;
                    const foreign = world.foreignState();
                    await world.perform(then);
                    await check(world);
                    expect(world.foreignState()).toEqual(foreign);
                }
            } finally {
                await world.dispose();
            }
        },
        120_000,
    );
});
