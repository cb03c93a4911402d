import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { FACES } from "../e2e/support/package";
import { TestStack } from "../e2e/support/stack";
import type { Lab } from "./lab.mjs";
import {
    CHAP,
    CLEAR_CLIENT,
    CLEAR_STORAGE,
    DB,
    KEYS,
    LEAVINGS,
    MUTUAL,
    SAN,
    configurations,
    labOfTwo,
    prepareStorage,
} from "./support/attachments";

/** Attachments by whole stacks, with the real engine: over both protocols, by both faces, and from one to the other. */

vi.setConfig({ testTimeout: 1_200_000, hookTimeout: 600_000 });

let lab: Lab;
let stop: () => Promise<void>;
let stack: TestStack;
const a = () => lab.host("a");
const c = () => lab.host("c");

beforeAll(async () => {
    ({ lab, stop } = await labOfTwo());
    await prepareStorage(a());
});
beforeEach(async () => {
    await c().run(CLEAR_CLIENT);
    await a().run(CLEAR_STORAGE);
    stack = await TestStack.create({ hosts: [], moreHosts: configurations(lab) });
});
afterEach(() => {
    stack.remove();
});
afterAll(() => stop());

const [dynamic, plugin] = FACES;

const program =
    ({ blockhost }: (typeof FACES)[number], size: string) =>
    async () => {
        const db = blockhost.getHostOutput({ host: DB });
        const data = new blockhost.Volume("data", { host: SAN, pool: "fast", size });
        const log = new blockhost.Volume("log", { host: SAN, pool: "fast", size: "16MiB" });
        const lun = new blockhost.Export("lun", {
            source: data,
            protocol: "iscsi",
            initiators: [{ iqn: db.iqn, chap: CHAP, mutualChap: MUTUAL }],
        });
        const namespace = new blockhost.Export("namespace", {
            source: log,
            protocol: "nvme-tcp",
            initiators: [{ nqn: db.nqn, dhchap: KEYS }],
        });
        const { connection } = lun;
        new blockhost.Attachment("disk", { host: DB, connection, sizeBytes: data.sizeBytes });
        new blockhost.Attachment("drive", { host: DB, connection: namespace.connection });
    };

const made = {
    data: "create",
    log: "create",
    lun: "create",
    namespace: "create",
    disk: "create",
    drive: "create",
};

async function expectNoChange(which: (typeof FACES)[number], size: string): Promise<void> {
    const again = await stack.up(program(which, size));
    expect(again, again.output).toMatchObject({ failed: false, changes: {}, diagnostics: [] });
    const refreshed = await stack.refresh();
    expect(refreshed, refreshed.output).toMatchObject({ failed: false, diagnostics: [] });
    expect(Object.keys(refreshed.summary), refreshed.output).toEqual(["same"]);
}

const outputsOf = async (name: string) => (await stack.resources())[name]?.outputs ?? {};
const left = async () => (await c().run(LEAVINGS)).stdout;

describe.each(FACES)("$face face:", (face) => {
    test("up, no change, growth, drift and its end, down", async () => {
        const preview = await stack.preview(program(face, "64MiB"));
        expect(preview, preview.output).toMatchObject({ failed: false, changes: made });
        const up = await stack.up(program(face, "64MiB"));
        expect(up, up.output).toMatchObject({ failed: false, changes: made, diagnostics: [] });
        await expectNoChange(face, "64MiB");

        const { devicePath } = await outputsOf("disk");
        await c().run(`printf here | dd of=${String(devicePath)} conv=fsync,notrunc status=none`);
        expect((await a().run("head -c 4 /dev/bhattach/data")).stdout).toBe("here");
        const grown = await stack.up(program(face, "128MiB"));
        expect(grown, grown.output).toMatchObject({
            failed: false,
            changes: { data: "update", disk: "update" },
        });
        expect(await outputsOf("disk")).toMatchObject({ devicePath, deviceBytes: 128 * 2 ** 20 });

        await c().run("iscsiadm -m session --logout >/dev/null");
        const seen = await stack.refresh();
        expect(seen, seen.output).toMatchObject({ failed: false, summary: { update: 1 } });
        expect((await outputsOf("disk"))["drift"]).not.toEqual([]);
        const healed = await stack.up(program(face, "128MiB"));
        expect(healed, healed.output).toMatchObject({ failed: false, changes: { disk: "update" } });
        expect(await outputsOf("disk")).toMatchObject({ devicePath, drift: [] });
        await expectNoChange(face, "128MiB");

        // What is mounted stays, and so does all that it needs.
        await c().run(
            `mkfs.ext4 -q ${String(devicePath)} && mkdir -p /mnt/pg && mount ${String(devicePath)} /mnt/pg`,
        );
        const refusal = await stack.destroy();
        expect(refusal.failed, refusal.output).toBe(true);
        expect(refusal.output).toContain("/mnt/pg");
        await c().run("echo there > /mnt/pg/file && umount /mnt/pg");

        const down = await stack.destroy();
        expect(down.failed, down.output).toBe(false);
        expect(await left()).toBe("");
    });
});

test("from the dynamic face to the plugin nothing changes", async () => {
    const up = await stack.up(program(dynamic, "64MiB"));
    expect(up, up.output).toMatchObject({ failed: false, changes: made });
    const before = await stack.resources();
    const moved = await stack.up(program(plugin, "64MiB"));
    expect(moved, moved.output).toMatchObject({ failed: false, changes: {}, diagnostics: [] });
    const after = await stack.resources();
    for (const name of ["disk", "drive"]) {
        expect(after[name]?.urn).toContain("::blockhost:index:Attachment::");
        expect(after[name]?.outputs["generation"]).toBe(before[name]?.outputs["generation"]);
    }
    await expectNoChange(plugin, "64MiB");
    const down = await stack.destroy();
    expect(down.failed, down.output).toBe(false);
    expect(await left()).toBe("");
});
