import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Case } from "./cases/types";
import { noMoreProviders } from "./providerProcess";
import { record } from "./results";
import { type Stop, STOPS } from "./stops";
import { CUTS, Trials } from "./trial";
import type { World } from "./world";

/** Every operation × every way to stop it × every point. `BLOCKHOST_FAULTS=full`; else some of it, chosen evenly. */
const FULL = process.env["BLOCKHOST_FAULTS"] === "full";

/**
 * Defines the tests of operations on one kind of host. Where hosts boot and all takes long (`slow`), everyday use is one
 * power cut and one other way an operation.
 */
export function faultMatrix(
    title: string,
    start: () => Promise<World>,
    cases: readonly Case[],
    ways: readonly Stop[] = Object.values(STOPS).flat(),
    { slow = false }: { slow?: boolean } = {},
): void {
    describe(title, () => {
        let world: World;
        let trials: Trials;

        beforeAll(async () => {
            world = await start();
            trials = await Trials.on(world);
        });
        afterAll(async () => {
            noMoreProviders();
            await trials.stop();
            await world.stop();
        });

        describe.each(cases.map((what) => [what.title, what] as const))("%s", (_, what) => {
            const stops = ways.filter((stop) => stop.concerns?.(what) ?? true);
            if (FULL) {
                test.each(stops.map((stop) => [stop.title, stop] as const))("%s", async (_, stop) => {
                    expect(await everyPoint(trials, what, stop)).toEqual([]);
                });
            } else {
                test("is finished by the next run, wherever it is stopped", async () => {
                    const number = cases.indexOf(what);
                    const some = slow ? twoPoints : somePoints;
                    expect(await some(trials, what, stops, number)).toEqual([]);
                });
            }
        });
    });
}

/** Tries points until there are no more; gives what failed. */
async function everyPoint(trials: Trials, what: Case, stop: Stop): Promise<string[]> {
    const failures: string[] = [];
    const stride = (stop.every ?? 1) * (what.slow === true ? 3 : 1);
    // Other points for other operations and ways.
    const first = stride === 1 ? 0 : (trials.count + stop.title.length) % stride;
    let at = first;
    while (await tried(trials, what, stop, at, failures)) at += stride;
    // What is over before its first point of this way has been tried at none.
    if (at === first && stride === 1 && failures.length === 0)
        failures.push(`${stop.title}: there is no point`);
    return failures;
}

/**
 * For everyday use: each point between steps in one way or another, and every other way at a few points, which are
 * other ones from operation to operation.
 */
async function somePoints(trials: Trials, what: Case, stops: readonly Stop[], number: number) {
    const failures: string[] = [];
    const rotated = stops.filter(({ where }) => where === "between");
    for (let at = 0; ; at++) {
        const stop = rotated[(at + number) % rotated.length];
        if (stop === undefined || !(await tried(trials, what, stop, at, failures))) break;
    }
    const once = stops.filter(({ where }) => where !== "between");
    const some = once.filter((_, i) => (i + number) % (what.slow === true ? 4 : 2) === 0);
    for (const [i, stop] of some.entries()) {
        const within = { between: 3, inside: 7, ends: 3, transit: CUTS }[stop.where];
        await tried(trials, what, stop, (number + 3 * i) % within, failures);
    }
    return failures;
}

/** One power cut and one other way, other ones from operation to operation, each at another point. */
async function twoPoints(trials: Trials, what: Case, stops: readonly Stop[], number: number) {
    const failures: string[] = [];
    const cuts = stops.filter(({ power }) => power === true);
    const others = stops.filter(({ power }) => power !== true);
    for (const among of [cuts, others]) {
        // Not every operation has that point, or any of that way.
        for (let turn = number; turn < number + 3; turn++) {
            const stop = among[turn % among.length];
            if (stop === undefined) break;
            const at = turn === number ? Math.floor(number / among.length) % 3 : 0;
            if (await tried(trials, what, stop, at, failures)) break;
        }
    }
    return failures;
}

/** One trial, recorded; true as long as there may be further points. */
async function tried(
    trials: Trials,
    what: Case,
    stop: Stop,
    at: number,
    failures: string[],
): Promise<boolean> {
    const began = performance.now();
    const result = () => ({
        world: trials.world.title,
        operation: what.title,
        stop: stop.title,
        point: at,
        took: Math.round(performance.now() - began),
    });
    try {
        const met = await trials.trial(what, stop, at);
        if (met) record({ ...result(), ok: true });
        return met;
    } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        failures.push(`${stop.title}, point ${String(at)}: ${text}`);
        record({ ...result(), ok: false, error: text });
        // Many failures in a row have one cause: no use to find them all.
        return failures.length < 6;
    }
}
