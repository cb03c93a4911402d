// @ts-check
import { readFileSync } from "node:fs";

export const secrets = { chap: "correct-horse-battery" };

/** @param {import("../example.mjs").Scene} scene */
export async function check({ host, stack, iscsi, heading, check }) {
    heading("the export, by an independent initiator");
    const { connection, volume, snapshot } = await stack.outputs();
    const lun = iscsi.lunOf(connection, "iqn.2024-01.com.example:db1");
    await iscsi.write(lun, { offset: 4096, length: 4096, pattern: 0x5a });
    check("it reads what it wrote", await iscsi.holds(lun, { offset: 4096, length: 4096, pattern: 0x5a }));
    const file = readFileSync(`${host.poolDirectories["fast"]}/pg-data.img`);
    check(
        "the bytes are in the volume",
        file.subarray(4096, 8192).every((byte) => byte === 0x5a),
    );
    const guess = { username: "db1", password: "incorrect-donkey" };
    const refused = await iscsi.login({ ...lun, chap: guess });
    check("a wrong password is refused", !refused.ok, refused);
    check("ids say where things are", volume === "embedded/fast/pg-data", volume);
    check("the snapshot's too", snapshot === "embedded/fast/pg-before-upgrade", snapshot);
}
