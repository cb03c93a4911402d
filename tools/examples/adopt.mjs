// @ts-check
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const MiB = 1024 * 1024;
const content = Buffer.alloc(8 * MiB, "made long ago, by somebody else. ");

/** Without a size: the one that is found. */
export const config = () => ({ existing: "legacy.img", size: undefined });

/** A pool, and in it a file that blockhost did not make. @param {import("../example.mjs").Scene} scene */
export async function arrange({ host, stackOf, heading }) {
    heading("a pool with a file in it that somebody else made");
    const other = await stackOf("basic");
    await other.up({ quiet: true });
    await other.destroy({ quiet: true });
    writeFileSync(`${host.poolDirectories["fast"]}/legacy.img`, content);
}

/** @param {import("../example.mjs").Scene} scene */
export async function check({ host, stack, heading, check }) {
    heading("what was adopted");
    const { sizeBytes, volume } = await stack.outputs();
    check("its size was read from the host", sizeBytes === content.length, sizeBytes);
    check("it has our name", volume === "embedded/fast/legacy", volume);
    check(
        "its data is as it was",
        readFileSync(`${host.poolDirectories["fast"]}/legacy.img`).equals(content),
    );

    heading("growing it");
    await stack.setConfig("size", "16MiB");
    const { changes } = await stack.up();
    check("is an update", changes["update"] === 1, changes);
    const grown = readFileSync(`${host.poolDirectories["fast"]}/legacy.img`);
    check("it has 16 MiB", grown.length === 16 * MiB, grown.length);
    check("its data is as it was", grown.subarray(0, content.length).equals(content));
}

/** @param {import("../example.mjs").Scene} scene */
export function checkDestroyed({ host, check }) {
    check("the data is still there", existsSync(`${host.poolDirectories["fast"]}/legacy.img`));
}
