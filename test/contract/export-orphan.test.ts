import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { run } from "../../tools/command.mjs";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { targetsOf } from "../../tools/embedded-host/tgtd.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CHAP, CLIENT, Client, refused } from "../support/client";

/** Exports whose boot file somebody has removed: neither taken for gone while they are served, nor left behind. */

let host: EmbeddedHost;
const opened: Client[] = [];

function another(): Client {
    const one = new Client(host);
    opened.push(one);
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
});

afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await host.stop();
});

const control = () => host.tgt?.controlPort ?? 0;
const bootFile = (name: string) => join(host.stateDirectory, "exports/iscsi", name);

/** An export with its volume, whose boot file is gone. */
async function orphaned(name: string): Promise<ExportState> {
    const client = another();
    await client.volume(name);
    const initiators = [{ iqn: CLIENT, chap: { ...CHAP, username: name } }];
    const state = await client.export(name, name, { initiators });
    rmSync(bootFile(name));
    return state;
}

const read = async (state: ExportState) => (await exportLifecycle.read(another().context, state))?.state;

async function admin(...args: string[]): Promise<string> {
    const { stdout } = await run("tgtadm", ["-C", String(control()), "--lld", "iscsi", ...args]);
    return stdout;
}

async function tidOf(targetName: string): Promise<string> {
    const shown = await admin("--mode", "target", "--op", "show");
    return new RegExp(`^Target (\\d+): ${targetName}$`, "m").exec(shown)?.[1] ?? "";
}

describe("an export without its boot file", () => {
    test("that is still served is not gone: it shows as drift, and the next update makes it whole", async () => {
        const state = await orphaned("whole");
        const found = await read(state);
        expect(found?.drift).toEqual([expect.stringContaining("boot file is gone")]);
        const client = another();
        const changes = await exportLifecycle.diff(client.context, state, state);
        expect(changes).toEqual([expect.objectContaining({ property: "drift", class: "none" })]);
        const session = await iscsi.openSession(iscsi.lunOf(state.connection, CLIENT));
        expect(await client.changeExport(state, {})).toEqual(state);
        await session.do("read 0 512");
        await session.close();
        expect(existsSync(bootFile("whole"))).toBe(true);
        expect(await read(state)).toEqual(state);
        expect((await targetsOf(control())).filter((name) => name.includes(":whole:"))).toHaveLength(1);
        await another().delete(state);
    });

    test("takes another owner and password with it", async () => {
        const state = await orphaned("changed");
        const client = another();
        const chap = { username: "changed", password: "Another-Word-1" };
        const changed = await client.changeExport(state, {
            initiators: [{ iqn: CLIENT, chap }],
            owner: client.owner("renamed"),
        });
        expect(changed.targetName).toBe(state.targetName);
        const lun = iscsi.lunOf(changed.connection, CLIENT);
        expect(await iscsi.login(lun)).toMatchObject({ ok: true });
        expect(await iscsi.login({ ...lun, chap: { ...CHAP, username: "changed" } })).toMatchObject({
            ok: false,
        });
        await another().delete(changed);
    });

    test("is taken out of tgtd when it is deleted, with its account, and not while somebody uses it", async () => {
        const state = await orphaned("deleted");
        const session = await iscsi.openSession(iscsi.lunOf(state.connection, CLIENT));
        const error = await refused(another().delete(state), "in-use");
        expect(error.message).toContain(CLIENT);
        await session.close();
        await another().delete(state);
        expect(await targetsOf(control())).toEqual([]);
        expect(await admin("--mode", "account", "--op", "show")).not.toContain("deleted");
    });

    test("is gone once nothing serves it", async () => {
        const state = await orphaned("gone");
        await host.stopTgtd();
        // Without an answer nothing can be said.
        await refused(read(state), "not-found");
        await refused(another().delete(state), "not-found");
        await host.startTgtd();
        expect(await read(state)).toBeUndefined();
        await another().delete(state);
    });

    test("does not make somebody else's target of the same name ours", async () => {
        const state = await orphaned("theirs");
        await admin("--mode", "target", "--op", "delete", "--force", "--tid", await tidOf(state.targetName));
        await admin("--mode", "target", "--op", "new", "--tid", "77", "--targetname", state.targetName);
        const lun = ["--mode", "logicalunit", "--op", "new", "--tid", "77", "--lun", "1"];
        await admin(...lun, "--backing-store", state.devicePath);
        expect(await read(state)).toBeUndefined();
        await another().delete(state);
        expect(await targetsOf(control())).toEqual([state.targetName]);
        await refused(another().changeExport(state, {}), "not-ours");
        await admin("--mode", "target", "--op", "delete", "--force", "--tid", "77");
    });
});
