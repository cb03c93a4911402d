// @ts-check

const initiator = "iqn.2024-01.com.example:mail1";
const [before, after] = ["correct-horse-battery", "another-fine-password"];

export const secrets = { chap: before };

/** @param {import("../example.mjs").Scene} scene */
export async function check({ stack, iscsi, heading, check }) {
    const lun = iscsi.lunOf((await stack.outputs())["connection"], initiator);
    const session = await iscsi.openSession(lun);
    await session.do("write -P 0x21 0 4096");

    heading("another password, while the initiator is logged in");
    await stack.setConfig("chap", after, { secret: true });
    const { changes } = await stack.up();
    check("is an update of one resource", changes["update"] === 1, changes);
    await session.do("read -P 0x21 0 4096");
    check("the session goes on", true);
    await session.close();

    const username = lun.chap?.username ?? "";
    const withOld = await iscsi.login({ ...lun, chap: { username, password: before } });
    check("the next login needs the new password", !withOld.ok, withOld);
    const withNew = await iscsi.login({ ...lun, chap: { username, password: after } });
    check("and succeeds with it", withNew.ok, withNew);
}
