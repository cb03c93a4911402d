import { existsSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { isEmpty } from "../../../provider/host/plan";
import { SCENARIOS, World, plans } from "../../support/fileScenarios";
import { type FileSystem, type Mounted, mount } from "../../support/mounts";

/** Every operation for real, in several shells and file systems, done twice. */

const CASES: readonly [FileSystem, readonly string[]][] = [
    ["plain", ["dash"]],
    ["plain", ["bash", "--posix"]],
    ["tmpfs", ["sh"]],
    ["xfs", ["sh"]],
    ["xfs-without-reflink", ["sh"]],
    ["ext4", ["sh"]],
    ["btrfs", ["sh"]],
];

describe.each(CASES)("on %s in %j", (kind, shell) => {
    let mounted: Mounted | undefined;
    afterAll(() => mounted?.unmount());

    test.each(SCENARIOS)("$name", async (scenario) => {
        mounted ??= mount(kind, 512);
        const world = new World(mounted, scenario.provisioning);
        world.host.shell = shell;
        try {
            for (const prepare of scenario.prepare) await prepare(world);
            const foreign = world.foreignState();
            await world.perform(scenario.plan);
            await world.check(scenario.files);
            expect(isEmpty(scenario.plan(await world.host.context(world.pool)))).toBe(true);
            expect(world.foreignState()).toEqual(foreign);
            expect(existsSync("/pwned")).toBe(false);
        } finally {
            await world.dispose();
        }
    });
});

test("the plan after a creation is one round, and so is that of everything small", async () => {
    const mounted = mount("plain", 0);
    const world = new World(mounted);
    try {
        expect(await world.perform(plans.create())).toBe(1);
        expect(await world.perform(plans.snapshot())).toBe(1);
        expect(await world.perform(plans.clone())).toBe(1);
        expect(await world.perform(plans.revert("t"))).toBe(1);
        expect(await world.perform(plans.remove())).toBe(1);
    } finally {
        await world.dispose();
        mounted.unmount();
    }
});
