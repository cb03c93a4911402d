import { existsSync, writeFileSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KiB, type Plans, SIZE, World, of, plans } from "../../support/fileScenarios";
import { StepFailed } from "../../support/localHost";
import { type Mounted, mount } from "../../support/mounts";

/** A file system of 1 MiB that fills up under an operation: an error that says so, and the next run ends it. */

/** As if the facts had been read before somebody filled the pool. */
const hopeful =
    (planner: Plans): Plans =>
    (context) =>
        planner({
            ...context,
            facts: {
                ...context.facts,
                capacity: { ...context.facts.capacity, totalBytes: 2 ** 40, freeBytes: 2 ** 40 },
            },
        });

describe("a full pool", () => {
    let mounted: Mounted;
    let world: World;
    beforeEach(() => {
        mounted = mount("tmpfs", 1);
    });
    afterEach(async () => {
        await world.dispose();
        mounted.unmount();
    });

    const fill = () => {
        try {
            writeFileSync(`${world.directory}/filler`, Buffer.alloc(2 ** 21));
        } catch {
            // As far as it goes.
        }
    };
    const free = () => {
        rmSync(`${world.directory}/filler`);
    };
    const full = async (planner: Plans) => {
        const error: unknown = await world.host
            .perform(world.pool, hopeful(planner))
            .catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(StepFailed);
        expect((error as StepFailed).ran.stderr).toMatch(/No space left on device/);
    };

    test("the facts are enough to refuse a thick volume", async () => {
        world = new World(mounted, "thick");
        await expect(world.perform(plans.create(2 ** 21))).rejects.toMatchObject({ code: "no-space" });
        expect(existsSync(`${world.directory}/.blockhost`)).toBe(false);
    });

    test("create thick", async () => {
        world = new World(mounted, "thick");
        await world.perform(plans.create(4 * KiB));
        await world.perform(plans.remove());
        fill();
        await full(plans.create());
        free();
        await world.perform(plans.create());
        await world.check({ v: of("") });
    });

    test("extend thick", async () => {
        world = new World(mounted, "thick");
        await world.perform(plans.create());
        fill();
        await full(plans.extend(2 * SIZE));
        free();
        await world.perform(plans.extend(2 * SIZE));
        await world.check({ v: of("", 2 * SIZE) });
    });

    const written = async () => {
        world = new World(mounted);
        await world.perform(plans.create());
        writeFileSync(`${world.directory}/v.img`, Buffer.alloc(SIZE, "x"), { flag: "r+" });
    };
    const content = of("x".repeat(SIZE));

    test("a snapshot by copy leaves nothing that takes space", async () => {
        await written();
        fill();
        await full(plans.snapshot());
        expect((await world.host.sh(`ls '${world.directory}/.blockhost/work'`)).trim()).toBe("");
        free();
        await world.perform(plans.snapshot());
        await world.check({ v: content, s: content });
    });

    test("a half-made snapshot can be deleted while the pool is full", async () => {
        await written();
        fill();
        await full(plans.snapshot());
        await world.perform(plans.removeSnapshot());
        free();
        await world.check({ v: content });
    });

    test("revert", async () => {
        await written();
        await world.perform(plans.snapshot());
        world.write("v", "new");
        fill();
        await full(plans.revert("t"));
        expect(world.word("v").slice(0, 3)).toBe("new");
        free();
        await world.perform(plans.revert("t"));
        expect(world.word("v")).toBe("x".repeat(16));
    });

    test("no room for a mark", async () => {
        world = new World(mounted);
        await world.perform(plans.create());
        await world.perform(plans.remove());
        await world.host.sh(
            `mount -o remount,nr_inodes=$(( $(stat -f -c %c '${world.directory}') - $(stat -f -c %d '${world.directory}') )) '${mounted.directory}'`,
        );
        await full(plans.create());
        await world.host.sh(`mount -o remount,nr_inodes=1000 '${mounted.directory}'`);
        await world.perform(plans.create());
        await world.check({ v: of("") });
    });
});
