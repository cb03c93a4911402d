import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { FACES } from "./package";
import { type Resource, TestStack } from "./stack";

/** A storage host with pool `fast` and a target, and what tests do there behind the provider's back. */
export interface Place {
    /** Its entry in `blockhost:hosts`. */
    readonly configuration: unknown;
    readonly protocol: keyof typeof INITIATORS;
    /** Bytes. */
    sizeOf(name: string): Promise<number>;
    /** Changes an object's size, bytes. */
    resize(name: string, bytes: number): Promise<void>;
    remove(name: string): Promise<void>;
    /** The same as long as it is the same object. */
    identity(name: string): Promise<string>;
    /** Data, marks, boot files and targets; all that may be there with nothing declared is none. */
    left(): Promise<string[]>;
    stop(): Promise<void>;
}

const INITIATORS = {
    iscsi: { iqn: "iqn.2024-01.com.example:db1", chap: { username: "db1", password: "correct-horse-1" } },
    "nvme-tcp": {
        nqn: "nqn.2024-01.com.example:db1",
        dhchap: {
            key: deriveDhchapKey("a secret of more than thirty-two bytes", "db1"),
            controllerKey: deriveDhchapKey("a secret of more than thirty-two bytes", "san1"),
        },
    },
};

/** The life of a stack on a host, by both faces: what has to hold whatever keeps the bytes and exports them. */
export function steadySuite(start: () => Promise<Place>): void {
    describe.each(FACES)("$face face:", ({ face, blockhost }) => {
        const MiB = 2 ** 20;
        let place: Place;
        let stack: TestStack;
        beforeAll(async () => {
            place = await start();
            stack = await TestStack.create({ hosts: [], moreHosts: { san1: place.configuration } });
        });
        afterAll(async () => {
            stack.remove();
            await place.stop();
        });

        /** The life of one program, from its first `up` to its `destroy`; each test starts where the last one ended. */
        const program =
            ({ data = "data", copy = "64MiB" } = {}) =>
            async () => {
                const aliases = data === "data" ? [] : [{ name: "data" }];
                const volume = new blockhost.Volume(
                    data,
                    { host: "san1", pool: "fast", size: "32MiB" },
                    { aliases },
                );
                const before = new blockhost.Snapshot("before", { volume });
                new blockhost.Volume("copy", {
                    host: "san1",
                    pool: "fast",
                    source: { snapshot: before },
                    size: copy,
                });
                new blockhost.Export("lun", {
                    source: volume,
                    protocol: place.protocol,
                    initiators: [INITIATORS[place.protocol]],
                });
            };

        const generation = (resource: Resource | undefined) => resource?.outputs["generation"];

        /** Nothing to do: neither is there any change, nor was anything said. */
        const nothing = { failed: false, changes: {}, diagnostics: [] };

        test("what was brought up is there, and neither a preview nor a refresh finds anything to do", async () => {
            const up = await stack.up(program());
            expect(up).toMatchObject({
                failed: false,
                diagnostics: [],
                changes: { data: "create", before: "create", copy: "create", lun: "create" },
            });
            expect(await place.sizeOf("data")).toBe(32 * MiB);
            expect(await place.sizeOf("copy")).toBe(64 * MiB);

            expect(await stack.preview(program())).toMatchObject(nothing);
            const state = await stack.resources();
            const refresh = await stack.refresh();
            expect(refresh).toMatchObject({ failed: false, diagnostics: [] });
            expect(Object.keys(refresh.summary)).toEqual(["same"]);
            expect(outputs(await stack.resources())).toEqual(outputs(state));
            expect(await stack.preview(program())).toMatchObject(nothing);
        });

        if (face === "dynamic")
            test("the provider takes little room in the state, the same in each resource of a kind", async () => {
                const { data, copy, before, lun } = await stack.resources();
                const sizes = [data, before, lun].map((one) => String(one?.outputs["__provider"]).length);
                expect(copy?.outputs["__provider"]).toBe(data?.outputs["__provider"]);
                expect(copy?.inputs["__provider"]).toBe(data?.outputs["__provider"]);
                for (const size of sizes) expect(size).toBeLessThanOrEqual(2048);
            });

        test("what somebody changed outside shows as that property only", async () => {
            const before = outputs(await stack.resources());
            await place.resize("copy", 96 * MiB);
            expect(await stack.refresh()).toMatchObject({
                failed: false,
                diagnostics: [],
                summary: { update: 1 },
            });
            const after = outputs(await stack.resources());
            expect(after).toEqual({ ...before, copy: { ...before["copy"], sizeBytes: 96 * MiB } });
        });

        test("shrinking is refused in preview, with the reason and the way out; taking over the size is not", async () => {
            const refused = await stack.preview(program({ copy: "64MiB" }));
            expect(refused.failed).toBe(true);
            expect(refused.diagnostics[0]?.message).toMatch(/size: a volume never shrinks: it has 96 ?MiB/);
            expect(refused.diagnostics[0]?.message).toContain("set `size` to 96MiB or more");

            expect(await stack.up(program({ copy: "96MiB" }))).toMatchObject({
                failed: false,
                changes: { copy: "update" },
            });
            expect(await place.sizeOf("copy")).toBe(96 * MiB);
        });

        test("what somebody deleted outside leaves the state by refresh, and comes again by up", async () => {
            const { copy } = await stack.resources();
            await place.remove("copy");
            expect(await stack.refresh()).toMatchObject({ failed: false, diagnostics: [] });
            expect(await stack.resources()).not.toHaveProperty("copy");

            expect(await stack.up(program({ copy: "96MiB" }))).toMatchObject({
                failed: false,
                changes: { copy: "create" },
            });
            expect(await place.sizeOf("copy")).toBe(96 * MiB);
            const again = (await stack.resources())["copy"];
            expect(generation(again)).not.toBe(generation(copy));
        });

        test("a resource renamed with an alias keeps its object", async () => {
            const { data } = await stack.resources();
            const identity = await place.identity("data");
            const renamed = program({ data: "pg-data", copy: "96MiB" });
            expect(await stack.up(renamed)).toMatchObject({
                failed: false,
                diagnostics: [],
                changes: { "pg-data": "update" },
            });
            const now = (await stack.resources())["pg-data"];
            expect(now?.id).toBe(data?.id);
            expect(generation(now)).toBe(generation(data));
            expect(await place.identity("data")).toBe(identity);
            expect(await stack.preview(renamed)).toMatchObject(nothing);
        });

        test("destroy leaves the host empty", async () => {
            expect(await stack.destroy()).toMatchObject({ failed: false, diagnostics: [] });
            expect(await stack.resources()).toEqual({});
            expect(await place.left()).toEqual([]);
        });

        function outputs(resources: Record<string, Resource>) {
            return Object.fromEntries(
                Object.entries(resources).map(([name, { outputs: found }]) => [name, found]),
            );
        }
    });
}
