import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

/** A stack that was made with the dynamic face moves to the plugin: its program's import line is all that changes. */

let host: EmbeddedHost;
let stack: TestStack;
beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    stack = await TestStack.create({ hosts: [host] });
});
afterAll(async () => {
    await host.stop();
    stack.remove();
});

const [dynamic, plugin] = FACES;

const program =
    ({ blockhost }: (typeof FACES)[number], size = "32MiB") =>
    async () => {
        const data = new blockhost.Volume("data", {
            host: "san1",
            pool: "fast",
            size,
            wipe: { method: "zero" },
        });
        const before = new blockhost.Snapshot("before", { volume: data });
        new blockhost.Volume("copy", {
            host: "san1",
            pool: "fast",
            source: { snapshot: before },
            size: "64MiB",
        });
        const lun = new blockhost.Export("lun", {
            source: data,
            protocol: "iscsi",
            initiators: [
                {
                    iqn: "iqn.2024-01.com.example:db1",
                    chap: { username: "db1", password: "correct-horse-1" },
                },
            ],
        });
        return { connection: lun.connection };
    };

test("from dynamic to plugin nothing changes, in a preview and in an up", async () => {
    expect(await stack.up(program(dynamic))).toMatchObject({ failed: false, diagnostics: [] });
    const before = await stack.resources();

    expect(await stack.preview(program(plugin))).toMatchObject({
        failed: false,
        changes: {},
        diagnostics: [],
    });
    expect(await stack.up(program(plugin))).toMatchObject({ failed: false, changes: {}, diagnostics: [] });
    const after = await stack.resources();
    expect(Object.keys(after).sort()).toEqual(["before", "copy", "data", "lun"]);
    for (const [name, { urn, id, outputs }] of Object.entries(after)) {
        expect(urn).toContain(`::blockhost:index:`);
        expect(id).toBe(before[name]?.id);
        expect(outputs["generation"]).toBe(before[name]?.outputs["generation"]);
    }
});

test("what moved is managed like any other: refreshed, changed in place", async () => {
    const before = await stack.resources();
    expect(await stack.refresh()).toMatchObject({ failed: false, diagnostics: [], summary: { same: 5 } });
    expect(await stack.up(program(plugin, "48MiB"))).toMatchObject({
        failed: false,
        diagnostics: [],
        changes: { data: "update" },
    });
    const { data } = await stack.resources();
    expect(data?.outputs["sizeBytes"]).toBe(48 * 2 ** 20);
    expect(data?.outputs["generation"]).toBe(before["data"]?.outputs["generation"]);
    expect(await stack.preview(program(plugin, "48MiB"))).toMatchObject({ failed: false, changes: {} });
});

test("and back: an update that only records the face", async () => {
    const before = await stack.resources();
    const back = await stack.up(program(dynamic, "48MiB"));
    expect(back).toMatchObject({ failed: false, diagnostics: [] });
    expect(Object.values(back.changes).filter((change) => change !== "update")).toEqual([]);
    const after = await stack.resources();
    for (const [name, { urn, outputs }] of Object.entries(after)) {
        expect(urn).toContain(`::pulumi-nodejs:dynamic/blockhost:`);
        expect(outputs["generation"]).toBe(before[name]?.outputs["generation"]);
    }
    expect(await stack.preview(program(dynamic, "48MiB"))).toMatchObject({ failed: false, changes: {} });
});

test("destroys from either face leave the host empty", async () => {
    expect(await stack.up(program(plugin, "48MiB"))).toMatchObject({ failed: false, changes: {} });
    expect(await stack.destroy()).toMatchObject({ failed: false, diagnostics: [] });
    expect(await stack.resources()).toEqual({});
});
