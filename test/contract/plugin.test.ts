import { existsSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { ConfigureErrorMissingKeys } from "@pulumi/pulumi/proto/provider_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lifecycles } from "../../provider/resources";
import { functions } from "../../provider/resources/functions";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { PluginClient, detailOf, wire } from "../support/plugin";

/** The plugin's gRPC service, as the engine calls it, over the file driver and tgt. */

const MiB = 2 ** 20;
let host: EmbeddedHost;
let plugin: PluginClient;
let pool: string;

beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    pool = host.poolDirectories["fast"] ?? "";
    plugin = await another();
});
afterAll(async () => {
    for (const one of opened) await one.stop();
    await host.stop();
});

const opened: PluginClient[] = [];
async function another(config: Record<string, unknown> = {}): Promise<PluginClient> {
    const one = await PluginClient.start();
    opened.push(one);
    await one.configure({ hosts: JSON.stringify({ san1: host.configuration() }), ...config });
    return one;
}

const volume = (name: string, more: Record<string, unknown> = {}) => ({
    host: "san1",
    pool: "fast",
    size: "4MiB",
    name,
    ...more,
});

async function made(name: string, more: Record<string, unknown> = {}) {
    const { inputs, failures } = await plugin.check("Volume", name, volume(name, more));
    expect(failures).toEqual([]);
    return { inputs, ...(await plugin.create("Volume", name, inputs)) };
}

describe("configuration", () => {
    test("is checked as a whole, each problem with its path", async () => {
        const failures = await plugin.checkConfig({
            hosts: JSON.stringify({
                san1: { address: "10.0.0.5", prot: 22, pools: { fast: { driver: "flie" } } },
            }),
            instalation: "x",
        });
        expect(failures).toEqual([
            {
                property: "",
                reason: 'blockhost:instalation: there is no such property; did you mean "installation"?',
            },
            {
                property: "",
                reason: 'blockhost:hosts.san1.prot: there is no such property; did you mean "port"?',
            },
            {
                property: "",
                reason: 'blockhost:hosts.san1.pools.fast.driver: there is no driver "flie"; did you mean "file"?',
            },
        ]);
        expect(await plugin.checkConfig({ hosts: "{" })).toEqual([
            { property: "", reason: "blockhost:hosts: must be an object of hosts by name" },
        ]);
    });

    test("of an explicit provider is checked as a whole, with paths of its own", async () => {
        const news = { hosts: { "san1.example.com": { user: "root", readOnly: "yes" } } };
        const own = "urn:pulumi:dev::shop::pulumi:providers:blockhost::other";
        expect(await plugin.checkConfig(news, own)).toEqual([
            { property: "", reason: 'hosts["san1.example.com"].address: is missing: give a string' },
            { property: "", reason: 'hosts["san1.example.com"].readOnly: must be a boolean, not a string' },
        ]);
    });

    test("that is missing is told in Pulumi's own form", async () => {
        const fresh = await PluginClient.start();
        opened.push(fresh);
        const error: unknown = await fresh
            .configure({ hosts: { san1: { user: "root" } } })
            .catch((e: unknown) => e);
        const detail = detailOf(error);
        expect(detail?.type).toBe("pulumirpc.ConfigureErrorMissingKeys");
        const keys = ConfigureErrorMissingKeys.deserializeBinary(detail?.bytes ?? new Uint8Array());
        expect(keys.getMissingkeysList().map((key) => key.getName())).toEqual([
            "--path 'blockhost:hosts.san1.address'",
        ]);
    });

    test("of hosts may be given as an object, too", async () => {
        const fresh = await another({ hosts: { san1: host.configuration() } });
        expect((await fresh.invoke("getHost", { host: "san1" })).result).toMatchObject({ pools: ["fast"] });
    });
});

describe("names", () => {
    test("are the resource's own by default", async () => {
        const { inputs } = await plugin.check("Volume", "n1", { host: "san1", pool: "fast", size: "4MiB" });
        expect(inputs["name"]).toBe("n1");
    });

    test.each(["PROPOSE", "ENFORCE"] as const)(
        "are taken from the engine where it names them (%s)",
        async (mode) => {
            const autonaming = { mode, name: "n2-4f2a" };
            const given = { host: "san1", pool: "fast", size: "4MiB" };
            expect((await plugin.check("Volume", "n2", given, { autonaming })).inputs["name"]).toBe(
                "n2-4f2a",
            );
            const named = await plugin.check("Volume", "n2", { ...given, name: "mine" }, { autonaming });
            expect(named.inputs["name"]).toBe("mine");
            const old = await plugin.check("Volume", "n2", given, { autonaming, olds: volume("before") });
            expect(old.inputs["name"]).toBe("before");
        },
    );

    test("have to be given where automatic naming is turned off", async () => {
        const given = { host: "san1", pool: "fast", size: "4MiB" };
        const { failures } = await plugin.check("Volume", "n3", given, { autonaming: { mode: "DISABLE" } });
        expect(failures.map(({ property }) => property)).toEqual(["name"]);
    });
});

describe("values", () => {
    test("that are unknown, of whatever type, stay unknown", async () => {
        const number = "3eeb2bf0-c639-47a8-9e75-3b44932eb421";
        const { inputs, failures } = await plugin.check("Volume", "u1", {
            host: "san1",
            pool: wire.unknown,
            size: number,
        });
        expect(failures).toEqual([]);
        expect(inputs).toMatchObject({ pool: wire.unknown, size: wire.unknown });
        const { state } = await plugin.create("Volume", "u1", inputs, { preview: true });
        expect(state).toMatchObject({
            sizeBytes: wire.unknown,
            path: wire.unknown,
            generation: wire.unknown,
        });
    });

    test("that are outputs are taken as what they hold", async () => {
        const { inputs } = await plugin.check("Volume", "u2", {
            host: wire.output({ value: "san1" }),
            pool: wire.output({ value: "fast", secret: true }),
            size: wire.output({}),
        });
        expect(inputs).toMatchObject({ host: "san1", pool: wire.secret("fast"), size: wire.unknown });
    });

    test("that are resources are their ids; without one, unknown", async () => {
        const of = (id: string) => ({ volume: wire.resource(plugin.urn("Volume", "data"), id), name: "r1" });
        const known = await plugin.check("Snapshot", "r1", of("san1/fast/data"), { olds: { name: "r1" } });
        expect(known.inputs).toMatchObject({ volume: "san1/fast/data", host: "san1" });
        const unknown = await plugin.check("Snapshot", "r1", of(""));
        expect(unknown.inputs["volume"]).toBe(wire.unknown);
    });

    test("of passwords are secret, whatever they came as; so is what holds them", async () => {
        const { id } = await made("s1");
        const initiators = [
            { iqn: "iqn.2024-01.com.example:db1", chap: { username: "db1", password: "correct-horse-1" } },
        ];
        const given = { source: id, protocol: "iscsi", initiators };
        const { inputs, failures } = await plugin.check("Export", "s1", given);
        expect(failures).toEqual([]);
        expect(inputs["initiators"]).toEqual(wire.secret(initiators));
        const { state } = await plugin.create("Export", "s1", inputs);
        expect(JSON.stringify({ ...state, initiators: 0, connection: 0 })).not.toContain("correct-horse");
        expect(Object.keys(state["connection"] as object)).toEqual(Object.keys(wire.secret("")));
        await plugin.delete("Export", "s1", "san1/iscsi/s1", state);
    });

    test("of a wrong type are failures of their properties", async () => {
        const { failures } = await plugin.check("Volume", "w1", {
            host: 5,
            pool: ["fast"],
            size: { much: true },
            source: "x",
            wipe: { method: 1, limit: [] },
            allow: "offline",
            colour: "red",
        });
        expect(failures.map(pathOf).sort()).toEqual(
            ["allow", "colour", "host", "pool", "size", "source", "wipe.limit", "wipe.method"].sort(),
        );
    });
});

/** Where it is wrong: in the reason of what Pulumi shall not look up among the inputs and print. */
function pathOf({ property, reason }: { property: string; reason: string }): string {
    return property === "" ? (reason.split(": ")[0] ?? "") : property;
}

describe("a preview of a creation", () => {
    test("shows the outputs that can be told, and changes nothing", async () => {
        const { inputs } = await plugin.check("Volume", "p1", volume("p1", { size: 4 * MiB }));
        const { id, state } = await plugin.create("Volume", "p1", inputs, { preview: true });
        expect(id).toBe("");
        expect(state).toMatchObject({
            sizeBytes: 4 * MiB,
            path: join(pool, "p1.img"),
            generation: wire.unknown,
        });
        expect(existsSync(join(pool, "p1.img"))).toBe(false);
    });

    test("of a snapshot and an export shows what follows from their volume", async () => {
        const { id } = await made("p2");
        const snapshot = await plugin.check("Snapshot", "p3", { volume: id });
        const previewed = await plugin.create("Snapshot", "p3", snapshot.inputs, { preview: true });
        expect(previewed.state).toMatchObject({
            pool: "fast",
            sizeBytes: 4 * MiB,
            path: join(pool, "p3.img"),
        });
        const initiators = [{ iqn: "iqn.2024-01.com.example:db1" }];
        const lun = await plugin.check("Export", "p4", { source: id, protocol: "iscsi", initiators });
        const exported = await plugin.create("Export", "p4", lun.inputs, { preview: true });
        expect(exported.state).toMatchObject({
            devicePath: join(pool, "p2.img"),
            targetName: expect.stringMatching(/^iqn\.2010-10\.org\.blockhost:p4:[0-9a-f]{8}$/) as string,
            serial: wire.unknown,
            connection: wire.secret(wire.unknown),
        });
        const { state } = await plugin.create("Export", "p4", lun.inputs);
        expect(state["targetName"]).toBe(exported.state["targetName"]);
    });
});

describe("a diff", () => {
    test("says for each property what becomes of it", async () => {
        const { inputs, id, state } = await made("d1", { wipe: { method: "zero", limit: "1MiB" } });
        const { inputs: news } = await plugin.check(
            "Volume",
            "d1",
            volume("d1", { size: "8MiB", wipe: { method: "none" }, onDelete: "retain" }),
            { olds: inputs },
        );
        expect(await plugin.diff("Volume", "d1", { id, olds: state, oldInputs: inputs, news })).toEqual({
            changes: true,
            replaces: [],
            deleteBeforeReplace: false,
            stables: expect.arrayContaining(["generation", "path"]) as string[],
            detailed: {
                size: "UPDATE",
                "wipe.method": "UPDATE",
                "wipe.limit": "DELETE",
                onDelete: "ADD",
            },
        });
        const same = await plugin.diff("Volume", "d1", { id, olds: state, oldInputs: inputs, news: inputs });
        expect(same).toMatchObject({ changes: false, detailed: {} });
        const after = await plugin.update("Volume", "d1", { id, olds: state, news, preview: true });
        expect(after).toMatchObject({ sizeBytes: 8 * MiB, generation: state["generation"] });
        expect(statSync(join(pool, "d1.img")).size).toBe(4 * MiB);
    });

    test("of a replacement deletes first, and is refused where it loses data", async () => {
        const { inputs, id, state } = await made("d2");
        const of = (more: Record<string, unknown>) => volume("d2-other", more);
        const check = (more: Record<string, unknown>) =>
            plugin.check("Volume", "d2", of(more), { olds: inputs });
        const refused = (await check({})).inputs;
        await expect(
            plugin.diff("Volume", "d2", { id, olds: state, oldInputs: inputs, news: refused }),
        ).rejects.toMatchObject({
            code: status.INVALID_ARGUMENT,
            details: expect.stringContaining("data-loss") as string,
        });
        const allowed = (await check({ allow: ["data-loss"] })).inputs;
        expect(
            await plugin.diff("Volume", "d2", { id, olds: state, oldInputs: inputs, news: allowed }),
        ).toMatchObject({
            changes: true,
            replaces: ["name"],
            deleteBeforeReplace: true,
            stables: [],
            detailed: { name: "UPDATE_REPLACE", allow: "ADD" },
        });
    });

    test("in a refresh tells what differs, and refuses nothing", async () => {
        const { inputs, id, state } = await made("d3");
        truncateSync(join(pool, "d3.img"), 8 * MiB);
        const fresh = await another();
        const read = await fresh.read("Volume", "d3", id, { olds: state, inputs });
        expect(read.state["sizeBytes"]).toBe(8 * MiB);
        const found = await fresh.diff("Volume", "d3", {
            id,
            olds: read.state,
            oldInputs: inputs,
            news: inputs,
        });
        expect(found).toMatchObject({ changes: true, detailed: { size: "UPDATE of state" } });
        // Declared in this run, the same is refused.
        await fresh.check("Volume", "d3", volume("d3"), { olds: inputs });
        const refused = fresh.diff("Volume", "d3", { id, olds: read.state, oldInputs: inputs, news: inputs });
        await expect(refused).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
        // Unless it is to be left as it is.
        const ignored = await fresh.diff("Volume", "d3", {
            id,
            olds: read.state,
            oldInputs: inputs,
            news: inputs,
            ignore: ["size"],
        });
        expect(ignored).toMatchObject({ changes: false });
        const updated = await fresh.update("Volume", "d3", {
            id,
            olds: read.state,
            news: { ...inputs, onDelete: "delete" },
            ignore: ["size"],
        });
        expect(updated).toMatchObject({ sizeBytes: 8 * MiB, onDelete: "delete" });
    });
});

describe("an import", () => {
    test("needs nothing but the id, and finds nothing to change", async () => {
        await made("i1");
        const snapshot = await plugin.check("Snapshot", "i2", { volume: "san1/fast/i1" });
        await plugin.create("Snapshot", "i2", snapshot.inputs);
        const lun = await plugin.check("Export", "i3", {
            source: "san1/fast/i2",
            protocol: "iscsi",
            initiators: [],
            addresses: ["127.0.0.1"],
        });
        expect(lun.failures).toEqual([]);
        await plugin.create("Export", "i3", lun.inputs);

        const fresh = await another();
        for (const [kind, name, id, expected] of [
            ["Volume", "i1", "san1/fast/i1", { pool: "fast", size: "4MiB" }],
            ["Snapshot", "i2", "san1/fast/i2", { volume: "san1/fast/i1" }],
            ["Export", "i3", "san1/iscsi/i3", { source: "san1/fast/i2", addresses: ["127.0.0.1"] }],
        ] as const) {
            const read = await fresh.read(kind, name, id);
            expect(read.id).toBe(id);
            expect(read.inputs).toMatchObject({ host: "san1", name, ...expected });
            const { inputs, failures } = await fresh.check(kind, name, read.inputs, { olds: read.inputs });
            expect(failures).toEqual([]);
            const given = { id, olds: read.state, oldInputs: read.inputs, news: inputs };
            expect(await fresh.diff(kind, name, given)).toMatchObject({ changes: false });
        }
        expect((await fresh.read("Volume", "x", "san1/fast/nothing")).id).toBe("");
    });

    test("of what carries no mark leaves it so; the next update takes it over", async () => {
        writeFileSync(join(pool, "theirs.raw"), Buffer.alloc(2 * MiB, 5));
        const id = "san1/fast/theirs.raw";
        const plugin = await another();
        const { inputs, state } = await plugin.read("Volume", "theirs", id);
        expect(inputs).toMatchObject({ name: "theirs.raw", size: "2MiB", adopt: "theirs.raw" });
        expect(state["generation"]).toBe("");
        await expect(plugin.delete("Volume", "theirs", id, state)).rejects.toMatchObject({
            code: status.PERMISSION_DENIED,
        });
        expect(existsSync(join(pool, "theirs.raw"))).toBe(true);
        expect((await plugin.read("Volume", "theirs", id, { olds: state, inputs })).state).toEqual(state);
        const compared = { id, olds: state, oldInputs: inputs, news: inputs };
        // A refresh, before which nothing is checked: nothing on the host has changed.
        expect(await plugin.diff("Volume", "theirs", compared)).toMatchObject({ changes: false });
        await plugin.check("Volume", "theirs", inputs, { olds: inputs });
        const diff = await plugin.diff("Volume", "theirs", compared);
        expect(diff).toMatchObject({
            changes: true,
            replaces: [],
            detailed: { generation: "UPDATE of state" },
        });
        const after = await plugin.update("Volume", "theirs", { id, olds: state, news: inputs });
        expect(after["generation"]).toMatch(/^[0-9a-f]{16}$/);
        expect(statSync(join(pool, "theirs.raw.img")).size).toBe(2 * MiB);
        const same = await plugin.diff("Volume", "theirs", {
            id,
            olds: after,
            oldInputs: inputs,
            news: inputs,
        });
        expect(same).toMatchObject({ changes: false });
        await plugin.delete("Volume", "theirs", id, after);
        expect(existsSync(join(pool, "theirs.raw.img"))).toBe(false);
    });

    test.each([
        ["Volume", "fast/i1", /is not the id of a volume.*<host>\/<pool>\/<name>/s],
        ["Volume", "san1/fast/../etc", /is not the id of a volume/],
        ["Volume", "san2/fast/i1", /no host "san2".*did you mean "san1"/s],
        ["Volume", "san1/fsat/i1", /pool "fsat" is not in the host's configuration/],
        ["Volume", "san1/fast/i2", /is a snapshot, not a volume.*blockhost:index:Snapshot/s],
        ["Snapshot", "san1/fast/i1", /is a volume, not a snapshot/],
        ["Export", "san1/fc/i3", /no target for fc/],
    ])("as a %s of %s says what is wrong", async (kind, id, message) => {
        const error: unknown = await plugin.read(kind, "x", id).catch((e: unknown) => e);
        expect((error as { details: string }).details).toMatch(message);
    });

    test("of another stack's object is refused", async () => {
        const theirs = await another({ installation: "theirs" });
        const { inputs } = await theirs.check("Volume", "i9", volume("i9"));
        await theirs.create("Volume", "i9", inputs);
        await expect((await another()).read("Volume", "i9", "san1/fast/i9")).rejects.toMatchObject({
            code: status.PERMISSION_DENIED,
            details: expect.stringContaining("onDelete") as string,
        });
    });
});

describe("calls", () => {
    test("that take longer than the resource's time-out are ended", async () => {
        const fresh = await another();
        const { inputs } = await fresh.check("Volume", "t1", volume("t1"));
        const slow = fresh.create("Volume", "t1", inputs, { timeout: 0.001 });
        await expect(slow).rejects.toMatchObject({
            // ABORTED, with what there is of it, where it had begun.
            details: expect.stringMatching(
                /longer than the resource's time-out, 0\.001 s.*customTimeouts/s,
            ) as string,
        });
        const after = await (await another()).create("Volume", "t1", inputs);
        expect(after.id).toBe("san1/fast/t1");
    });

    test("after a cancel do nothing", async () => {
        const fresh = await another();
        await fresh.cancel();
        const late = fresh.create("Volume", "t2", volume("t2"));
        await expect(late).rejects.toMatchObject({ code: status.CANCELLED });
        expect(existsSync(join(pool, "t2.img"))).toBe(false);
    });

    test("for what this version does not have say what there is", async () => {
        await expect(plugin.check("Volum", "x", {})).rejects.toMatchObject({
            code: status.UNIMPLEMENTED,
            details: expect.stringMatching(
                /no resource type "blockhost:index:Volum".*blockhost:index:Volume.*version/s,
            ) as string,
        });
        await expect(plugin.invoke("getVolum", {})).rejects.toMatchObject({
            details: expect.stringContaining("getVolume") as string,
        });
    });
});

describe("listing", () => {
    test("is paged, and each page goes on where the last one ended", async () => {
        for (const name of ["l1", "l3", "l4", "l5"]) await made(name);
        const { state: second } = await made("l2");
        const fresh = await another();
        const all = await fresh.list("Volume");
        expect(all.next).toBe("");
        expect(all.ids).toEqual([...all.ids].sort());
        const found: string[] = [];
        for (let after = ""; ;) {
            const page = await fresh.list("Volume", {}, { size: 2, after });
            expect(page.ids.length).toBeLessThanOrEqual(2);
            found.push(...page.ids);
            after = page.next;
            if (after === "") break;
        }
        expect(found).toEqual(all.ids);
        // Where a page ended stays a place to go on from when that volume is deleted, and what came since is listed.
        await plugin.delete("Volume", "l2", "san1/fast/l2", second);
        await made("l21");
        const later = (await (await another()).list("Volume", {}, { after: "san1/fast/l2" })).ids;
        expect(later.slice(0, 2)).toEqual(["san1/fast/l21", "san1/fast/l3"]);
        expect((await fresh.list("Volume", {}, { limit: 3 })).ids).toEqual(all.ids.slice(0, 3));
        expect((await fresh.list("Volume", { container: "slow" })).ids).toEqual([]);
        await expect(fresh.list("Volume", { colour: "red" })).rejects.toMatchObject({
            code: status.INVALID_ARGUMENT,
        });
    });
});

describe("functions", () => {
    test("tell of host, pool, volume and snapshot", async () => {
        const { state } = await made("f1");
        const of = { host: "san1", pool: "fast" };
        const snapshot = await plugin.check("Snapshot", "f2", { volume: "san1/fast/f1" });
        await plugin.create("Snapshot", "f2", snapshot.inputs);
        const info = (await plugin.invoke("getHost", { host: "san1" })).result;
        expect(info).toMatchObject({
            name: "san1",
            pools: ["fast"],
            targets: ["iscsi"],
            missing: [],
            problems: [],
        });
        expect(info["kernel"]).toMatch(/^\d+\.\d+/);
        const { result } = await plugin.invoke("getPool", of);
        expect(result).toMatchObject({ driver: "file", capabilities: { thin: true, revert: true } });
        expect(result["totalBytes"]).toBeGreaterThan(result["freeBytes"] as number);
        expect((await plugin.invoke("getVolume", { ...of, name: "f1" })).result).toMatchObject({
            id: "san1/fast/f1",
            managed: true,
            generation: state["generation"],
            owner: { project: "shop", stack: "dev", resource: "f1" },
            snapshots: ["san1/fast/f2"],
        });
        expect((await plugin.invoke("getSnapshot", { ...of, name: "f2" })).result).toMatchObject({
            volume: "san1/fast/f1",
        });
        await expect(plugin.invoke("getSnapshot", { ...of, name: "f1" })).rejects.toMatchObject({
            code: status.NOT_FOUND,
        });
        const { failures } = await plugin.invoke("getPool", { host: "san2", pol: "fast" });
        expect(failures.map(({ property }) => property).sort()).toEqual(["host", "pol", "pool"]);
    });

    test("list what can be managed, in pages and sorted, with the reason where it cannot", async () => {
        for (const [name, size] of [
            ["m1.raw", 3],
            ["m2.raw", 1],
            ["m3.raw", 2],
        ] as const) {
            writeFileSync(join(pool, name), Buffer.alloc(size * MiB));
        }
        writeFileSync(join(pool, "odd.raw"), "no whole sector");
        const fresh = await another();
        const of = { host: "san1", pool: "fast", sortKey: "sizeBytes", sortDirection: "desc" };
        const { result } = await fresh.invoke("getManageable", { ...of, limit: 1000 });
        const items = result["items"] as {
            reference: string;
            safeToManage: boolean;
            reasonNotSafe: string;
        }[];
        const free = items
            .filter(({ reference }) => /^m\d/.test(reference))
            .map(({ reference }) => reference);
        expect(free).toEqual(["m1.raw", "m3.raw", "m2.raw"]);
        expect(items.find(({ reference }) => reference === "odd.raw")).toMatchObject({ safeToManage: false });
        const paged: string[] = [];
        for (let marker: string | undefined; ;) {
            const page = (await fresh.invoke("getManageable", { ...of, limit: 3, ...(marker && { marker }) }))
                .result;
            paged.push(...(page["items"] as { reference: string }[]).map(({ reference }) => reference));
            marker = page["next"] as string;
            if (marker === "") break;
        }
        expect(paged).toEqual(items.map(({ reference }) => reference));
        const { objects } = (await fresh.invoke("getUnmanaged", { host: "san1" })).result as {
            objects: { id: string; reference: string }[];
        };
        expect(objects.find(({ reference }) => reference === "m1.raw")?.id).toBe("san1/fast/m1.raw");
        expect(objects.some(({ reference }) => reference === "f1.img")).toBe(false);
    });

    test("find orphans: what was cut short, what lost its volume, what is not declared", async () => {
        const { state } = await made("o1");
        await made("o2");
        const fresh = await another();
        const of = { host: "san1", project: "shop", stack: "dev" };
        const known = (await fresh.list("Volume")).ids.filter((id) => id !== "san1/fast/o2");
        const orphans = async (args: Record<string, unknown>) =>
            (await fresh.invoke("getOrphans", args)).result["orphans"] as { id: string; reason: string }[];
        expect((await orphans(of)).map(({ id }) => id)).not.toContain("san1/fast/o2");
        const found = await orphans({ ...of, known });
        expect(found.find(({ id }) => id === "san1/fast/o2")?.reason).toContain("does not declare");
        expect(found.map(({ id }) => id)).not.toContain("san1/fast/o1");
        await plugin.delete("Volume", "o1", "san1/fast/o1", state);
    });
});

test("every resource has what the plugin needs of it", () => {
    for (const [kind, lifecycle] of Object.entries(lifecycles)) {
        expect(lifecycle.outputs, kind).toBeDefined();
        expect("preview" in lifecycle, kind).toBe(true);
        // The passwords that an attachment is made with are nowhere to be read back from.
        expect("import" in lifecycle, kind).toBe(kind !== "Attachment");
        expect(lifecycle.stable, kind).toContain("generation");
    }
});

type Described = Record<string, { description?: string; $ref?: string; type?: string }>;
interface Schema {
    resources: Record<
        string,
        {
            description: string;
            inputProperties: Described;
            properties: Described;
            stateInputs?: { properties: Described };
            listInputs?: { properties: Described };
        }
    >;
    functions: Record<
        string,
        { description: string; inputs: { properties: Described }; outputs: { properties: Described } }
    >;
    types: Record<
        string,
        {
            description?: string;
            properties?: Described;
            enum?: { value: string; description?: string }[];
        }
    >;
    config: { variables: Record<string, { description?: string; defaultInfo?: { environment: string[] } }> };
}

test("the schema names every resource and function, with a description of everything", async () => {
    const schema = (await plugin.schema()) as unknown as Schema;
    expect(Object.keys(schema.resources)).toEqual(
        Object.keys(lifecycles).map((kind) => `blockhost:index:${kind}`),
    );
    expect(Object.keys(schema.functions)).toEqual(
        Object.keys(functions).map((name) => `blockhost:index:${name}`),
    );
    const all: [string, Described][] = [
        ["config", schema.config.variables],
        ...Object.entries(schema.resources).map(
            ([name, one]) => [name, one.inputProperties] as [string, Described],
        ),
        ...Object.entries(schema.resources).map(
            ([name, one]) => [name, one.properties] as [string, Described],
        ),
        ...Object.entries(schema.functions).map(
            ([name, one]) => [name, one.inputs.properties] as [string, Described],
        ),
        ...Object.entries(schema.functions).map(
            ([name, one]) => [name, one.outputs.properties] as [string, Described],
        ),
        ...Object.entries(schema.types).map(
            ([name, one]) => [name, one.properties ?? {}] as [string, Described],
        ),
    ];
    const bare = all.flatMap(([where, properties]) =>
        Object.entries(properties)
            .filter(([, { description = "" }]) => description === "")
            .map(([key]) => `${where}.${key}`),
    );
    expect(bare).toEqual([]);
    const types = Object.entries(schema.types).flatMap(
        ([name, { description, properties, enum: values }]) => [
            ...(description === undefined ? [name] : []),
            // A type that holds nothing is of no use to programs whose language has types.
            ...(values === undefined && Object.keys(properties ?? {}).length === 0
                ? [`${name} is empty`]
                : []),
            ...(values ?? [])
                .filter((one) => one.description === undefined)
                .map((one) => `${name} ${one.value}`),
        ],
    );
    expect(types).toEqual([]);

    for (const [name, { description, ...resource }] of Object.entries(schema.resources)) {
        expect(description, name).toMatch(/\{\{% examples %\}\}.*\{\{% example %\}\}/s);
        const importable = lifecycles[name.replace(/^.*:/, "")]?.import !== undefined;
        expect(description.includes("\n## Import\n"), name).toBe(importable);
        expect(Object.keys(resource.stateInputs?.properties ?? {}), name).toEqual(["host"]);
        expect(Object.keys(resource.listInputs?.properties ?? {}), name).toContain("host");
    }
    for (const [name, { description }] of Object.entries(schema.functions))
        expect(description, name).toMatch(/\{\{% examples %\}\}.*\{\{% example %\}\}/s);
    // Generated code knows no default for an object: the provider looks at BLOCKHOST_HOSTS itself.
    const environment = Object.entries(schema.config.variables).map(([key, { defaultInfo }]) => [
        key,
        defaultInfo?.environment,
    ]);
    expect(Object.fromEntries(environment)).toEqual({
        hosts: undefined,
        installation: ["BLOCKHOST_INSTALLATION"],
        organization: ["BLOCKHOST_ORGANIZATION"],
    });
});

test("a wrong type of any property of any resource is told by the property's name", async () => {
    const schema = (await plugin.schema()) as unknown as Schema;
    for (const [token, { inputProperties }] of Object.entries(schema.resources)) {
        const kind = token.replace(/^.*:/, "");
        for (const property of Object.keys(inputProperties)) {
            // At most one of these is of the right type, or some text that is not refused for its type.
            const failed = await Promise.all(
                [[[5]], { no: { such: true } }, "\u0000"].map(async (value) => {
                    const { failures } = await plugin.check(kind, "wrong", { [property]: value });
                    return failures.some((failure) => pathOf(failure).split(/[.[]/)[0] === property);
                }),
            );
            expect(failed.filter(Boolean).length, `${kind}.${property}`).toBeGreaterThanOrEqual(2);
        }
    }
});
