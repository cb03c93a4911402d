// @ts-check
import { readFileSync } from "node:fs";

/** The quickstart's program, in whatever language. */
export const secrets = { chap: "correct-horse-battery" };

/** @param {import("../example.mjs").Scene} scene */
export async function check({ host, stack, iscsi, heading, check }) {
    heading("the export, by an independent initiator");
    const { connection, dataPath, clonePath, driver } = await stack.outputs();
    const lun = iscsi.lunOf(connection, "iqn.2024-01.com.example:db1");
    await iscsi.write(lun, { offset: 4096, length: 4096, pattern: 0x5a });
    check("it reads what it wrote", await iscsi.holds(lun, { offset: 4096, length: 4096, pattern: 0x5a }));
    const bytes = readFileSync(dataPath).subarray(4096, 8192);
    check(
        "the bytes are in the volume",
        bytes.every((byte) => byte === 0x5a),
    );
    check("the clone is another file", clonePath === `${host.poolDirectories["fast"]}/clone.img`, clonePath);
    check("a function told the pool's driver", driver === "file", driver);
    const guess = { username: "db1", password: "incorrect-donkey" };
    const refused = await iscsi.login({ ...lun, chap: guess });
    check("a wrong password is refused", !refused.ok, refused);
}
