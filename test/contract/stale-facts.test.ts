import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { targetsOf } from "../../tools/embedded-host/tgtd.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CHAP, CLIENT, Client, type ClientOptions, refused } from "../support/client";

/** Exports made and removed by processes that have observed the host before somebody else changed it. */

let host: EmbeddedHost;
let clients: Client[] = [];
const directories: string[] = [];

/** As another process of the provider, of stack `a` unless told otherwise. */
function another(stack = "a", options: ClientOptions = {}): Client {
    const one = new Client(host, { stack, ...options });
    clients.push(one);
    return one;
}

/** One that has observed the host already. */
async function observed(stack: string): Promise<Client> {
    const one = another(stack);
    await one.host.facts();
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
});

afterEach(async () => {
    await Promise.all(clients.map((one) => one.close()));
    clients = [];
});

afterAll(async () => {
    await host.stop();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const control = () => host.tgt?.controlPort ?? 0;
const bootFile = (name: string) => join(host.stateDirectory, "exports/iscsi", name);
const read = async (client: Client, state: ExportState) =>
    (await exportLifecycle.read(client.context, state))?.state;
const initiators = (username: string, password = CHAP.password) => [
    { iqn: CLIENT, chap: { username, password } },
];
const live = async (name: string) => (await targetsOf(control())).filter((one) => one.includes(`:${name}:`));

async function volumes(...names: readonly [stack: string, name: string][]): Promise<void> {
    for (const [stack, name] of names) await another(stack).volume(name);
}

describe("another stack's export of the same name", () => {
    test("made since the host was observed is not overwritten", async () => {
        await volumes(["a", "own-a"], ["b", "own-b"]);
        const [a, b] = [await observed("a"), await observed("b")];
        const made = await a.export("own", "own-a", { initiators: initiators("own-a") });
        const written = readFileSync(bootFile("own"), "utf8");
        const error = await refused(
            b.export("own", "own-b", { initiators: initiators("own-b") }),
            "not-ours",
        );
        expect(error.message).toContain("stack acme/shop/a");
        expect(readFileSync(bootFile("own"), "utf8")).toBe(written);
        expect(await read(another("a"), made)).toEqual(made);
        expect(await live("own")).toEqual([made.targetName]);
        await another("a").delete(made);
    });

    test("made in the place of ours since the host was observed is not deleted", async () => {
        await volumes(["a", "late-a"], ["b", "late-b"]);
        const first = await another("a").export("late", "late-a", { initiators: initiators("late-a") });
        const late = await observed("a");
        await another("a").delete(first);
        const theirs = await another("b").export("late", "late-b", { initiators: initiators("late-b") });
        await refused(late.delete(first), "not-ours");
        expect(existsSync(bootFile("late"))).toBe(true);
        expect(await read(another("b"), theirs)).toEqual(theirs);
        expect(await iscsi.login(iscsi.lunOf(theirs.connection, CLIENT))).toMatchObject({ ok: true });
        await another("b").delete(theirs);
    });

    test("is not told the size of our volume that has grown", async () => {
        await volumes(["a", "grown-a"], ["b", "grown-b"]);
        const volume = await another("a").volume("grown-a");
        const first = await another("a").export("grown", "grown-a", { initiators: initiators("grown-a") });
        const late = await observed("a");
        await another("a").delete(first);
        const theirs = await another("b").export("grown", "grown-b", { initiators: initiators("grown-b") });
        const written = readFileSync(bootFile("grown"), "utf8");
        await late.change(volume, { size: "8MiB" });
        expect(readFileSync(bootFile("grown"), "utf8")).toBe(written);
        await another("b").delete(theirs);
    });
});

describe("a user name of CHAP", () => {
    test("that another export took since the host was observed, with another password, is refused", async () => {
        await volumes(["a", "chap-a"], ["b", "chap-b"]);
        const [a, b] = [await observed("a"), await observed("b")];
        const first = await a.export("chap-a", "chap-a", {
            initiators: initiators("shared", "Password-of-a"),
        });
        const error = await refused(
            b.export("chap-b", "chap-b", { initiators: initiators("shared", "Password-of-b") }),
            "exists",
        );
        expect(error.message).toContain('"shared"');
        expect(existsSync(bootFile("chap-b"))).toBe(false);
        expect(await live("chap-b")).toEqual([]);
        expect(await iscsi.login(iscsi.lunOf(first.connection, CLIENT))).toMatchObject({ ok: true });
        await another("a").delete(first);
    });

    test("that others took since with the same password is shared", async () => {
        await volumes(["a", "same-a"], ["b", "same-b"]);
        const [a, b] = [await observed("a"), await observed("b")];
        const states = [
            await a.export("same-a", "same-a", { initiators: initiators("same") }),
            await b.export("same-b", "same-b", { initiators: initiators("same") }),
        ];
        expect(b.runs).toBe(2);
        for (const state of states) {
            expect(await iscsi.login(iscsi.lunOf(state.connection, CLIENT))).toMatchObject({ ok: true });
        }
        await another("a").delete(states[0] as ExportState);
        expect(await iscsi.login(iscsi.lunOf((states[1] as ExportState).connection, CLIENT))).toMatchObject({
            ok: true,
        });
        await another("b").delete(states[1] as ExportState);
    });

    test("that is free again is free to whoever knew it as taken", async () => {
        await volumes(["a", "free-a"], ["b", "free-b"]);
        const first = await another("a").export("free-a", "free-a", { initiators: initiators("free") });
        const b = await observed("b");
        await another("a").delete(first);
        // A read-back of its own tells it.
        const other = await b.export("free-other", "free-b", { initiators: initiators("free-other") });
        await b.delete(other);
        const state = await b.export("free-b", "free-b", { initiators: initiators("free", "Password-of-b") });
        expect(await iscsi.login(iscsi.lunOf(state.connection, CLIENT))).toMatchObject({ ok: true });
        await another("b").delete(state);
    });
});

describe("a state directory", () => {
    test("that is another one does not make exports gone, nor a second target beside the first", async () => {
        await volumes(["a", "moved"]);
        const shared = { initiators: initiators("moved") };
        const states = [
            await another("a").export("moved", "moved", shared),
            await another("a").export("moved-2", "moved", shared),
        ];
        const directory = mkdtempSync(join(tmpdir(), "bh-state-"));
        directories.push(directory);
        const configuration = { stateDirectory: join(directory, "new") };
        const elsewhere = () => another("a", { configuration });
        for (const state of states) {
            const found = await read(elsewhere(), state);
            expect(found).toEqual({ ...state, drift: [expect.stringContaining("boot file is gone")] });
        }
        // Nor to whoever has lost the state of the program, too.
        await refused(elsewhere().export("moved", "moved", shared), "not-ours");
        const sessions = await Promise.all(
            states.map(({ connection }) => iscsi.openSession(iscsi.lunOf(connection, CLIENT))),
        );
        for (const state of states) expect(await elsewhere().changeExport(state, {})).toEqual(state);
        for (const session of sessions) {
            await session.do("read 0 512");
            await session.close();
        }
        for (const state of states) expect(await read(elsewhere(), state)).toEqual(state);
        expect((await live("moved")).concat(await live("moved-2")).sort()).toEqual(
            states.map(({ targetName }) => targetName).sort(),
        );
        for (const state of states) await elsewhere().delete(state);
        expect(await targetsOf(control())).toEqual([]);
        // What is left of the former one describes nothing that is there.
        for (const { name } of states) rmSync(bootFile(name));
    });

    test("that is lost is written anew, target by target", async () => {
        await volumes(["a", "lost"]);
        const state = await another("a").export("lost", "lost", { initiators: initiators("lost") });
        const aside = `${host.stateDirectory}.aside`;
        renameSync(host.stateDirectory, aside);
        try {
            expect((await read(another("a"), state))?.drift).toEqual([
                expect.stringContaining("boot file is gone"),
            ]);
            expect(await another("a").changeExport(state, {})).toEqual(state);
            expect(await live("lost")).toEqual([state.targetName]);
            await another("a").delete(state);
            expect(await targetsOf(control())).toEqual([]);
        } finally {
            rmSync(host.stateDirectory, { recursive: true, force: true });
            renameSync(aside, host.stateDirectory);
            rmSync(bootFile("lost"), { force: true });
        }
    });
});

describe("a preview names `portals` where", () => {
    async function failures(portal: string) {
        const targets = { iscsi: { helper: "tgt", controlPort: control(), portals: [portal] } };
        const client = another("a", { configuration: { targets } });
        const args = client.exportArgs("portal", "portal", { initiators: initiators("portal") });
        const checked = await exportLifecycle.check(client.context, undefined, { ...args });
        expect(client.warnings).toEqual([]);
        return checked.failures;
    }

    beforeAll(() => volumes(["a", "portal"]));

    test("a program listens on one already", async () => {
        const server = createServer();
        const port = await new Promise<number>((resolve) => {
            server.listen(0, "127.0.0.1", () => {
                resolve((server.address() as { port: number }).port);
            });
        });
        try {
            const [failure, ...more] = await failures(`127.0.0.1:${String(port)}`);
            expect(failure).toMatchObject({ property: "portals" });
            expect(failure?.reason).toContain(`is taken by`);
            expect(failure?.reason).toContain(`(process ${String(process.pid)})`);
            expect(more).toEqual([]);
        } finally {
            server.close();
        }
    });

    test("the host does not have its address", async () => {
        for (const portal of ["192.0.2.1:3260", "[2001:db8::1]:3260"]) {
            const [failure, ...more] = await failures(portal);
            expect(failure).toMatchObject({ property: "portals" });
            expect(failure?.reason).toMatch(/the host has no address .*it has .*correct `portals`/s);
            expect(more).toEqual([]);
        }
    });
});
