import { afterAll, describe, expect, test } from "vitest";
import { SCENARIOS, type Scenario, World } from "../../support/fileScenarios";
import { type Stop, Stopped } from "../../support/localHost";
import { type FileSystem, type Mounted, mount } from "../../support/mounts";

/**
 * Every operation, stopped before every step (and, with BLOCKHOST_EVERY_COMMAND set, before every command of every
 * step), then asked for again: it must end as if nothing had happened, with nothing left behind and nothing of others
 * touched.
 */

const EVERY_COMMAND = process.env["BLOCKHOST_EVERY_COMMAND"] !== undefined;

describe.each<FileSystem>(["plain", "xfs"])("on %s", (kind) => {
    // What copies nothing is the same on every file system.
    const scenarios = SCENARIOS.filter(
        ({ name }) => kind === "plain" || EVERY_COMMAND || /snapshot|clone|revert/.test(name),
    );
    let mounted: Mounted | undefined;
    afterAll(() => mounted?.unmount());

    const begin = async (scenario: Scenario) => {
        mounted ??= mount(kind, 512);
        const world = new World(mounted, scenario.provisioning);
        for (const prepare of scenario.prepare) await prepare(world);
        await world.keep();
        return world;
    };

    test.each(scenarios)(
        "$name",
        async (scenario) => {
            const world = await begin(scenario);
            try {
                for (let step = 0; await stoppedAt(world, scenario, { step }); step++);
            } finally {
                await world.dispose();
            }
        },
        120_000,
    );

    if (EVERY_COMMAND)
        test.each(scenarios)(
            "$name, every command",
            async (scenario) => {
                const world = await begin(scenario);
                try {
                    for (let step = 0, found = true; found; step++) {
                        found = await stoppedAt(world, scenario, { step });
                        for (let command = 0; found; command++) {
                            if (!(await stoppedAt(world, scenario, { step, command }))) break;
                        }
                    }
                } finally {
                    await world.dispose();
                }
            },
            1_200_000,
        );
});

/** @returns whether there was such a step or command to be stopped at. */
async function stoppedAt(world: World, scenario: Scenario, stop: Stop): Promise<boolean> {
    await world.restore();
    const foreign = world.foreignState();
    try {
        await world.host.perform(world.pool, scenario.plan, stop);
        return false;
    } catch (error) {
        if (!(error instanceof Stopped)) throw error;
    }
    try {
        scenario.always?.(world);
        await world.perform(scenario.plan);
        await world.check(scenario.files);
        expect(world.foreignState()).toEqual(foreign);
    } catch (error) {
        throw new Error(`after a stop at ${JSON.stringify(stop)}`, { cause: error });
    }
    return true;
}
