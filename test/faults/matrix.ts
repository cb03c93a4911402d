import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Case } from "./cases/types";
import { noMoreProviders } from "./providerProcess";
import { record } from "./results";
import type { Stop } from "./stops";
import { CUTS, Trials } from "./trial";
import type { Tormented } from "./world";

/**
 * How much of every operation × every way to stop it × every point is tried (`BLOCKHOST_FAULTS`): all of it; the basic
 * ways at each point between steps; each of these points in one way or another; or one power cut and one other way an
 * operation. What happens to another host is tried once an operation by the last two.
 */
const EXTENTS = ["full", "basic", "points", "few"] as const;
const asked = process.env["BLOCKHOST_FAULTS"];

function extent(usual: (typeof EXTENTS)[number]): (typeof EXTENTS)[number] {
    if (asked === undefined || asked === "") return usual;
    const found = EXTENTS.find((one) => one === asked);
    assert(found, `BLOCKHOST_FAULTS is one of ${EXTENTS.join(", ")}, not ${asked}`);
    return found;
}

/** Defines the tests of operations on one kind of host. Everyday use is `few` where hosts boot and all takes long (`slow`). */
export function faultMatrix<W extends Tormented>(
    title: string,
    start: () => Promise<W>,
    cases: readonly Case<W>[],
    ways: readonly Stop<W>[],
    { slow = false }: { slow?: boolean } = {},
): void {
    const much = extent(slow ? "few" : "points");
    describe(title, () => {
        let world: W;
        let trials: Trials<W>;

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
            const stops = ways.filter(
                (stop) => (stop.concerns?.(what) ?? true) && (much !== "basic" || stop.basic === true),
            );
            if (much === "full" || much === "basic") {
                test.each(stops.map((stop) => [stop.title, stop] as const))("%s", async (_, stop) => {
                    expect(await everyPoint(trials, what, stop)).toEqual([]);
                });
            } else {
                test("is finished by the next run, wherever it is stopped", async () => {
                    const number = cases.indexOf(what);
                    const some = much === "few" ? twoPoints : somePoints;
                    expect(await some(trials, what, stops, number)).toEqual([]);
                });
            }
        });
    });
}

/** Tries points until there are no more; gives what failed. */
async function everyPoint<W extends Tormented>(
    trials: Trials<W>,
    what: Case<W>,
    stop: Stop<W>,
): Promise<string[]> {
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
 * Each point between steps in one way or another, one way that concerns another host, where there are such, and every
 * other way at a few points, which are other ones from operation to operation.
 */
async function somePoints<W extends Tormented>(
    trials: Trials<W>,
    what: Case<W>,
    stops: readonly Stop<W>[],
    number: number,
) {
    const failures: string[] = [];
    const [elsewhere, here] = apart(stops);
    const rotated = here.filter(({ where }) => where === "between");
    for (let at = 0; ; at++) {
        const stop = rotated[(at + number) % rotated.length];
        if (stop === undefined || !(await tried(trials, what, stop, at, failures))) break;
    }
    await onePoint(trials, what, elsewhere, number, failures);
    const once = here.filter(({ where }) => where !== "between");
    const some = once.filter((_, i) => (i + number) % (what.slow === true ? 4 : 2) === 0);
    for (const [i, stop] of some.entries()) {
        const within = { between: 3, inside: 7, ends: 3, transit: CUTS }[stop.where];
        await tried(trials, what, stop, (number + 3 * i) % within, failures);
    }
    return failures;
}

/**
 * One power cut, one way that concerns another host, where there are such, and one other way; other ones from operation
 * to operation, each at another point.
 */
async function twoPoints<W extends Tormented>(
    trials: Trials<W>,
    what: Case<W>,
    stops: readonly Stop<W>[],
    number: number,
) {
    const failures: string[] = [];
    const [elsewhere, here] = apart(stops);
    const cuts = here.filter(({ power }) => power === true);
    const others = here.filter(({ power }) => power !== true);
    for (const among of [cuts, elsewhere, others]) await onePoint(trials, what, among, number, failures);
    return failures;
}

/** Those that happen to another host, and those that do not. */
function apart<W extends Tormented>(stops: readonly Stop<W>[]): [elsewhere: Stop<W>[], here: Stop<W>[]] {
    return [stops.filter((stop) => stop.elsewhere === true), stops.filter((stop) => stop.elsewhere !== true)];
}

/** One of some ways, if there are any, at one point. */
async function onePoint<W extends Tormented>(
    trials: Trials<W>,
    what: Case<W>,
    among: readonly Stop<W>[],
    number: number,
    failures: string[],
): Promise<void> {
    // Not every operation has that point, or any of that way.
    for (let turn = number; turn < number + 3; turn++) {
        const stop = among[turn % among.length];
        if (stop === undefined) return;
        const at = turn === number ? Math.floor(number / among.length) % 3 : 0;
        if (await tried(trials, what, stop, at, failures)) return;
    }
}

/** An error's text, with what led to it. */
function withCauses(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    return error.cause === undefined ? error.message : `${error.message}: ${withCauses(error.cause)}`;
}

/** One trial, recorded; true as long as there may be further points. */
async function tried<W extends Tormented>(
    trials: Trials<W>,
    what: Case<W>,
    stop: Stop<W>,
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
        const text = withCauses(error);
        failures.push(`${stop.title}, point ${String(at)}: ${text}`);
        record({ ...result(), ok: false, error: text });
        // Many failures in a row have one cause: no use to find them all.
        return failures.length < 6;
    }
}
