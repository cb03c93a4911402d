import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    renameSync,
    rmSync,
    statSync,
    truncateSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportLifecycle } from "../../provider/resources/export";
import { volume, type VolumeState } from "../../provider/resources/volume";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CLIENT, Client, HOST, MiB, POOL, id, refused, volumeInputs } from "../support/client";

/** The contract of the resources over the file driver and tgt, through SSH, without the Pulumi engine. */

let host: EmbeddedHost;
let client: Client;
let pool: string;
const opened: Client[] = [];

/** As another process of the provider. */
function another(options: ConstructorParameters<typeof Client>[1] = {}): Client {
    const one = new Client(host, options);
    opened.push(one);
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
    pool = host.poolDirectories[POOL] ?? "";
    client = another();
});

afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await host.stop();
});

const fileOf = (name: string) => join(pool, `${name}.img`);
const fill = (name: string, byte: number, length = 4096) =>
    writeFileSync(fileOf(name), Buffer.alloc(length, byte), { flag: "r+" });
const firstByte = (name: string) => readFileSync(fileOf(name))[0];

/** What a whole new process would do to make it so: nothing. */
async function expectNoChange(state: VolumeState): Promise<void> {
    const fresh = another();
    expect(await volume.diff(fresh.context, state, volumeInputs(state))).toEqual([]);
    expect(await fresh.read(state)).toEqual(state);
    expect(fresh.runs).toBe(1);
    await fresh.close();
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
        expect(first).toMatchObject({ sizeBytes: 4 * MiB, path: fileOf("v1") });
        expect(statSync(first.path).size).toBe(4 * MiB);
        expect(await client.volume("v1")).toEqual(first);
        expect(await another().volume("v1")).toEqual(first);
        await expectNoChange(first);
    });

    test("is not created with other arguments than it has", async () => {
        const before = await client.volume("v2");
        const error = await refused(client.volume("v2", { size: "2MiB" }), "exists");
        expect(error.details.hint).toBeTruthy();
        expect(await client.read(before)).toEqual(before);
    });

    test("of somebody else stays untouched", async () => {
        const theirs = await another({ stack: "theirs" }).volume("v3");
        fill("v3", 7);
        const mine = another();
        await refused(mine.volume("v3"), "not-ours");
        const args = { ...mine.volumeArgs("v3") };
        const { failures } = await volume.check(mine.context, undefined, args);
        expect(failures.map(({ property }) => property)).toEqual(["name"]);
        await refused(mine.delete({ ...theirs, owner: mine.owner("v3") }), "not-ours");
        expect(firstByte("v3")).toBe(7);
        writeFileSync(fileOf("foreign"), "someone's data");
        await refused(another().volume("foreign"), "not-ours");
        expect(readFileSync(fileOf("foreign"), "utf8")).toBe("someone's data");
    });

    test("is deleted, and deleted again that is fine", async () => {
        const state = await client.volume("v4");
        await client.delete(state);
        expect(existsSync(state.path)).toBe(false);
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
        fill("v6", 9);
        const grown = await client.change(state, { size: "8MiB" });
        expect(grown).toMatchObject({ sizeBytes: 8 * MiB, generation: state.generation });
        expect(firstByte("v6")).toBe(9);
        expect((await refused(client.change(grown, { size: "4MiB" }), "invalid")).message).toMatch(
            /never shrinks/,
        );
        await refused(
            volume.update(client.context, grown, { ...volumeInputs(grown), size: "4MiB" }),
            "invalid",
        );
        expect(statSync(grown.path).size).toBe(8 * MiB);
        await expectNoChange(grown);
    });

    test("is not replaced unless data loss is allowed", async () => {
        const state = await client.volume("v7");
        const error = await refused(client.change(state, { name: "v7b" }), "invalid");
        expect(error.message).toMatch(/data-loss/);
        const news = { ...volumeInputs(state), name: "v7b", allow: ["data-loss" as const] };
        const changes = await volume.diff(client.context, state, news);
        expect(changes.filter(({ kind }) => kind === "replace").map(({ property }) => property)).toEqual([
            "name",
        ]);
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
        rmSync(state.path);
        expect(await another().read(state)).toBeUndefined();
        const again = await another().volume("v9");
        rmSync(join(pool, ".blockhost/marks/v9"));
        await refused(another().read(again), "not-ours");
        await refused(another().delete(again), "not-ours");
        expect(existsSync(again.path)).toBe(true);
        const grown = await client.volume("v9c");
        truncateSync(grown.path, 6 * MiB);
        expect(await another().read(grown)).toMatchObject({ sizeBytes: 6 * MiB });
    });

    test("is adopted with its data, and released with it", async () => {
        writeFileSync(join(pool, "legacy.raw"), Buffer.alloc(MiB, 5));
        const state = await another().volume("v10", { adopt: "legacy.raw", size: "2MiB" });
        expect(state.sizeBytes).toBe(2 * MiB);
        expect(existsSync(join(pool, "legacy.raw"))).toBe(false);
        expect(firstByte("v10")).toBe(5);
        expect(await another().volume("v10", { adopt: "legacy.raw", size: "2MiB" })).toEqual(state);
        await another().delete({ ...state, onDelete: "retain" });
        expect(firstByte("v10")).toBe(5);
        await refused(another().volume("v10"), "not-ours");
        await refused(another().volume("v11", { adopt: "nothing.raw" }), "not-found");
    });

    test("is wiped as asked before it goes", async () => {
        const state = await client.volume("v12", { wipe: { method: "zero" } });
        fill("v12", 1, MiB);
        await client.delete(state);
        expect(existsSync(state.path)).toBe(false);
        expect(leftovers()).toEqual([]);
    });
});

function leftovers(): string[] {
    const units = join(host.stateDirectory, "units");
    return [...readdirSync(join(pool, ".blockhost/work")), ...(existsSync(units) ? readdirSync(units) : [])];
}

describe("snapshots", () => {
    test("hold what was there; clones start with it, and can be larger", async () => {
        const origin = await client.volume("s1");
        fill("s1", 1);
        const taken = await client.snapshot("s1-a", "s1");
        expect(await client.snapshot("s1-a", "s1")).toEqual(taken);
        fill("s1", 2);
        const clone = await client.volume("s1-clone", { source: { snapshot: id("s1-a") }, size: "6MiB" });
        expect(clone.sizeBytes).toBe(6 * MiB);
        const copy = await client.volume("s1-copy", { source: { volume: id("s1") } });
        expect(copy.sizeBytes).toBe(4 * MiB);
        expect(["s1", "s1-a", "s1-clone", "s1-copy"].map(firstByte)).toEqual([2, 1, 1, 2]);
        await refused(
            client.volume("s1-small", { source: { snapshot: id("s1-a") }, size: "1MiB" }),
            "invalid",
        );
        await expectNoChange(clone);
        const error = await refused(client.delete(origin), "in-use");
        expect(error.message).toContain('snapshot "s1-a"');
        await client.delete(taken);
        await client.delete(taken);
        await client.delete(origin);
        expect(["s1-clone", "s1-copy"].map(firstByte)).toEqual([1, 2]);
        expect(leftovers()).toEqual([]);
    });

    test("of another volume, or of none, are refused", async () => {
        await client.volume("s2");
        await client.volume("s2-other");
        await client.snapshot("s2-a", "s2");
        await refused(client.snapshot("s2-a", "s2-other"), "exists");
        await refused(client.snapshot("s2-b", "nothing"), "not-found");
        const other = await client.volume("s2-third");
        await refused(client.change(other, { revertTo: { snapshot: id("s2-a"), token: "one" } }), "invalid");
    });

    test("a volume goes back to one, once for each token, and keeps what it held", async () => {
        const state = await client.volume("r1");
        fill("r1", 1);
        const taken = await client.snapshot("r1-a", "r1");
        fill("r1", 2);
        const reverted = await client.change(state, {
            revertTo: { snapshot: taken_id(taken), token: "one" },
        });
        expect(reverted).toMatchObject({ revertedWith: "one", safetySnapshot: "r1.safety" });
        expect(["r1", "r1.safety"].map(firstByte)).toEqual([1, 2]);
        fill("r1", 3);
        const same = await another().change(reverted, {});
        expect(firstByte("r1")).toBe(3);
        const again = await another().change(same, { revertTo: { snapshot: taken_id(taken), token: "two" } });
        expect(["r1", "r1.safety"].map(firstByte)).toEqual([1, 3]);
        await expectNoChange(again);
        const fresh = another();
        await refused(fresh.delete(again), "in-use");
        await fresh.delete(taken);
        await fresh.delete(again);
        expect(existsSync(fileOf("r1.safety"))).toBe(false);
        expect(leftovers()).toEqual([]);
    });

    test("is not taken back while an initiator uses it", async () => {
        const state = await client.volume("r2");
        await client.snapshot("r2-a", "r2");
        const exported = await client.export("r2-x", "r2");
        const session = await iscsi.openSession(iscsi.lunOf(exported.connection, CLIENT));
        try {
            const revertTo = { snapshot: id("r2-a"), token: "one" };
            const error = await refused(another().change(state, { revertTo }), "in-use");
            expect(error.message).toContain(CLIENT);
            expect(error.message).toContain("offline");
            await refused(another().delete(exported), "in-use");
        } finally {
            await session.close();
        }
        await another().delete(exported);
    });

    const taken_id = ({ name }: { name: string }) => id(name);
});

describe("a pool", () => {
    test("that is moved away is an error, not gone; back again, nothing has changed", async () => {
        const fresh = another();
        const state = await fresh.volume("p1");
        const away = `${pool}.away`;
        renameSync(pool, away);
        try {
            await refused(another().read(state), "not-found");
            await refused(another().delete(state), "not-found");
            mkdirSync(pool);
            // An empty directory in its place, as before a mount.
            await refused(another().read(state), "not-found");
            await refused(another().volume("p1"), "not-found");
            expect(readdirSync(pool)).toEqual([]);
        } finally {
            rmSync(pool, { recursive: true, force: true });
            renameSync(away, pool);
        }
        await expectNoChange(state);
    });

    test("with another identity is not the one that the state means", async () => {
        const state = await another().volume("p2");
        const error = await refused(another().read({ ...state, poolId: "0123456789abcdef" }), "not-found");
        expect(error.message).toMatch(/another pool/);
        await refused(another().delete({ ...state, poolId: "0123456789abcdef" }), "not-found");
        expect(existsSync(state.path)).toBe(true);
    });

    test("without room refuses, in preview too, the sum of what was asked for", async () => {
        const fresh = another({
            configuration: {
                pools: {
                    [POOL]: { driver: "file", directory: pool, maxOverSubscriptionRatio: 1 },
                },
            },
        });
        const size = "1PiB";
        await refused(fresh.volume("p3", { size }), "no-space");
        const { failures } = await volume.check(fresh.context, undefined, {
            ...fresh.volumeArgs("p3", { size }),
        });
        expect(failures.map(({ property }) => property)).toEqual(["size"]);
        const facts = await fresh.host.facts();
        const total = facts.pools.get(POOL)?.capacity.totalBytes ?? 0;
        const half = { size: Math.floor((total * 0.7) / MiB) * MiB };
        const outcome = [];
        for (const name of ["p3-a", "p3-b"]) {
            const checked = await volume.check(fresh.context, undefined, {
                ...fresh.volumeArgs(name, half),
            });
            outcome.push(checked.failures.length);
        }
        expect(outcome).toEqual([0, 1]);
    });
});

describe("a host", () => {
    test("that is read-only is only read", async () => {
        const state = await client.volume("h1");
        const one = another({ configuration: { readOnly: true } });
        expect(await one.read(state)).toEqual(state);
        expect(await one.volume("h1")).toEqual(state);
        await refused(one.volume("h1-b"), "unsupported");
        await refused(one.change(state, { size: "8MiB" }), "unsupported");
        await refused(one.delete(state), "unsupported");
        expect(existsSync(fileOf("h1-b"))).toBe(false);
    });

    test("that is protected deletes nothing", async () => {
        const one = another({ configuration: { protect: true } });
        const state = await one.volume("h2");
        await refused(one.delete(state), "unsupported");
        await one.change(state, { size: "8MiB" });
        expect(existsSync(state.path)).toBe(true);
    });

    test("that is decommissioned is not touched by deletes", async () => {
        const state = await client.volume("h3");
        const one = another({ configuration: { decommissioned: true, port: 1 } });
        await one.delete(state);
        await refused(one.read(state), "unreachable");
        expect(existsSync(state.path)).toBe(true);
        expect(one.runs).toBe(0);
    });

    test("serves two stacks at once", async () => {
        const stacks = ["one", "two"].map((stack) => another({ stack }));
        const made = await Promise.all(
            stacks.flatMap((one, s) =>
                Array.from({ length: 10 }, (_, i) => one.volume(`st${String(s)}-${String(i)}`)),
            ),
        );
        expect(new Set(made.map(({ generation }) => generation)).size).toBe(20);
        for (const { path } of made) expect(statSync(path).size).toBe(4 * MiB);
        await Promise.all(
            stacks.flatMap((one, s) => made.slice(s * 10, s * 10 + 10).map((state) => one.delete(state))),
        );
        expect(made.filter(({ path }) => existsSync(path))).toEqual([]);
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
        const reverted = await counted(
            "revert",
            one.change(grown, { revertTo: { snapshot: id("c1-a"), token: "t" } }),
        );
        const exported = await counted("export", one.export("c1-x", "c1"));
        await counted("read", exportLifecycle.read(one.context, exported));
        await counted("remove export", one.delete(exported));
        await counted("delete snapshot", one.delete(taken));
        await counted("delete", one.delete(reverted));
        await counted("delete clone", one.delete(clone));
        expect(cost).toEqual({
            create: 1,
            extend: 1,
            snapshot: 1,
            clone: 1,
            revert: 1,
            export: 1,
            read: 0,
            "remove export": 1,
            "delete snapshot": 1,
            delete: 1,
            "delete clone": 1,
        });
        expect(one.host.counters.connections).toBe(1);
    });

    test("refreshes a hundred volumes in one run; creations share runs", async () => {
        const one = another();
        await one.host.facts();
        const before = one.runs;
        const states = await Promise.all(
            Array.from({ length: 100 }, (_, i) => one.volume(`g${String(i)}`, { size: "1MiB" })),
        );
        expect(one.runs - before).toBeLessThanOrEqual(10);
        const fresh = another();
        const found = await Promise.all(states.map((state) => fresh.read(state)));
        expect(found).toEqual(states);
        expect(fresh.runs).toBe(1);
        expect(fresh.host.counters.connections).toBe(1);
        await Promise.all(states.map((state) => fresh.delete(state)));
        expect(fresh.runs).toBeLessThanOrEqual(11);
        expect(existsSync(fileOf("g0"))).toBe(false);
    });

    test("one failure among many does not hold up the others", async () => {
        writeFileSync(fileOf("m3"), "foreign");
        const one = another();
        const outcomes = await Promise.allSettled(
            Array.from({ length: 8 }, (_, i) => one.volume(`m${String(i)}`)),
        );
        expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual(
            Array.from({ length: 8 }, (_, i) => i !== 3),
        );
        // Appeared after the observation: the guard finds it.
        const two = another();
        await two.host.facts();
        writeFileSync(fileOf("m9"), "foreign");
        const late = await Promise.allSettled([two.volume("m8"), two.volume("m9"), two.volume("m10")]);
        expect(late.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
        expect(readFileSync(fileOf("m9"), "utf8")).toBe("foreign");
    });
});
