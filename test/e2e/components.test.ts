import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as pulumi from "@pulumi/pulumi";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

/** Resources of one name in several components, and resources that move between them. */

describe.each(FACES)("$face face:", ({ blockhost }) => {
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

    const file = (name: string) => join(host.poolDirectories["fast"] ?? "", `${name}.img`);

    class Database extends pulumi.ComponentResource {
        constructor(name: string, more: Record<string, unknown> = {}, aliases: pulumi.Alias[] = []) {
            super("acme:db:Database", name);
            const args = { host: "san1", pool: "fast", size: "1MiB", ...more };
            new blockhost.Volume("data", args, { parent: this, aliases });
        }
    }
    class Cache extends pulumi.ComponentResource {
        constructor(name: string, more: Record<string, unknown> = {}) {
            super("acme:db:Cache", name);
            new blockhost.Volume(
                "data",
                { host: "san1", pool: "fast", size: "1MiB", ...more },
                { parent: this },
            );
        }
    }
    const program = (body: () => void) => () => Promise.resolve(body());

    test("two components' resources of one name do not share a volume", async () => {
        // In a preview nothing is made, whichever of the two comes first.
        const clash = await stack.preview(
            program(() => {
                new Database("db");
                new Cache("cache");
            }),
        );
        expect(clash.failed).toBe(true);
        expect(clash.output).toContain('"data" in "fast" is the name of resource "data" in acme:db:');
        const apart = program(() => {
            new Database("db");
            new Cache("cache", { name: "cache-data" });
        });
        expect(await stack.up(apart)).toMatchObject({ failed: false });
        const only = program(() => {
            new Database("db");
        });
        expect(await stack.up(only)).toMatchObject({ failed: false });
        expect([existsSync(file("data")), existsSync(file("cache-data"))]).toEqual([true, false]);
        expect(await stack.preview(only)).toMatchObject({ failed: false, changes: {} });
        expect(await stack.destroy()).toMatchObject({ failed: false });
    });

    test("a resource that is moved into a component without an alias is refused in preview, and loses nothing", async () => {
        const plain = program(() => {
            new blockhost.Volume("data", { host: "san1", pool: "fast", size: "1MiB" });
        });
        expect(await stack.up(plain)).toMatchObject({ failed: false });
        const careless = program(() => {
            new Database("db");
        });
        const preview = await stack.preview(careless);
        expect(preview.failed).toBe(true);
        expect(preview.output).toContain("aliases: [{ parent: pulumi.rootStackResource }]");
        expect((await stack.up(careless)).failed).toBe(true);
        expect(existsSync(file("data"))).toBe(true);

        const moved = program(() => {
            new Database("db", {}, [{ parent: pulumi.rootStackResource }]);
        });
        expect(await stack.up(moved)).toMatchObject({ failed: false, changes: { data: "update" } });
        expect(existsSync(file("data"))).toBe(true);
        expect(await stack.up(careless)).toMatchObject({ failed: false, changes: {} });
        expect(await stack.destroy()).toMatchObject({ failed: false });
        expect(existsSync(file("data"))).toBe(false);
    });
});
