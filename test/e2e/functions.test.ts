import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

/** Functions in programs of both faces: awaited, and as outputs. */

describe.each(FACES)("$face face:", ({ blockhost }) => {
    let host: EmbeddedHost;
    let stack: TestStack;
    beforeAll(async () => {
        host = await startEmbeddedHost({ name: "san1", tgt: false });
        stack = await TestStack.create({ hosts: [host] });
    });
    afterAll(async () => {
        await host.stop();
        stack.remove();
    });

    test("functions answer awaited, and as outputs of what is known only later", async () => {
        const of = { host: "san1", pool: "fast" };
        const seen: Record<string, unknown> = {};
        const program = async () => {
            const data = new blockhost.Volume("data", { ...of, size: "2MiB" });
            seen["driver"] = (await blockhost.getPool(of)).driver;
            seen["host"] = (await blockhost.getHost({ host: "san1" })).pools;
            seen["manageable"] = (await blockhost.getManageable(of)).total;
            // Asked once the volume is there.
            const name = data.id.apply(() => "data");
            blockhost.getVolumeOutput({ ...of, name }).apply(({ sizeBytes, managed }) => {
                seen["size"] = sizeBytes;
                seen["managed"] = managed;
            });
        };
        expect(await stack.up(program)).toMatchObject({ failed: false, diagnostics: [] });
        expect(seen).toEqual({
            driver: "file",
            host: ["fast"],
            manageable: 0,
            size: 2 * 2 ** 20,
            managed: true,
        });
        const wrong = async () => {
            await blockhost.getPool({ host: "san1", pool: "fsat" });
        };
        const refused = await stack.preview(wrong);
        expect(refused.failed).toBe(true);
        expect(refused.output).toContain("fsat");
        expect(await stack.destroy()).toMatchObject({ failed: false });
    });
});
