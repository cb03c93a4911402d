import { afterEach, beforeEach, expect, test } from "vitest";
import { Attached, inquire } from "./initiator";
import { CLIENT, OTHER, sleep, TgtHost } from "./tgtHost";

/** What tgtd 1.0.85 really does, on which the order of things in provider/targets/tgt rests. */

let host: TgtHost;
const NAME = "iqn.2024-01.com.example:facts";
const admin = (...args: string[]) => host.admin("--op", ...args);
const login = (initiator: string) => ({ portal: host.portal, target: NAME, initiator });

beforeEach(async () => {
    host = await TgtHost.start();
    admin("new", "--mode", "target", "--tid", "1", "-T", NAME);
    admin("new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", host.device("disk.img"));
});

afterEach(async () => {
    await host.stop();
});

test("a target without an access list admits nobody", () => {
    expect(inquire(login(CLIENT)).ok).toBe(false);
});

test("name and address are alternatives: either of them lets an initiator in", () => {
    admin("bind", "--mode", "target", "--tid", "1", "-Q", CLIENT);
    admin("bind", "--mode", "target", "--tid", "1", "-I", "127.0.0.1");
    expect(inquire(login(OTHER)).ok).toBe(true);
});

test.each(["127.0.0.1/32", "0.0.0.0/0"])("the network %s matches nothing", (network) => {
    admin("bind", "--mode", "target", "--tid", "1", "-I", network);
    expect(inquire(login(CLIENT)).ok).toBe(false);
});

test("a target whose last incoming account goes away is open to everybody on its access list", () => {
    admin("bind", "--mode", "target", "--tid", "1", "-Q", CLIENT);
    admin("new", "--mode", "account", "--user", "u1", "--password", "secret-000001");
    admin("bind", "--mode", "account", "--tid", "1", "--user", "u1");
    expect(inquire(login(CLIENT)).ok).toBe(false);
    admin("delete", "--mode", "account", "--user", "u1");
    expect(inquire(login(CLIENT)).ok).toBe(true);
});

test("a free slot before a bound account crashes the daemon at the next show", async () => {
    for (const user of ["u1", "u2"]) {
        admin("new", "--mode", "account", "--user", user, "--password", "secret-000001");
        admin("bind", "--mode", "account", "--tid", "1", "--user", user);
    }
    admin("unbind", "--mode", "account", "--tid", "1", "--user", "u1");
    expect(admin("show", "--mode", "target")).toMatch(/closed the socket/);
    await sleep(200);
    expect(host.alive).toBe(false);
});

test("a command that meets an offline target is never answered", async () => {
    admin("bind", "--mode", "target", "--tid", "1", "-Q", CLIENT);
    const session = await Attached.to(login(CLIENT));
    try {
        admin("update", "--mode", "target", "--tid", "1", "--name", "state", "--value", "offline");
        const answer = session.do("read 0 512");
        await sleep(500);
        admin("update", "--mode", "target", "--tid", "1", "--name", "state", "--value", "ready");
        expect(await Promise.race([answer, sleep(3000).then(() => "none yet")])).toBe("none yet");
    } finally {
        await session.close();
    }
});
