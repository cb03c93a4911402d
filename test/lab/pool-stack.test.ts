import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { FACES } from "../e2e/support/package";
import { TestStack } from "../e2e/support/stack";
import { CLEAN, HOST, POOLS, labOfOne } from "./poolLab";

/** Pools by whole stacks, with the real engine. */

vi.setConfig({ testTimeout: 1_200_000 });

let stop: () => Promise<void>;
let host: ReturnType<Awaited<ReturnType<typeof labOfOne>>["lab"]["host"]>;

beforeAll(async () => {
    const started = await labOfOne();
    stop = started.stop;
    host = started.lab.host("a");
});
afterAll(() => stop());

describe.each(FACES)("$face face:", ({ blockhost }) => {
    let stack: TestStack;
    beforeAll(async () => {
        stack = await TestStack.create({
            hosts: [],
            moreHosts: { [HOST]: host.configuration({ pools: POOLS }) },
        });
    });
    beforeEach(async () => {
        await host.run(CLEAN);
    });
    afterAll(() => {
        stack.remove();
    });

    const program = (disks: readonly string[]) => async () => {
        const fast = new blockhost.Pool("fast", { host: HOST, disks: [...disks], size: "1GiB" });
        const data = new blockhost.Volume("data", { pool: fast, size: "64MiB" });
        new blockhost.Snapshot("before", { volume: data.id });
    };

    test("a pool and what lives in it go up, stay the same, grow and go down together", async () => {
        const [first, second] = [host.diskPath("disk1"), host.diskPath("disk2")];
        const preview = await stack.preview(program([first]));
        expect(preview, preview.output).toMatchObject({
            failed: false,
            changes: { fast: "create", data: "create" },
        });
        const up = await stack.up(program([first]));
        expect(up, up.output).toMatchObject({ failed: false, changes: { fast: "create", data: "create" } });
        const again = await stack.up(program([first]));
        expect(again, again.output).toMatchObject({ failed: false, changes: {} });
        const refreshed = await stack.refresh();
        expect(refreshed, refreshed.output).toMatchObject({ failed: false, diagnostics: [] });
        expect(Object.keys(refreshed.summary), refreshed.output).toEqual(["same"]);
        const grown = await stack.up(program([first, second]));
        expect(grown, grown.output).toMatchObject({ failed: false, changes: { fast: "update" } });
        const down = await stack.destroy();
        expect(down.failed, down.output).toBe(false);
        expect((await host.run("vgs --noheadings; pvs --noheadings")).stdout.trim()).toBe("");
    });
});
