// @ts-check
import { existsSync } from "node:fs";

/** The program is told of the machine itself; there is no `blockhost:hosts`. */
export const inline = "machine";

/** @param {import("../example.mjs").Scene} scene */
export async function check({ host, stack, heading, check }) {
    heading("the host that the program made");
    const { volume, snapshot } = await stack.outputs();
    check("ids have the name that it gave", volume === "storage-1/fast/archive", volume);
    check("the snapshot is on the same host", snapshot === "storage-1/fast/archive-first", snapshot);
    check("the volume is there", existsSync(`${host.poolDirectories["fast"]}/archive.img`));
}
