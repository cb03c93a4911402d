import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Lab } from "./lab.mjs";
import { Both, CLEAR_CLIENT, CLEAR_STORAGE, LEAVINGS, labOfTwo, prepareStorage } from "./support/attachments";

/** Exports of one host attached on another, by real initiators. */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

let lab: Lab;
let stop: () => Promise<void>;
let both: Both;
const a = () => lab.host("a");
const c = () => lab.host("c");

beforeAll(async () => {
    ({ lab, stop } = await labOfTwo());
    await prepareStorage(a());
});
beforeEach(async () => {
    await both?.close();
    await c().run(CLEAR_CLIENT);
    await a().run(CLEAR_STORAGE);
    both = new Both(lab);
});
afterAll(async () => {
    await both?.close();
    await stop();
});

const PROTOCOLS = ["iscsi", "nvme-tcp"] as const;

describe.each(PROTOCOLS)("over %s", (protocol) => {
    test("what is written on the client is on the storage host; nothing is left after it", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        expect(one).toMatchObject({ drift: [], deviceBytes: data.sizeBytes });
        expect(one.devicePath).toMatch(/^\/dev\/disk\/by-id\//);
        await c().run(`printf 'from the client' | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
        expect(
            (
                await a().run(
                    `dd if=${data.path} bs=15 count=1 iflag=direct,count_bytes status=none bs=4096 count=15`,
                )
            ).stdout,
        ).toBe("from the client");
        expect(await both.read(one)).toEqual(one);
        await both.detach(one);
        expect((await c().run(LEAVINGS)).stdout).toBe("");
        expect(await both.read(one)).toBeUndefined();
        await both.remove(lun, data);
    });
});
