import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stopUnit } from "../../../provider/host/units";
import { type Files, World, of, plans } from "../../support/fileScenarios";
import { Stopped } from "../../support/localHost";
import { type Mounted, mount } from "../../support/mounts";

/** Copies and wipes that are too large for a run of their own: units that outlive the connection. */

/** Just more than is done within a run. */
const LARGE = 65 * 2 ** 20;
const WORD = "large";

let mounted: Mounted;
beforeAll(() => {
    mounted = mount("tmpfs", 400);
});
afterAll(() => {
    mounted.unmount();
});

async function withLarge(then: (world: World) => Promise<unknown>) {
    const world = new World(mounted);
    try {
        await world.perform(plans.create(LARGE));
        world.addForeign();
        writeFileSync(`${world.directory}/v.img`, Buffer.alloc(LARGE, WORD), { flag: "r+" });
        const foreign = world.foreignState();
        const restored = await then(world);
        // A world that was restored has other inodes.
        if (restored !== true) expect(world.foreignState()).toEqual(foreign);
    } finally {
        await world.dispose();
    }
}

const content = Buffer.alloc(LARGE, WORD).toString();
const large: Files[string] = { word: content, size: LARGE };

/** Begins an operation up to where its unit runs, as a provider that is killed then leaves it. */
async function begin(world: World, planner: Parameters<World["perform"]>[0]): Promise<string> {
    const plan = planner(await world.host.context(world.pool));
    await world.host.runSteps(plan.steps);
    return plan.waitFor ?? "";
}

const end = (world: World, unit: string) => world.host.sh(stopUnit(world.host.stateDirectory, unit).text);

test("a large snapshot is copied by a unit, and put in place in a second round", () =>
    withLarge(async (world) => {
        expect(await world.perform(plans.snapshot())).toBe(2);
        await world.check({ v: large, s: large });
    }));

test("whoever comes next waits for the unit that runs", () =>
    withLarge(async (world) => {
        const unit = await begin(world, plans.snapshot());
        const plan = plans.snapshot()(await world.host.context(world.pool));
        if (plan.waitFor !== undefined) expect(plan).toMatchObject({ steps: [], waitFor: unit });
        await world.perform(plans.snapshot());
        await world.check({ v: large, s: large });
    }));

test("a complete copy is used, even if the host has forgotten the unit", () =>
    withLarge(async (world) => {
        await world.host.unitEnds(await begin(world, plans.snapshot()));
        await world.host.sh(`rm -rf '${world.host.stateDirectory}/units'`);
        const plan = plans.snapshot()(await world.host.context(world.pool));
        expect(plan.waitFor).toBeUndefined();
        await world.host.runSteps(plan.steps);
        await world.check({ v: large, s: large });
    }));

test("a copy that was ended half-way (the host was restarted) begins anew", () =>
    withLarge(async (world) => {
        await end(world, await begin(world, plans.snapshot()));
        await world.perform(plans.snapshot());
        await world.check({ v: large, s: large });
    }));

test("deleting a half-made snapshot ends its copy", () =>
    withLarge(async (world) => {
        await begin(world, plans.snapshot());
        await world.perform(plans.removeSnapshot());
        await world.check({ v: large });
        expect((await world.host.units()).size).toBe(0);
    }));

test("a copy whose source is written meanwhile fails, says so, and is done again next time", () =>
    withLarge(async (world) => {
        const plan = plans.snapshot()(await world.host.context(world.pool));
        const writing = new AbortController();
        const writer = (async () => {
            while (!writing.signal.aborted) {
                world.write("v", WORD);
                await sleep(5);
            }
        })();
        await world.host.runSteps(plan.steps);
        await world.host.unitEnds(plan.waitFor ?? "");
        writing.abort();
        await writer;
        const context = await world.host.context(world.pool, new Set([plan.waitFor ?? ""]));
        expect(() => plans.snapshot()(context)).toThrow(
            /was written while it was being copied.*no one point in time/s,
        );
        await world.perform(plans.snapshot());
        await world.check({ v: large, s: large });
    }));

test("the unit reports its progress", () =>
    withLarge(async (world) => {
        const unit = await begin(world, plans.snapshot());
        await world.host.unitEnds(unit);
        const report = readFileSync(`${world.host.stateDirectory}/units/${unit}/bytes`, "utf8");
        expect(Number(report)).toBe(LARGE);
        await world.perform(plans.snapshot());
    }));

test("holes are neither copied nor counted", () =>
    withLarge(async (world) => {
        truncateSync(`${world.directory}/v.img`, 3 * 2 ** 30);
        const started = Date.now();
        await world.perform(plans.snapshot());
        expect(Date.now() - started).toBeLessThan(15_000);
        const facts = await world.host.observe(world.pool);
        expect(facts.objects.get("s")?.sizeBytes).toBe(3 * 2 ** 30);
        expect(facts.objects.get("s")?.allocatedBytes).toBeLessThanOrEqual(LARGE + 2 ** 20);
    }));

test(
    "a large revert, stopped before every step",
    () =>
        withLarge(async (world) => {
            await world.perform(plans.snapshot());
            world.write("v", "NEW");
            const changed = `NEW${content.slice(3)}`;
            await world.keep();
            for (let step = 0, found = true; found; step++) {
                await world.restore();
                found = await world.host.perform(world.pool, plans.revert("t"), { step }).then(
                    () => false,
                    (error: unknown) => {
                        if (error instanceof Stopped) return true;
                        throw error;
                    },
                );
                if (!found) break;
                await world.perform(plans.revert("t"));
                await world.check({ v: large, s: large, "v.safety": { word: changed, size: LARGE } });
            }
            return true;
        }),
    120_000,
);

test("a large wipe overwrites everything before the data goes, also when stopped", () =>
    withLarge(async (world) => {
        const zero = { method: "zero", limitBytes: 0, ionice: 7 } as const;
        const link = `${world.directory}.witness`;
        await world.host.sh(`ln '${world.directory}/v.img' '${link}'`);
        const unit = await begin(world, plans.remove(zero));
        expect(unit).toMatch(/^wipe-v-/);
        await end(world, unit);
        await world.perform(plans.remove(zero));
        await world.check({});
        const witness = readFileSync(link);
        await world.host.sh(`rm '${link}'`);
        expect(witness.equals(Buffer.alloc(LARGE))).toBe(true);
    }));

test("a limited wipe overwrites as much as asked, within the run", () =>
    withLarge(async (world) => {
        const link = `${world.directory}.witness`;
        await world.host.sh(`ln '${world.directory}/v.img' '${link}'`);
        expect(
            await world.perform(plans.remove({ method: "zero", limitBytes: 2 ** 20, ionice: "idle" })),
        ).toBe(1);
        await world.check({});
        const witness = readFileSync(link);
        await world.host.sh(`rm '${link}'`);
        expect(witness.subarray(0, 2 ** 20).equals(Buffer.alloc(2 ** 20))).toBe(true);
        expect(witness.subarray(2 ** 20).toString()).toBe(content.slice(2 ** 20));
    }));

test("small things beside: the same names, no units", () =>
    withLarge(async (world) => {
        await world.perform(plans.extend(LARGE + 512));
        await world.perform(plans.remove());
        await world.perform(plans.create());
        await world.check({ v: of("") });
    }));
