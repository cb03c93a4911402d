import {
    existsSync,
    readFileSync,
    readdirSync,
    readlinkSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExportState } from "../../provider/resources/export";
import type { SnapshotState } from "../../provider/resources/snapshot";
import type { VolumeState } from "../../provider/resources/volume";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { mountFilesystem } from "../../tools/embedded-host/filesystems.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { CHAP, CLIENT, Client, type ClientOptions, HOST, MiB, POOL, id, refused } from "../support/client";
import { Saboteur } from "../support/saboteur";

/**
 * Every operation, stopped before its first step and after each of them; then a new process is asked for the same. It
 * must end as declared, with nothing left over. `BLOCKHOST_FAULTS=full` runs every way to stop at every point.
 */

const FULL = process.env["BLOCKHOST_FAULTS"] === "full";

let host: EmbeddedHost;
let pool: string;
const opened: Client[] = [];

function another(options: ClientOptions = {}): Client {
    const one = new Client(host, options);
    opened.push(one);
    return one;
}

beforeAll(async () => {
    host = await startEmbeddedHost();
    pool = host.poolDirectories[POOL] ?? "";
    await another().volume("first");
});

afterAll(async () => {
    await closeAll();
    await host.stop();
});

async function closeAll(): Promise<void> {
    await Promise.all(opened.splice(0).map((one) => one.close()));
}

const fileOf = (name: string) => join(pool, `${name}.img`);
const fill = (name: string, byte: number, length = 4096) =>
    writeFileSync(fileOf(name), Buffer.alloc(length, byte), { flag: "r+" });
const firstByte = (name: string) => readFileSync(fileOf(name))[0];
const sizeOf = (name: string) => statSync(fileOf(name)).size;

/** Ways to stop, each when the host stands still at the point. */
const stops: Record<string, (saboteur: Saboteur) => Promise<void>> = {
    "the remote shell is killed": async () => {
        expect(host.killShells()).toBeGreaterThan(0);
    },
    "the connection is cut": async () => {
        expect(host.cutConnections()).toBeGreaterThan(0);
        // The next process comes at once, while the host may still be at it.
    },
    "the connection is cut, and the host goes on": async (saboteur) => {
        saboteur.release();
        expect(host.cutConnections()).toBeGreaterThan(0);
    },
    "the power fails": async (saboteur) => {
        await host.powerOff();
        saboteur.release();
        await host.powerOn();
    },
};
const POWER = "the power fails";
const OTHERS = Object.keys(stops).filter((stop) => stop !== POWER);

interface Prepared {
    readonly volume?: VolumeState;
    readonly snapshot?: SnapshotState;
    readonly export?: ExportState;
}

interface Case {
    prepare(client: Client, name: string): Promise<Prepared>;
    act(client: Client, name: string, prepared: Prepared): Promise<unknown>;
    verify(name: string, result: unknown): void | Promise<void>;
    /** Names that carry a mark in the end. */
    readonly marked: (name: string) => readonly string[];
    readonly exported?: boolean;
}

const none = async () => ({});
const required = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("was not prepared");
    return value;
};
/** With tgt a user has one password in all exports. */
const accounts = (name: string, password = CHAP.password) => ({
    initiators: [{ iqn: CLIENT, chap: { username: name, password } }],
});

const cases: Record<string, Case> = {
    "create a volume": {
        prepare: none,
        act: (client, name) => client.volume(name),
        verify: (name) => {
            expect(sizeOf(name)).toBe(4 * MiB);
        },
        marked: (name) => [name],
    },
    "create a volume from a snapshot": {
        prepare: async (client, name) => {
            await client.volume(`${name}-o`);
            fill(`${name}-o`, 3);
            return { snapshot: await client.snapshot(`${name}-s`, `${name}-o`) };
        },
        act: (client, name) => client.volume(name, { source: { snapshot: id(`${name}-s`) }, size: "6MiB" }),
        verify: (name) => {
            expect([sizeOf(name), firstByte(name)]).toEqual([6 * MiB, 3]);
        },
        marked: (name) => [name, `${name}-o`, `${name}-s`],
    },
    "extend a volume": {
        prepare: async (client, name) => {
            const volume = await client.volume(name);
            fill(name, 4);
            return { volume };
        },
        act: (client, _name, { volume }) => client.change(required(volume), { size: "8MiB" }),
        verify: (name) => {
            expect([sizeOf(name), firstByte(name)]).toEqual([8 * MiB, 4]);
        },
        marked: (name) => [name],
    },
    "extend an exported volume": {
        prepare: async (client, name) => {
            const volume = await client.volume(name);
            return { volume, export: await client.export(name, name, accounts(name)) };
        },
        act: async (client, name, { volume, export: one }) => {
            await client.change(required(volume), { size: "8MiB" });
            return client.changeExport(required(one), accounts(name));
        },
        verify: async (_name, result) => {
            const lun = iscsi.lunOf((result as ExportState).connection, CLIENT);
            expect(await iscsi.capacity(lun)).toBe(8 * MiB);
        },
        marked: (name) => [name],
        exported: true,
    },
    "take a snapshot": {
        prepare: async (client, name) => {
            await client.volume(`${name}-o`);
            fill(`${name}-o`, 5);
            return {};
        },
        act: (client, name) => client.snapshot(name, `${name}-o`),
        verify: (name) => {
            expect([sizeOf(name), firstByte(name)]).toEqual([4 * MiB, 5]);
        },
        marked: (name) => [name, `${name}-o`],
    },
    "revert a volume": {
        prepare: async (client, name) => {
            const volume = await client.volume(name);
            fill(name, 1);
            await client.snapshot(`${name}-s`, name);
            fill(name, 2);
            return { volume };
        },
        act: (client, name, { volume }) =>
            client.change(required(volume), { revertTo: { snapshot: id(`${name}-s`), token: "one" } }),
        verify: (name) => {
            expect([name, `${name}.safety`, `${name}-s`].map(firstByte)).toEqual([1, 2, 1]);
        },
        marked: (name) => [name, `${name}-s`, `${name}.safety`],
    },
    "delete a volume": {
        prepare: async (client, name) => {
            const volume = await client.volume(name, { wipe: { method: "zero" } });
            fill(name, 6);
            return { volume };
        },
        act: (client, _name, { volume }) => client.delete(required(volume)),
        verify: (name) => {
            expect(existsSync(fileOf(name))).toBe(false);
        },
        marked: () => [],
    },
    "create an export": {
        prepare: async (client, name) => ({ volume: await client.volume(name) }),
        act: (client, name) => client.export(name, name, accounts(name)),
        verify: (name, result) => expectLogin(result as ExportState, name),
        marked: (name) => [name],
        exported: true,
    },
    "change an export": {
        prepare: async (client, name) => {
            await client.volume(name);
            return { export: await client.export(name, name, accounts(name)) };
        },
        act: (client, name, { export: one }) =>
            client.changeExport(required(one), accounts(name, "Another-Word-1")),
        verify: async (name, result) => {
            await expectLogin(result as ExportState, name);
            const lun = iscsi.lunOf((result as ExportState).connection, CLIENT);
            const old = { ...lun, chap: { username: name, password: CHAP.password } };
            expect(await iscsi.login(old)).toMatchObject({ ok: false });
        },
        marked: (name) => [name],
        exported: true,
    },
    "delete an export": {
        prepare: async (client, name) => {
            await client.volume(name);
            return { export: await client.export(name, name, accounts(name)) };
        },
        act: (client, _name, { export: one }) => client.delete(required(one)),
        verify: async (name) => {
            expect(await iscsi.discover(host.tgt?.portal ?? "", { initiator: CLIENT })).not.toContainEqual(
                expect.stringContaining(`:${name}:`),
            );
        },
        marked: (name) => [name],
        exported: false,
    },
};

async function expectLogin({ connection }: ExportState, username: string): Promise<void> {
    const lun = iscsi.lunOf(connection, CLIENT);
    expect(lun.chap?.username).toBe(username);
    expect(await iscsi.login(lun)).toMatchObject({ ok: true });
    const { chap: _, ...open } = lun;
    expect(await iscsi.login(open)).toMatchObject({ ok: false });
}

function list(directory: string): string[] {
    return existsSync(directory) ? readdirSync(directory) : [];
}

/** Nothing lies about that does not belong to a finished object. */
function expectClean(): void {
    expect(list(join(pool, ".blockhost/work"))).toEqual([]);
    expect(list(join(host.stateDirectory, "units"))).toEqual([]);
    const marks = list(join(pool, ".blockhost/marks"));
    const files = readdirSync(pool).filter((file) => file !== ".blockhost");
    expect(files.map((file) => file.replace(/\.img$/, "")).sort()).toEqual([...marks].sort());
    const targets = list(join(host.stateDirectory, "exports/iscsi"));
    for (const file of targets) {
        const text = readFileSync(join(host.stateDirectory, "exports/iscsi", file), "utf8");
        expect(text).toContain("#bh applied 1");
    }
}

/** As it must be in the end, seen from the host itself and by one more process, which finds nothing to do. */
async function expectDone(what: Case, name: string, prepared: Prepared, result: unknown): Promise<void> {
    await what.verify(name, result);
    for (const marked of what.marked(name)) {
        expect(readlinkSync(join(pool, ".blockhost/marks", marked))).toContain("phase:ready");
    }
    expectClean();
    if (what.exported !== undefined) {
        expect(existsSync(join(host.stateDirectory, "exports/iscsi", name))).toBe(what.exported);
    }
    const once_more = another();
    const again = await what.act(once_more, name, prepared);
    expect(once_more.runs).toBe(1);
    if (result !== undefined) expect(again).toEqual(result);
}

/** Stopped at a point in one way; `false`: there is no such point. */
async function stopAt(title: string, what: Case, point: number, stop: string): Promise<boolean> {
    const name = `x${String(Object.keys(cases).indexOf(title))}-${String(serial++)}`;
    const prepared = await what.prepare(another(), name);
    const saboteur = new Saboteur(point, join(host.directory, `halt-${name}`));
    const first = another({ transport: saboteur.transport });
    const work = what.act(first, name, prepared).then(
        () => "done",
        () => "failed",
    );
    const met = await saboteur.met(work);
    if (met) {
        await stops[stop]?.(saboteur);
        expect(await work, `${stop} at point ${String(point)}`).toBe("failed");
    }
    const second = another();
    const result = await what.act(second, name, prepared);
    saboteur.release();
    await expectDone(what, name, prepared, result);
    await closeAll();
    return met;
}

let serial = 0;

describe.each(Object.entries(cases))("%s", (title, what) => {
    const rest: [string, string[]][] = FULL
        ? OTHERS.map((stop) => [stop, [stop]])
        : [["it is stopped in one way or another", OTHERS]];
    test.each(rest)("is finished by the next run when %s after any step", async (_, ways) => {
        let point = 0;
        const offset = Object.keys(cases).indexOf(title);
        const way = (k: number) => ways[(k + offset) % ways.length] ?? "";
        while (await stopAt(title, what, point, way(point))) point++;
        expect(point).toBeGreaterThan(1);
    });

    test("is finished by the next run when the power fails", async () => {
        let point = FULL ? 0 : 1 + (Object.keys(cases).indexOf(title) % 2);
        while ((await stopAt(title, what, point, POWER)) && FULL) point++;
        // Exports of other cases are down now; what boots a host would bring them back.
        await host.stopTgtd();
        rmSync(join(host.stateDirectory, "exports"), { recursive: true, force: true });
        await host.startTgtd();
    });

    test("finishes by itself when its script ends half-way", async () => {
        const name = `y${String(serial++)}`;
        const prepared = await what.prepare(another(), name);
        const saboteur = new Saboteur(1, "", { text: "exit 1\n", live: true });
        const result = await what.act(another({ transport: saboteur.transport }), name, prepared);
        await expectDone(what, name, prepared, result);
        await closeAll();
    });
});

describe("a long copy", () => {
    test.each(OTHERS)("goes on and is found again when %s", async (stop) => {
        const client = another();
        const name = `long${String(serial++)}`;
        await client.volume(`${name}-o`, { size: "80MiB" });
        fill(`${name}-o`, 8, 80 * MiB);
        await client.snapshot(`${name}-s`, `${name}-o`);
        const act = (one: Client) => one.volume(name, { source: { snapshot: id(`${name}-s`) } });
        // After the last step of its first run the copy is under way.
        for (const point of FULL ? [1, 2, 3, 4, 5] : [3]) {
            const saboteur = new Saboteur(point, join(host.directory, `halt-${name}`));
            const work = act(another({ transport: saboteur.transport })).then(
                () => "done",
                () => "failed",
            );
            const met = await saboteur.met(work);
            if (!FULL) expect(met).toBe(true);
            if (met) {
                await stops[stop]?.(saboteur);
                expect(await work).toBe("failed");
            }
            const made = await act(another());
            saboteur.release();
            expect(readFileSync(made.path).equals(Buffer.alloc(80 * MiB, 8))).toBe(true);
            expectClean();
            await another().delete(made);
        }
        await closeAll();
    });
});

describe("a script cut short in transit", () => {
    test("does nothing, wherever it is cut", async () => {
        for (let part = 1; part < (FULL ? 16 : 5); part++) {
            const name = `cut${String(part)}`;
            const client = another();
            await client.host.facts();
            let passed = 0;
            host.setTap(({ direction, chunk }) => {
                if (direction !== "in") return;
                passed += chunk.length;
                return passed > 500 ? chunk.subarray(0, Math.floor((chunk.length * part) / 16)) : undefined;
            });
            const work = client.volume(name).then(
                () => "done",
                () => "failed",
            );
            await sleep(300);
            expect(existsSync(fileOf(name))).toBe(false);
            expect(existsSync(join(pool, ".blockhost/marks", name))).toBe(false);
            host.setTap(undefined);
            host.cutConnections();
            await work;
            const state = await another().volume(name);
            expect(sizeOf(name)).toBe(4 * MiB);
            await another().delete(state);
            expectClean();
            await closeAll();
        }
    });
});

describe("a host", () => {
    test("out of reach in the middle is an error, and the next run finishes", async () => {
        const saboteur = new Saboteur(1, join(host.directory, "halt-reach"));
        const one = another({ transport: saboteur.transport });
        const work = refused(one.volume("reach"), "unreachable");
        expect(await saboteur.met(work)).toBe(true);
        await host.setReachable("refused");
        host.cutConnections();
        const error = await work;
        expect(error.details.host).toBe(HOST);
        await refused(another().volume("reach"), "unreachable");
        await host.setReachable("yes");
        saboteur.release();
        await another().volume("reach");
        expect(sizeOf("reach")).toBe(4 * MiB);
        expectClean();
    });

    test("lost for a moment: the same operation finds out and finishes", async () => {
        const one = another();
        await one.volume("moment");
        host.cutConnections();
        await one.volume("moment2");
        expect(sizeOf("moment2")).toBe(4 * MiB);
        expect(one.host.counters.connections).toBe(2);
    });

    test("back with another key is not talked to", async () => {
        const one = another();
        await one.volume("key");
        const configuration = { hostKey: host.hostKey };
        host.changeHostKey();
        host.cutConnections();
        const error = await refused(one.volume("key2"), "host-key");
        expect(error.details.hint).toBeTruthy();
        await refused(another({ configuration }).volume("key2"), "host-key");
        expect(existsSync(fileOf("key2"))).toBe(false);
        await another().volume("key2");
    });

    test("with a full disk says so, keeps what it had, and finishes once there is room", async (context) => {
        const small = await mountFilesystem({ type: "tmpfs", sizeMiB: 28 }).catch(() => undefined);
        if (small === undefined) return context.skip();
        try {
            const configuration = {
                pools: { [POOL]: { driver: "file", directory: small.directory, initialize: true } },
            };
            const one = another({ configuration });
            const file = (name: string) => join(small.directory, `${name}.img`);
            const origin = await one.volume("full-o", { size: "8MiB" });
            writeFileSync(file("full-o"), Buffer.alloc(8 * MiB, 7));
            await one.snapshot("full-s", "full-o");
            // A process that has observed already; then somebody else takes the room.
            const two = another({ configuration });
            await two.host.facts();
            writeFileSync(join(small.directory, "hog"), Buffer.alloc(10 * MiB, 1));
            const clone = () =>
                another({ configuration }).volume("full", { source: { volume: id("full-o") } });
            const failure = await refused(
                two.volume("full", { source: { volume: id("full-o") } }),
                "no-space",
            );
            expect(failure.details.hint).toBeTruthy();
            await refused(clone(), "no-space");
            expect(readFileSync(file("full-o")).equals(Buffer.alloc(8 * MiB, 7))).toBe(true);
            rmSync(join(small.directory, "hog"));
            const made = await clone();
            expect(readFileSync(made.path).equals(Buffer.alloc(8 * MiB, 7))).toBe(true);
            expect(list(join(small.directory, ".blockhost/work"))).toEqual([]);
            await another({ configuration }).delete(made);
            expect(origin.sizeBytes).toBe(8 * MiB);
            await closeAll();
        } finally {
            await small.close();
        }
    });
});
