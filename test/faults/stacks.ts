import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CrowdResult, whoseIs } from "./crowd";
import { noMoreProviders, provider } from "./providerProcess";
import { recorded } from "./results";
import { type World, clientOf } from "./world";

/** F20: two stacks, each in a process of its own, at work on one pool (and one target) of one host at once. */

const COUNT = 20;
export function describeStacks(start: () => Promise<World>): void {
    let world: World;
    let empty: string[];

    beforeAll(async () => {
        world = await start();
        // What stays on a host that has been used once.
        const client = clientOf(world);
        const volume = await client.volume("first");
        if (world.exports) await client.delete(await client.export("first", "first"));
        await client.delete(volume);
        await client.close();
        empty = await world.inventory();
    });
    afterAll(async () => {
        noMoreProviders();
        await world.stop();
    });

    async function both(): Promise<Map<string, CrowdResult>> {
        const stacks = ["a", "b"];
        const configuration = world.configuration();
        const jobs = await Promise.all(
            stacks.map((stack) =>
                provider({ kind: "crowd", configuration, stack, count: COUNT, exports: world.exports }),
            ),
        );
        const answers = await Promise.all(jobs.map(({ answer }) => answer));
        await Promise.all(jobs.map((job) => job.kill()));
        return new Map(
            answers.map(({ error, result }, i) => {
                expect(error).toBeUndefined();
                return [stacks[i] ?? "", result as CrowdResult];
            }),
        );
    }

    describe("two stacks at once", () => {
        test("both end as declared, and neither touches what is the other's", () =>
            recorded(
                { world: `${world.title}, two stacks at once`, operation: "each its own", stop: "none" },
                async () => {
                    const results = await both();
                    const names: string[] = [];
                    for (const [stack, { volumes, exports, deleted }] of results) {
                        expect(volumes.length + deleted.length).toBe(COUNT);
                        const client = clientOf(world, { stack });
                        for (const volume of volumes) {
                            expect(await client.read(volume)).toEqual(volume);
                            expect(await world.size(volume.name)).toBe(volume.sizeBytes);
                            expect(await world.ownerOf(volume.name)).toContain(`/${stack}/${volume.name}`);
                            names.push(volume.name);
                        }
                        for (const one of exports) {
                            expect(one.drift).toEqual([]);
                            expect(await client.changeExport(one, {})).toEqual(one);
                        }
                        expect(client.runs).toBe(1);
                        await client.close();
                        const [first] = exports;
                        if (first !== undefined) {
                            const who = whoseIs(stack, Number(first.name.replace(/.*-/, "")));
                            expect(await world.login(first, who)).toBe("");
                        }
                        for (const name of deleted) expect(await world.exists(name)).toBe(false);
                    }
                    const lines = await world.inventory();
                    expect((await world.objects()).sort()).toEqual(names.sort());
                    expect((await world.targets()).length).toBe(world.exports ? names.length : 0);
                    expect(
                        lines.filter((line) => line.includes("phase:") && !line.includes("phase:ready")),
                    ).toEqual([]);
                    expect(lines.filter((line) => line.includes("applied 0"))).toEqual([]);
                    // One stack goes; all of the other stays.
                    const [a, b] = [results.get("a"), results.get("b")];
                    const gone = clientOf(world, { stack: "a" });
                    for (const one of a?.exports ?? []) await gone.delete(one);
                    for (const one of a?.volumes ?? []) await gone.delete(one);
                    await gone.close();
                    const left = clientOf(world, { stack: "b" });
                    for (const one of b?.volumes ?? []) expect(await left.read(one)).toEqual(one);
                    for (const one of b?.exports ?? []) expect(await left.changeExport(one, {})).toEqual(one);
                    expect(left.runs).toBe(1);
                    for (const one of b?.exports ?? []) await left.delete(one);
                    for (const one of b?.volumes ?? []) await left.delete(one);
                    await left.close();
                    expect(await world.inventory()).toEqual(empty);
                },
            ));
    });
}
