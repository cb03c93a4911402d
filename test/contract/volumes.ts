import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { provisionedBytes } from "../../provider/drivers/capacity";
import { NAME_MAX_LENGTH } from "../../provider/names";
import { volume, type VolumeState } from "../../provider/resources/volume";
import {
    type Client,
    type ClientOptions,
    HOST,
    MiB,
    POOL,
    id,
    refused,
    volumeInputs,
} from "../support/client";
import type { VolumeBackend } from "./support/volumeBackend";

/**
 * The contract of volumes and snapshots over a driver, through SSH, without the Pulumi engine. The same for every driver;
 * sizes are multiples of 4 MiB, so that rounding to a pool's grain changes none.
 */
export function describeVolumes(backend: VolumeBackend): void {
    let client: Client;
    const opened: Client[] = [];

    /** As another process of the provider. */
    function another(options: ClientOptions = {}): Client {
        const one = backend.client(options);
        opened.push(one);
        return one;
    }

    beforeAll(async () => {
        await backend.start();
        client = another();
    }, 600_000);

    afterAll(async () => {
        await Promise.all(opened.map((one) => one.close()));
        await backend.stop();
    }, 600_000);

    const fill = (name: string, byte: number, length?: number) => backend.fill(name, byte, length);
    const firstByte = (name: string) => backend.firstByte(name);
    const bytesOf = async (...names: string[]): Promise<(number | undefined)[]> => {
        const found = [];
        for (const name of names) found.push(await firstByte(name));
        return found;
    };

    /** What a whole new process would do to make it so: nothing. */
    async function expectNoChange(state: VolumeState): Promise<void> {
        const fresh = another();
        expect(await volume.diff(fresh.context, state, volumeInputs(state))).toEqual([]);
        expect(await fresh.read(state)).toEqual(state);
        expect(fresh.runs).toBe(1);
        await fresh.close();
    }

    async function expectNothingLeft(): Promise<void> {
        expect(await backend.leftovers()).toEqual([]);
    }

    describe("a volume", () => {
        test("is created, and created again it is the same", async () => {
            const checked = await volume.check(client.context, undefined, {
                host: HOST,
                pool: POOL,
                size: "4MiB",
                owner: client.owner("v1"),
            });
            expect(checked.failures).toEqual([]);
            expect(checked.inputs["name"]).toBe("v1");
            const first = await client.volume("v1");
            expect(first).toMatchObject({ sizeBytes: 4 * MiB, path: backend.path("v1") });
            expect(await backend.sizeOf("v1")).toBe(4 * MiB);
            expect(await client.volume("v1")).toEqual(first);
            expect(await another().volume("v1")).toEqual(first);
            await expectNoChange(first);
        });

        test("is not created with other arguments than it has", async () => {
            const before = await client.volume("v2", { size: "8MiB" });
            const error = await refused(client.volume("v2", { size: "4MiB" }), "exists");
            expect(error.details.hint).toBeTruthy();
            expect(await client.read(before)).toEqual(before);
        });

        test("has a size that its pool can hold, and keeps it when nothing changes", async () => {
            const state = await client.volume("v2r", { size: "5MiB" });
            const rounded = Math.ceil((5 * MiB) / backend.grain) * backend.grain;
            expect(state.sizeBytes).toBe(rounded);
            expect(await backend.sizeOf("v2r")).toBe(rounded);
            expect(await client.volume("v2r", { size: "5MiB" })).toEqual(state);
            await expectNoChange(state);
            const same = await client.change(state, { size: rounded });
            expect(same.sizeBytes).toBe(rounded);
        });

        test("has a name of any length that is allowed, and so has a snapshot of it", async () => {
            const longest = (first: string) => first.padEnd(NAME_MAX_LENGTH, "x");
            const state = await client.volume(longest("v"));
            await expectNoChange(state);
            const taken = await client.snapshot(longest("s"), longest("v"));
            await client.delete(taken);
            await client.delete(state);
            await expectNothingLeft();
        });

        test("of somebody else stays untouched", async () => {
            const theirs = await another({ stack: "theirs" }).volume("v3");
            await fill("v3", 7);
            const mine = another();
            await refused(mine.volume("v3"), "not-ours");
            const { failures } = await volume.check(mine.context, undefined, { ...mine.volumeArgs("v3") });
            expect(failures.map(({ property }) => property)).toEqual(["name"]);
            await refused(mine.delete({ ...theirs, owner: mine.owner("v3") }), "not-ours");
            expect(await firstByte("v3")).toBe(7);
            await backend.foreign("foreign", 8);
            await refused(another().volume("foreign"), "not-ours");
            expect(await firstByte("foreign")).toBe(8);
        });

        test("is deleted, and deleted again that is fine", async () => {
            const state = await client.volume("v4");
            await client.delete(state);
            expect(await backend.exists("v4")).toBe(false);
            expect(await another().read(state)).toBeUndefined();
            await client.delete(state);
            await another().delete(state);
        });

        test("deleted and made anew by somebody is not deleted", async () => {
            const old = await client.volume("v5");
            await client.delete(old);
            const fresh = await client.volume("v5");
            await refused(client.delete(old), "not-ours");
            expect(await client.read(fresh)).toEqual(fresh);
        });

        test("grows in place and never shrinks", async () => {
            const state = await client.volume("v6");
            await fill("v6", 9);
            const grown = await client.change(state, { size: "8MiB" });
            expect(grown).toMatchObject({ sizeBytes: 8 * MiB, generation: state.generation });
            expect(await firstByte("v6")).toBe(9);
            expect((await refused(client.change(grown, { size: "4MiB" }), "invalid")).message).toMatch(
                /never shrinks/,
            );
            await refused(
                volume.update(client.context, grown, { ...volumeInputs(grown), size: "4MiB" }),
                "invalid",
            );
            expect(await backend.sizeOf("v6")).toBe(8 * MiB);
            await expectNoChange(grown);
        });

        test("is not replaced unless data loss is allowed", async () => {
            const state = await client.volume("v7");
            const error = await refused(client.change(state, { name: "v7b" }), "invalid");
            expect(error.message).toMatch(/data-loss/);
            const news = { ...volumeInputs(state), name: "v7b", allow: ["data-loss" as const] };
            const changes = await volume.diff(client.context, state, news);
            const replaced = changes.filter(({ kind }) => kind === "replace").map(({ property }) => property);
            expect(replaced).toEqual(["name"]);
        });

        test("keeps its object when its resource is renamed", async () => {
            const state = await client.volume("v8");
            const renamed = await client.change(state, { owner: client.owner("renamed") });
            expect(renamed).toMatchObject({ generation: state.generation, path: state.path });
            await refused(another().volume("v8"), "not-ours");
            await expectNoChange(renamed);
            await client.delete(renamed);
        });

        test("changed on the host: deleted is gone, without its mark it is not ours", async () => {
            const state = await client.volume("v9");
            await backend.removeBehind("v9");
            expect(await another().read(state)).toBeUndefined();
            const again = await another().volume("v9");
            await backend.unmark("v9");
            await refused(another().read(again), "not-ours");
            await refused(another().delete(again), "not-ours");
            expect(await backend.exists("v9")).toBe(true);
            const grown = await client.volume("v9c");
            await backend.growBehind("v9c", 8 * MiB);
            expect(await another().read(grown)).toMatchObject({ sizeBytes: 8 * MiB });
        });

        test("is adopted with its data, and released with it", async () => {
            const reference = await backend.legacy("legacy", 5);
            const state = await another().volume("v10", { adopt: reference, size: "8MiB" });
            expect(state.sizeBytes).toBe(8 * MiB);
            expect(await backend.exists("legacy")).toBe(false);
            expect(await firstByte("v10")).toBe(5);
            expect(await another().volume("v10", { adopt: reference, size: "8MiB" })).toEqual(state);
            await another().delete({ ...state, onDelete: "retain" });
            expect(await firstByte("v10")).toBe(5);
            await refused(another().volume("v10"), "not-ours");
            await refused(another().volume("v11", { adopt: `${reference}x` }), "not-found");
        });

        test("is wiped as asked before it goes", async () => {
            for (const method of ["zero", "discard"] as const) {
                const state = await client.volume("v12", { wipe: { method } });
                await fill("v12", 1, MiB);
                await client.delete(state);
                expect(await backend.exists("v12")).toBe(false);
            }
            await expectNothingLeft();
        });

        test("in use on the host is not deleted", async () => {
            const state = await client.volume("v13");
            const close = await backend.open("v13");
            try {
                await refused(another().delete(state), "in-use");
                expect(await backend.exists("v13")).toBe(true);
            } finally {
                await close();
            }
            await client.delete(state);
        });
    });

    describe("snapshots", () => {
        test("hold what was there; clones start with it, and can be larger", async () => {
            const origin = await client.volume("s1");
            await fill("s1", 1);
            const taken = await client.snapshot("s1-a", "s1");
            expect(await client.snapshot("s1-a", "s1")).toEqual(taken);
            await fill("s1", 2);
            const clone = await client.volume("s1-clone", { source: { snapshot: id("s1-a") }, size: "8MiB" });
            expect(clone.sizeBytes).toBe(8 * MiB);
            const copy = await client.volume("s1-copy", { source: { volume: id("s1") } });
            expect(copy.sizeBytes).toBe(4 * MiB);
            expect(await bytesOf("s1", "s1-a", "s1-clone", "s1-copy")).toEqual([2, 1, 1, 2]);
            await fill("s1-copy", 3);
            expect(await bytesOf("s1", "s1-copy")).toEqual([2, 3]);
            const small = { source: { volume: id("s1-clone") }, size: "4MiB" };
            await refused(client.volume("s1-small", small), "invalid");
            await expectNoChange(clone);
            const error = await refused(client.delete(origin), "in-use");
            expect(error.message).toContain('snapshot "s1-a"');
            await client.delete(taken);
            await client.delete(taken);
            await client.delete(origin);
            expect(await bytesOf("s1-clone", "s1-copy")).toEqual([1, 3]);
            await expectNothingLeft();
        });

        test("of another volume, or of none, are refused", async () => {
            await client.volume("s2");
            await client.volume("s2-other");
            await client.snapshot("s2-a", "s2");
            await refused(client.snapshot("s2-a", "s2-other"), "exists");
            await refused(client.snapshot("s2-b", "nothing"), "not-found");
            await refused(client.volume("s2-c", { source: { snapshot: id("nothing") } }), "not-found");
            await refused(client.volume("s2-c", { source: { volume: id("nothing") } }), "not-found");
            expect(await backend.exists("s2-c")).toBe(false);
            const other = await client.volume("s2-third");
            const revertTo = { snapshot: id("s2-a"), token: "one" };
            await refused(client.change(other, { revertTo }), "invalid");
        });

        test("a volume with one grows", async () => {
            const state = await client.volume("s3");
            await fill("s3", 4);
            await client.snapshot("s3-a", "s3");
            const grown = await client.change(state, { size: "12MiB" });
            expect(grown.sizeBytes).toBe(12 * MiB);
            expect(await bytesOf("s3", "s3-a")).toEqual([4, 4]);
            await expectNoChange(grown);
        });

        test("a volume goes back to one, once for each token, and keeps what it held", async () => {
            // What it held goes as it does.
            const small = await client.volume("r1", { wipe: { method: "zero" } });
            await fill("r1", 1);
            const taken = await client.snapshot("r1-a", "r1");
            const state = await client.change(small, { size: "8MiB" });
            await fill("r1", 2);
            const revertTo = { snapshot: id(taken.name), token: "one" };
            const reverted = await client.change(state, { revertTo });
            expect(reverted).toMatchObject({
                revertedWith: "one",
                safetySnapshot: "r1.safety",
                sizeBytes: 8 * MiB,
            });
            expect(await bytesOf("r1", "r1.safety", "r1-a")).toEqual([1, 2, 1]);
            await fill("r1", 3);
            const same = await another().change(reverted, {});
            expect(await firstByte("r1")).toBe(3);
            const again = await another().change(same, { revertTo: { ...revertTo, token: "two" } });
            expect(await bytesOf("r1", "r1.safety", "r1-a")).toEqual([1, 3, 1]);
            await expectNoChange(again);
            const fresh = another();
            await refused(fresh.delete(again), "in-use");
            await fresh.delete(taken);
            await fresh.delete(again);
            expect(await backend.exists("r1.safety")).toBe(false);
            await expectNothingLeft();
        });

        test("a volume that is open on the host does not go back", async () => {
            const state = await client.volume("r3");
            await fill("r3", 1);
            await client.snapshot("r3-a", "r3");
            await fill("r3", 2);
            const close = await backend.open("r3");
            try {
                const revertTo = { snapshot: id("r3-a"), token: "one" };
                await refused(another().change(state, { revertTo }), "in-use");
            } finally {
                await close();
            }
            expect(await bytesOf("r3", "r3-a")).toEqual([2, 1]);
            expect(await another().read(state)).toEqual(state);
        });
    });

    describe("a pool", () => {
        test("that is taken away is an error, not gone; back again, nothing has changed", async () => {
            const fresh = another();
            const state = await fresh.volume("p1");
            for (const [how, away] of Object.entries(backend.takeAway)) {
                const back = await away();
                try {
                    const error = await refused(another().read(state), "not-found");
                    expect(error.details.hint, how).toBeTruthy();
                    await refused(another().delete(state), "not-found");
                    await refused(another().volume("p1-new"), "not-found");
                } finally {
                    await back();
                }
                await expectNoChange(state);
            }
        });

        test("with another identity is not the one that the state means", async () => {
            const state = await another().volume("p2");
            const error = await refused(
                another().read({ ...state, poolId: "0123456789abcdef" }),
                "not-found",
            );
            expect(error.message).toMatch(/another pool/);
            await refused(another().delete({ ...state, poolId: "0123456789abcdef" }), "not-found");
            expect(await backend.exists("p2")).toBe(true);
        });

        test("without room refuses, in preview too, the sum of what was asked for", async () => {
            const fresh = another({ configuration: { pools: { [POOL]: backend.withoutOverSubscription } } });
            const size = "1PiB";
            await refused(fresh.volume("p3", { size }), "no-space");
            const { failures } = await volume.check(fresh.context, undefined, {
                ...fresh.volumeArgs("p3", { size }),
            });
            expect(failures.map(({ property }) => property)).toEqual(["size"]);
            const facts = await fresh.host.facts();
            const pool = facts.pools.get(POOL);
            const { totalBytes = 0, freeBytes = 0 } = pool?.capacity ?? {};
            // A thin pool promises what it has, less what it has promised already; a thick one gives what is free.
            const left = backend.thin ? totalBytes - provisionedBytes(pool?.objects ?? new Map()) : freeBytes;
            const half = { size: Math.floor((left * 0.6) / backend.grain) * backend.grain };
            const outcome = [];
            for (const name of ["p3-a", "p3-b"]) {
                const args = { ...fresh.volumeArgs(name, half) };
                outcome.push((await volume.check(fresh.context, undefined, args)).failures.length);
            }
            expect(outcome).toEqual([0, 1]);
        });
    });

    const { takeDown } = backend;
    if (takeDown !== undefined) {
        describe("a volume whose device is down", () => {
            beforeAll(async () => {
                // Where none is active, it is the pool that is down.
                await client.volume("d0");
            });

            test("is brought up by an update, with its data", async () => {
                const state = await client.volume("d1");
                await fill("d1", 3);
                await takeDown("d1");
                const one = another();
                expect((await one.read(state))?.health).toBeTruthy();
                await one.change(state, {});
                expect(await firstByte("d1")).toBe(3);
                await expectNoChange(state);
            });

            test("goes back to a snapshot", async () => {
                const state = await client.volume("d2");
                await fill("d2", 1);
                await client.snapshot("d2-s", "d2");
                await fill("d2", 2);
                await takeDown("d2");
                const one = another();
                await one.change(state, { revertTo: { snapshot: id("d2-s"), token: "one" } });
                expect(await firstByte("d2")).toBe(1);
            });

            test("is deleted", async () => {
                const state = await client.volume("d3");
                await takeDown("d3");
                await another().delete(state);
                expect(await backend.exists("d3")).toBe(false);
            });
        });
    }

    describe("a host", () => {
        test("serves two stacks at once", async () => {
            const stacks = ["one", "two"].map((stack) => another({ stack }));
            const made = await Promise.all(
                stacks.flatMap((one, s) =>
                    Array.from({ length: backend.many / 10 }, (_, i) =>
                        one.volume(`st${String(s)}-${String(i)}`),
                    ),
                ),
            );
            expect(new Set(made.map(({ generation }) => generation)).size).toBe(made.length);
            const half = made.length / 2;
            await Promise.all(
                stacks.flatMap((one, s) =>
                    made.slice(s * half, s * half + half).map((state) => one.delete(state)),
                ),
            );
            for (const { name } of made) expect(await backend.exists(name)).toBe(false);
            for (const one of stacks) expect(one.host.counters.connections).toBe(1);
        });

        test("takes one run for each operation when it is warm, and one connection", async () => {
            const one = another();
            await one.host.facts();
            let before = one.runs;
            expect(before).toBe(1);
            const cost: Record<string, number> = {};
            const counted = async <T>(what: string, work: Promise<T>): Promise<T> => {
                const done = await work;
                cost[what] = one.runs - before;
                before = one.runs;
                return done;
            };
            const made = await counted("create", one.volume("c1"));
            const grown = await counted("extend", one.change(made, { size: "8MiB" }));
            const taken = await counted("snapshot", one.snapshot("c1-a", "c1"));
            const clone = await counted("clone", one.volume("c1-b", { source: { snapshot: id("c1-a") } }));
            const revertTo = { snapshot: id("c1-a"), token: "t" };
            const reverted = await counted("revert", one.change(grown, { revertTo }));
            await counted("read", one.read(reverted));
            await counted("delete snapshot", one.delete(taken));
            await counted("delete", one.delete(reverted));
            await counted("delete clone", one.delete(clone));
            expect(cost).toEqual({
                create: 1,
                extend: 1,
                snapshot: 1,
                clone: 1,
                revert: 1,
                read: 0,
                "delete snapshot": 1,
                delete: 1,
                "delete clone": 1,
            });
            expect(one.host.counters.connections).toBe(1);
        });

        test("refreshes many volumes in one run; creations and deletions share runs", async () => {
            const one = another();
            await one.host.facts();
            const before = one.runs;
            const { many } = backend;
            const states = await Promise.all(
                Array.from({ length: many }, (_, i) => one.volume(`g${String(i)}`)),
            );
            expect(one.runs - before).toBeLessThanOrEqual(Math.ceil(many / 10));
            const fresh = another();
            const found = [];
            for (const state of states) found.push(await fresh.read(state));
            expect(found).toEqual(states);
            expect(fresh.runs).toBe(1);
            expect(fresh.host.counters.connections).toBe(1);
            await Promise.all(states.map((state) => fresh.delete(state)));
            expect(fresh.runs).toBeLessThanOrEqual(Math.ceil(many / 10) + 1);
            expect(await backend.exists("g0")).toBe(false);
        });

        test("one failure among many does not hold up the others", async () => {
            await backend.foreign("m3", 8);
            const one = another();
            const names = Array.from({ length: 5 }, (_, i) => `m${String(i)}`);
            const outcomes = await Promise.allSettled(names.map((name) => one.volume(name)));
            expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual(
                names.map((name) => name !== "m3"),
            );
            // Appeared after the observation: the guard finds it.
            const two = another();
            await two.host.facts();
            await backend.foreign("m9", 8);
            const late = await Promise.allSettled([two.volume("m8"), two.volume("m9"), two.volume("m10")]);
            expect(late.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
            expect(await firstByte("m9")).toBe(8);
        });
    });
}
