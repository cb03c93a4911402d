// @ts-check
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const MiB = 1024 * 1024;

/** @param {import("../example.mjs").Scene} scene */
export async function check({ host, stack, heading, check }) {
    const volume = `${host.poolDirectories["fast"]}/shop-data.img`;
    const { copyBytes } = await stack.outputs();
    check("the copy is twice as large", copyBytes === 128 * MiB, copyBytes);

    heading("something goes wrong with the data, and it is put back");
    const file = openSync(volume, "r+");
    writeSync(file, Buffer.alloc(4096, 0xee), 0, 4096, MiB);
    closeSync(file);
    await stack.setConfig("revert", "after-the-accident");
    const { changes } = await stack.up();
    check("is an update of one resource", changes["update"] === 1, changes);
    check(
        "the volume is as it was on Monday",
        readFileSync(volume).every((byte) => byte === 0),
    );
    const { revertedWith, safetySnapshot } = await stack.outputs();
    check("the token is recorded", revertedWith === "after-the-accident", revertedWith);
    check(
        "what it held is kept",
        typeof safetySnapshot === "string" && safetySnapshot !== "",
        safetySnapshot,
    );
}
