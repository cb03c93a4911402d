import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Filesystem, mountFilesystem } from "../../tools/embedded-host/filesystems.mjs";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { targetsOf } from "../../tools/embedded-host/tgtd.mjs";
import { signal } from "../../tools/embedded-host/processes.mjs";
import { FACES } from "./support/package";
import { TestStack } from "./support/stack";

/** What is half-made is in the state, and the next run finishes it, or deletes it: no manual step. */

const MiB = 2 ** 20;

/** What the command line of the process has in it that serves a face's resources. */
const PROCESS = { dynamic: "dynamic-provider", plugin: "pulumi-resource-blockhost" };

describe.each(FACES)("$face face:", ({ face, blockhost }) => {
    let disk: Filesystem;
    let host: EmbeddedHost;
    let stack: TestStack;
    let pool: string;
    beforeEach(async () => {
        // Copies byte by byte, so that there is a middle to be stopped in.
        disk = await mountFilesystem({ type: "tmpfs", sizeMiB: 512 });
        pool = join(disk.directory, "fast");
        mkdirSync(pool);
        host = await startEmbeddedHost({ name: "san1", poolDirectories: { fast: pool } });
        stack = await TestStack.create({ hosts: [host] });
    });
    afterEach(async () => {
        await host.stop();
        stack.remove();
        await disk.close();
    });

    const list = (directory: string) => (existsSync(directory) ? readdirSync(directory).sort() : []);
    const fill = (name: string, byte: number, length: number) =>
        writeFileSync(join(pool, `${name}.img`), Buffer.alloc(length, byte), { flag: "r+" });

    /** Data and marks of just these, and no work that is left. */
    function expectOnly(...names: string[]): void {
        expect(list(pool).filter((file) => file.endsWith(".img"))).toEqual(
            names.map((name) => `${name}.img`).sort(),
        );
        expect(list(join(pool, ".blockhost/marks"))).toEqual([...names].sort());
        expect(list(join(pool, ".blockhost/work"))).toEqual([]);
        expect(list(join(host.stateDirectory, "units"))).toEqual([]);
    }

    const place = { host: "san1", pool: "fast" };
    const data = () => new blockhost.Volume("data", { ...place, size: "128MiB" });

    /** The pool runs full between the preview and the copy. */
    const fullInTheMiddle = (fillUp: () => void) => () => {
        const origin = data();
        origin.id.apply(() => {
            fillUp();
            new blockhost.Volume("copy", { ...place, source: { volume: origin } });
        });
        return Promise.resolve();
    };
    const hog = () => join(disk.directory, "hog");
    const takeRoom = () => {
        fill("data", 3, 128 * MiB);
        // The copy is begun, and finds no more room half-way.
        writeFileSync(hog(), Buffer.alloc(320 * MiB, 1));
    };

    test("what failed half-way is recorded, and finished by the next up", async () => {
        const failed = await stack.up(fullInTheMiddle(takeRoom));
        expect(failed.failed).toBe(true);
        expect(failed.output).toContain("no-space");
        const recorded = (await stack.resources())["copy"];
        expect(recorded).toMatchObject({ id: "san1/fast/copy", outputs: { incomplete: true, pool: "fast" } });
        if (face === "dynamic") expect(recorded?.outputs["__provider"]).toBeTruthy();

        const still = await stack.refresh();
        expect(still.failed).toBe(false);
        expect((await stack.resources())["copy"]?.outputs["incomplete"]).toBe(true);

        rmSync(hog());
        const mended = await stack.up(fullInTheMiddle(() => undefined));
        expect(mended).toMatchObject({ failed: false, changes: { copy: "update" } });
        expect(readFileSync(join(pool, "copy.img")).equals(Buffer.alloc(128 * MiB, 3))).toBe(true);
        expectOnly("copy", "data");
        const { incomplete, sizeBytes } = (await stack.resources())["copy"]?.outputs ?? {};
        expect([incomplete, sizeBytes]).toEqual([undefined, 128 * MiB]);
        expect(await stack.up(fullInTheMiddle(() => undefined))).toMatchObject({
            failed: false,
            changes: {},
        });
    });

    test("what failed half-way goes with a destroy", async () => {
        expect((await stack.up(fullInTheMiddle(takeRoom))).failed).toBe(true);
        expect(list(join(pool, ".blockhost/marks"))).toEqual(["copy", "data"]);
        const gone = await stack.destroy();
        expect(gone).toMatchObject({ failed: false, changes: { copy: "delete", data: "delete" } });
        expectOnly();
    });

    const program = () => {
        const origin = data();
        origin.id.apply(() => fill("data", 7, 128 * MiB));
        new blockhost.Volume("copy", { ...place, source: { volume: origin } });
        new blockhost.Export("lun", {
            source: origin,
            protocol: "iscsi",
            initiators: [
                {
                    iqn: "iqn.2024-01.com.example:db1",
                    chap: { username: "db1", password: "Open-Sesame-123" },
                },
            ],
        });
        return Promise.resolve();
    };

    async function expectFinished(): Promise<void> {
        const again = await stack.up(program);
        expect(again, again.output).toMatchObject({ failed: false });
        expectOnly("copy", "data");
        expect(await targetsOf(host.tgt?.controlPort ?? 0)).toHaveLength(1);
        expect(await stack.up(program)).toMatchObject({ failed: false, changes: {} });
        expect(await stack.destroy()).toMatchObject({ failed: false });
        expectOnly();
        expect(await targetsOf(host.tgt?.controlPort ?? 0)).toEqual([]);
    }

    test.each(["data", "copy", "lun"])("Ctrl-C while %s is being made leaves no orphan", async (resource) => {
        const controller = new AbortController();
        await stack.up(program, {
            signal: controller.signal,
            onStep: (operation, name) => {
                if (operation === "create" && name === resource) controller.abort();
            },
        });
        await expectFinished();
    });

    test.each(["data", "copy", "lun"])("the provider killed while %s is being made", async (resource) => {
        const up = await stack.up(program, {
            onStep: (operation, name) => {
                if (operation !== "create" || name !== resource) return;
                for (const pid of stack.processes(PROCESS[face])) signal(pid, "SIGKILL");
            },
        });
        expect(up.failed).toBe(true);
        await expectFinished();
    });
});
