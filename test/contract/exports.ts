import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sh } from "../../provider/sh";
import { noteClosed } from "../../provider/targets/boot";
import { exportLifecycle, type ExportArgs, type ExportState } from "../../provider/resources/export";
import type { TargetCapabilities, Protocol } from "../../provider/targets/types";
import { Client, type ClientOptions, type ConfiguredHost, HOST, MiB, refused } from "../support/client";

/** As whom an initiator tries to get in. */
export interface As {
    /** Another name than the one that exports admit. */
    readonly stranger?: boolean;
    /** Its secrets: the first ones, the second ones (after a change), or none. */
    readonly secrets?: "first" | "second" | "none";
    /** It is the second of the initiators that a {@link ExportBackend} has. */
    readonly other?: boolean;
}

/** An initiator that got in. */
export interface Attached {
    /** Whether a range holds nothing but this byte. */
    holds(offset: number, length: number, byte: number): Promise<boolean>;
    write(offset: number, length: number, byte: number): Promise<void>;
    /** Bytes of the device as the initiator sees it, asked for anew. */
    capacity(): Promise<number>;
    detach(): Promise<void>;
}

/** A storage host with one kind of target, and an initiator that shares no code with us. */
export interface ExportBackend {
    readonly host: ConfiguredHost;
    readonly protocol: Protocol;
    readonly capabilities: TargetCapabilities;
    readonly growth: "online" | "offline";
    /** Name of the initiator. */
    readonly initiator: string;
    /**
     * The initiator, or the second one, as exports declare it. A user name is for targets that know no two passwords for one.
     */
    declares(secrets: "first" | "second", user: string, other?: boolean): ExportArgs["initiators"][number];
    /** @throws when it is not let in */
    attach(exported: ExportState, as: As): Promise<Attached>;
    /** First byte of what is at a path on the host, with what initiators wrote before. */
    firstByte(path: string): Promise<number>;
    fill(path: string, byte: number): Promise<void>;
    /** Takes all targets away, as a restart of what is behind them does. */
    lose(): Promise<void>;
    stop(): Promise<void>;
}

/** The contract of exports, over any target. */
export function describeExports(start: () => Promise<ExportBackend>): void {
    let backend: ExportBackend;
    let client: Client;
    const opened: Client[] = [];

    /** As another process of the provider. */
    function another(options: ClientOptions = {}): Client {
        const one = new Client(backend.host, options);
        opened.push(one);
        return one;
    }

    const args = (name: string, secrets: "first" | "second" = "first"): Partial<ExportArgs> => ({
        protocol: backend.protocol,
        initiators: [backend.declares(secrets, name)],
    });
    const makes = (one: Client, name: string, source: string, more: Partial<ExportArgs> = {}) =>
        one.export(name, source, { ...args(name), ...more });
    const letsIn = async (exported: ExportState, as: As = {}) => {
        const attached = await backend.attach(exported, as).catch(() => undefined);
        await attached?.detach();
        return attached !== undefined;
    };

    beforeAll(async () => {
        backend = await start();
        client = another();
    });

    afterAll(async () => {
        await Promise.all(opened.map((one) => one.close()));
        await backend.stop();
    });

    describe("an export", () => {
        test("lets in who proves who it is, and nobody else", async () => {
            const volume = await client.volume("e1");
            const given = { ...client.exportArgs("e1-x", "e1", args("e1-x")) };
            const { inputs, failures } = await exportLifecycle.check(client.context, undefined, given);
            expect(failures).toEqual([]);
            expect(inputs).toMatchObject({ host: HOST });
            const exported = await makes(client, "e1-x", "e1");
            expect(exported.drift).toEqual([]);
            expect(await letsIn(exported, { secrets: "second" })).toBe(false);
            expect(await letsIn(exported, { secrets: "none" })).toBe(false);
            expect(await letsIn(exported, { stranger: true })).toBe(false);
            const attached = await backend.attach(exported, {});
            try {
                await attached.write(0, 4096, 0x5a);
            } finally {
                await attached.detach();
            }
            expect(await backend.firstByte(volume.path)).toBe(0x5a);
        });

        test("lets each of two initiators in with its own secrets, where the target can do that, and not with the other's", async () => {
            await client.volume("e14");
            const initiators = [
                backend.declares("first", "e14-x"),
                backend.declares("second", "e14-x", true),
            ];
            // Keys of NVMe belong to hosts.
            if (!backend.capabilities.perInitiatorChap && backend.protocol === "iscsi") {
                const error = await refused(makes(client, "e14-x", "e14", { initiators }), "invalid");
                expect(error.message).toMatch(/initiators\[1\]\.chap/);
                return;
            }
            const exported = await makes(client, "e14-x", "e14", { initiators });
            expect(await letsIn(exported, { secrets: "second" })).toBe(false);
            expect(await letsIn(exported, { secrets: "first", other: true })).toBe(false);
            const one = await backend.attach(exported, { secrets: "first" });
            try {
                await one.write(0, 4096, 0x61);
            } finally {
                await one.detach();
            }
            const two = await backend.attach(exported, { secrets: "second", other: true });
            try {
                expect(await two.holds(0, 4096, 0x61)).toBe(true);
            } finally {
                await two.detach();
            }
        });

        test("that an initiator is taken off, which was connected before, lets that one in no more, and the others go on", async () => {
            const fresh = another();
            await fresh.volume("e20");
            const together = backend.capabilities.perInitiatorChap || backend.protocol === "nvme-tcp";
            const both = [
                backend.declares("first", "e20-x"),
                backend.declares(together ? "second" : "first", "e20-x", true),
            ];
            const second: As = { secrets: together ? "second" : "first", other: true };
            let exported = await makes(fresh, "e20-x", "e20", { initiators: both });
            /** Nothing is left to do, and nobody in the way. */
            const settled = async () => {
                const one = another();
                expect((await exportLifecycle.read(one.context, exported))?.state.drift).toEqual([]);
                const same = one.exportArgs("e20-x", "e20", args("e20-x"));
                expect(await exportLifecycle.diff(one.context, exported, { ...exported, ...same })).toEqual(
                    [],
                );
            };
            const without = { initiators: both.slice(0, 1) };
            expect(await letsIn(exported, second)).toBe(true);
            exported = await another().changeExport(exported, without);
            const before = await backend.attach(exported, {});
            try {
                await settled();
            } finally {
                await before.detach();
            }
            exported = await another().changeExport(exported, { initiators: both });
            expect(await letsIn(exported, second)).toBe(true);
            const attached = await backend.attach(exported, {});
            try {
                // Not every target can tell that it has gone.
                exported = await another().changeExport(exported, { ...without, allow: ["session-drop"] });
                await attached.write(0, 4096, 0x33);
                expect(await attached.holds(0, 4096, 0x33)).toBe(true);
                await settled();
            } finally {
                await attached.detach();
            }
            expect(await letsIn(exported, second)).toBe(false);
            await another().delete(exported);
        });

        test("made again is the same, and nobody else's", async () => {
            await client.volume("e2");
            const exported = await makes(client, "e2-x", "e2");
            expect(await makes(client, "e2-x", "e2")).toEqual(exported);
            expect(await makes(another(), "e2-x", "e2")).toEqual(exported);
            await refused(makes(another({ stack: "theirs" }), "e2-x", "e2"), "not-ours");
            const fresh = another();
            expect(
                await exportLifecycle.diff(
                    fresh.context,
                    exported,
                    fresh.exportArgs("e2-x", "e2", args("e2-x")),
                ),
            ).toEqual([]);
            expect((await exportLifecycle.read(fresh.context, exported))?.state).toEqual(exported);
            expect(fresh.runs).toBe(1);
        });

        test("takes other secrets without cutting anybody", async () => {
            await client.volume("e3");
            const exported = await makes(client, "e3-x", "e3");
            const attached = await backend.attach(exported, {});
            try {
                const rotated = await another().changeExport(exported, args("e3-x", "second"));
                await attached.write(0, 4096, 0x21);
                expect(await attached.holds(0, 512, 0x21)).toBe(true);
                expect(rotated.targetName).toBe(exported.targetName);
                await attached.detach();
                expect(await letsIn(rotated, { secrets: "first" })).toBe(false);
                expect(await letsIn(rotated, { secrets: "second" })).toBe(true);
            } finally {
                await attached.detach();
            }
        });

        test("keeps its volume from being deleted, and is not deleted while it is used", async () => {
            const state = await client.volume("e4");
            const exported = await makes(client, "e4-x", "e4");
            expect((await refused(client.delete(state), "in-use")).message).toContain("e4-x");
            const attached = await backend.attach(exported, {});
            try {
                const error = await refused(another().delete(exported), "in-use");
                expect(error.message).toContain(backend.initiator);
                expect(error.message).toContain("session-drop");
            } finally {
                await attached.detach();
            }
            // Nor refused because of who is just leaving.
            const leaving = await backend.attach(exported, {});
            await Promise.all([
                another().delete(exported),
                // Once it has been seen.
                sleep(500).then(() => leaving.detach()),
            ]);
            await another().delete(exported);
            expect(await letsIn(exported)).toBe(false);
            const fresh = another();
            await fresh.delete(state);
            expect(await exportLifecycle.read(another().context, exported)).toBeUndefined();
        });

        test("lost with what is behind it is drift, which an update heals", async () => {
            const fresh = another();
            await fresh.volume("e5");
            const exported = await makes(fresh, "e5-x", "e5");
            await backend.lose();
            expect(await letsIn(exported)).toBe(false);
            const reader = another();
            const found = await exportLifecycle.read(reader.context, exported);
            expect(found?.state.drift).not.toEqual([]);
            const state = found?.state ?? exported;
            const changes = await exportLifecycle.diff(
                reader.context,
                state,
                reader.exportArgs("e5-x", "e5", args("e5-x")),
            );
            expect(changes).toMatchObject([{ property: "drift", kind: "update", class: "none" }]);
            const healed = await reader.changeExport(state, {});
            expect(healed.drift).toEqual([]);
            expect(healed.connection).toEqual(exported.connection);
            expect(await letsIn(healed)).toBe(true);
        });

        test("shows initiators that its volume has grown", async () => {
            const fresh = another();
            const state = await fresh.volume("e6");
            const exported = await makes(fresh, "e6-x", "e6");
            const attached = await backend.attach(exported, {});
            try {
                expect(await attached.capacity()).toBe(4 * MiB);
                if (backend.growth === "offline") {
                    await refused(another().change(state, { size: "8MiB" }), "in-use");
                    await attached.detach();
                }
                await another().change(state, { size: "8MiB" });
                if (backend.growth === "online") {
                    expect(await attached.capacity()).toBe(8 * MiB);
                    await attached.write(6 * MiB, 4096, 0x44);
                    expect(await attached.holds(6 * MiB, 512, 0x44)).toBe(true);
                }
            } finally {
                await attached.detach();
            }
            const again = await backend.attach(exported, {});
            expect(await again.capacity()).toBe(8 * MiB);
            await again.detach();
        });

        test("made anew under the same name never answers to what it was known by", async () => {
            const fresh = another();
            await fresh.volume("e7");
            const first = await makes(fresh, "e7-x", "e7");
            await fresh.delete(first);
            const second = await makes(fresh, "e7-x", "e7");
            expect(second.targetName).not.toBe(first.targetName);
            expect(second.serial).not.toBe(first.serial);
            expect(await letsIn(first)).toBe(false);
            expect(await letsIn(second)).toBe(true);
        });

        test("made beside removals that were not seen has a name of its own", async () => {
            const [late, other] = [another(), another()];
            await late.volume("e13");
            // Both take the host for what it is now; of a name that one of them uses up, the other is told on the host.
            await Promise.all([late.host.facts(), other.host.facts()]);
            const names = new Set<string>();
            for (const one of [other, late, other]) {
                const made = await makes(one, "e13-x", "e13");
                names.add(made.targetName);
                await one.delete(made);
            }
            expect(names.size).toBe(3);
            await late.delete(await late.volume("e13"));
        });

        test("of a snapshot is read-only, where the target can do that", async () => {
            const fresh = another();
            const state = await fresh.volume("e8");
            await backend.fill(state.path, 4);
            await fresh.snapshot("e8-a", "e8");
            if (!backend.capabilities.readOnly) {
                const error = await refused(makes(fresh, "e8-x", "e8-a"), "invalid");
                expect(error.message).toMatch(/readOnly/);
                return;
            }
            const exported = await makes(fresh, "e8-x", "e8-a");
            const attached = await backend.attach(exported, {});
            try {
                expect(await attached.holds(0, 512, 4)).toBe(true);
                await expect(attached.write(0, 512, 1)).rejects.toThrow();
                expect(await attached.holds(0, 512, 4)).toBe(true);
            } finally {
                await attached.detach();
            }
        });

        test("is not gone where the state directory is another one, nor made a second time beside itself", async () => {
            const fresh = another();
            await fresh.volume("e10");
            const exported = await makes(fresh, "e10-x", "e10");
            const { stateDirectory } = backend.host.configuration() as { stateDirectory: string };
            const elsewhere = () => another({ configuration: { stateDirectory: `${stateDirectory}.new` } });
            const found = await exportLifecycle.read(elsewhere().context, exported);
            // Where systemd runs the host, the unit of that state directory is missing as well.
            const drift = found?.state.drift?.filter((line) => !line.startsWith("unit: "));
            expect({ ...found?.state, drift }).toEqual({
                ...exported,
                drift: [expect.stringContaining("boot file is gone")],
            });
            // Nor by whoever has lost the state of the program, too.
            await refused(makes(elsewhere(), "e10-x", "e10"), "not-ours");
            const attached = await backend.attach(exported, {});
            try {
                expect(await elsewhere().changeExport(exported, {})).toEqual(exported);
                await attached.write(0, 4096, 0x0b);
            } finally {
                await attached.detach();
            }
            await elsewhere().delete(exported);
            expect(await letsIn(exported)).toBe(false);
            // What the former one has left is of an export that is not there.
            await another().delete(exported);
            expect(await exportLifecycle.read(another().context, exported)).toBeUndefined();
        });

        test("whose boot file cannot be read is not taken for gone, and goes on being served", async () => {
            const fresh = another();
            await fresh.volume("e15");
            const exported = await makes(fresh, "e15-x", "e15");
            const { stateDirectory } = backend.host.configuration() as { stateDirectory: string };
            const [file, kept] = [
                `${stateDirectory}/exports/${backend.protocol}/e15-x`,
                `${stateDirectory}/kept`,
            ];
            // As another version, or another target for the same protocol, has written it.
            const alter = sh`cp -p ${file} ${kept} && sed -i 's/^#bh declared .*/#bh declared {}/' ${file}`;
            await fresh.host.ask(alter, "alter");
            for (const attempt of [
                () => makes(another(), "e15-x", "e15"),
                () => exportLifecycle.read(another().context, exported),
                () => another().delete(exported),
            ])
                expect((await refused(attempt(), "not-ours")).message).toContain("cannot be read");
            expect(await letsIn(exported)).toBe(true);
            await fresh.host.ask(sh`mv ${kept} ${file}`, "put back");
            await another().delete(exported);
            expect(await letsIn(exported)).toBe(false);
        });

        test("that a revert has closed, and a run cut short has left so, is shown, not made at boot, and opened again", async () => {
            const fresh = another();
            const volume = await fresh.volume("e16");
            const exported = await makes(fresh, "e16-x", "e16");
            const { stateDirectory } = backend.host.configuration() as { stateDirectory: string };
            const place = { stateDirectory, protocol: backend.protocol, name: "e16-x" };
            const close = () => fresh.host.ask(noteClosed(place).script, "note that it is closed");
            const drift = async () => (await exportLifecycle.read(another().context, exported))?.state.drift;
            const atBoot = `${stateDirectory}/boot-exports`;
            const boot = () => fresh.host.ask(sh`[ ! -e ${atBoot} ] || sh ${atBoot} 2>&1`, "make exports");
            await close();
            expect(await drift()).toEqual(["closed: its volume began to go back to a snapshot"]);
            expect(await boot()).toMatch(/^(left closed, .*: e16-x\n)?$/);
            // Its own update opens it, and so does the next of its volume.
            expect(await another().changeExport(exported, {})).toEqual(exported);
            expect(await drift()).toEqual([]);
            expect(await boot()).toBe("");
            expect(await another().due(volume)).toEqual([]);
            await close();
            expect(await another().due(volume)).toEqual([
                "what going back to a snapshot has closed is exported again",
            ]);
            await another().change(volume, {});
            expect(await drift()).toEqual([]);
            expect(await letsIn(exported)).toBe(true);
            await another().delete(exported);
        });

        test("whose host has lost what makes exports at boot has drift, and gets it back", async () => {
            const fresh = another();
            await fresh.volume("e17");
            const exported = await makes(fresh, "e17-x", "e17");
            const { stateDirectory } = backend.host.configuration() as { stateDirectory: string };
            const drift = async () => (await exportLifecycle.read(another().context, exported))?.state.drift;
            for (const script of ["boot-exports", "shutdown-exports"]) {
                const file = `${stateDirectory}/${script}`;
                // Only where systemd runs the host, and the provider is root there.
                const was = await fresh.host.ask(
                    sh`[ ! -e ${file} ] || { rm ${file} && echo yes; }`,
                    "lose it",
                );
                expect((await drift())?.map((line) => line.slice(0, 5))).toEqual(was === "" ? [] : ["unit:"]);
                expect(await another().changeExport(exported, {})).toEqual(exported);
                expect(await drift()).toEqual([]);
                expect(await fresh.host.ask(sh`[ ! -e ${file} ] || echo yes`, "look")).toBe(was);
            }
            await another().delete(exported);
        });

        test("is one remote run once the host is known, and so are its change, its volume's growth and its removal", async () => {
            const fresh = another();
            const volume = await fresh.volume("e9");
            let before = fresh.runs;
            const runs = () => {
                const count = fresh.runs - before;
                before = fresh.runs;
                return count;
            };
            const exported = await makes(fresh, "e9-x", "e9");
            expect(runs(), "made").toBe(1);
            const initiators = [backend.declares("second", "e9-x")];
            const changed = await fresh.changeExport(exported, { initiators });
            expect(runs(), "changed").toBe(1);
            await fresh.change(volume, { size: "8MiB" });
            expect(runs(), "grown").toBe(1);
            await fresh.delete(changed);
            expect(runs(), "removed").toBe(1);
        });

        test("of many at once cuts nobody, and shares runs", async () => {
            const fresh = another();
            const names = Array.from({ length: 8 }, (_, i) => `m${String(i)}`);
            await Promise.all(["m-used", ...names].map((name) => fresh.volume(name)));
            const used = await makes(fresh, "m-used-x", "m-used");
            const attached = await backend.attach(used, {});
            try {
                const before = fresh.runs;
                const made = await Promise.all(names.map((name) => makes(fresh, `${name}-x`, name)));
                expect(fresh.runs - before).toBeLessThanOrEqual(3);
                await attached.write(0, 4096, 0x33);
                await Promise.all(made.map((one) => fresh.delete(one)));
                await attached.write(0, 4096, 0x34);
                expect(await attached.holds(0, 512, 0x34)).toBe(true);
            } finally {
                await attached.detach();
            }
        });
    });
}
