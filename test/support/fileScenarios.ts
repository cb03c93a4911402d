import {
    closeSync,
    existsSync,
    mkdirSync,
    openSync,
    readFileSync,
    readdirSync,
    rmSync,
    statSync,
    truncateSync,
    writeFileSync,
    writeSync,
} from "node:fs";
import { expect } from "vitest";
import { fileDriver } from "../../provider/drivers/file";
import type { FileOptions } from "../../provider/drivers/file/options";
import type { PoolRef, Wipe } from "../../provider/drivers/types";
import { mark, markOf, owner } from "./fileFacts";
import { LocalHost, type Planner } from "./localHost";
import type { Mounted } from "./mounts";

/** Every operation of the file driver on a real pool, with what has to be there before and after. */

export const KiB = 1024;
/** One that stays below what is copied within a run. */
export const SIZE = 256 * KiB;

export type Plans = Planner<FileOptions>;

const vMark = mark();
const noWipe: Wipe = { method: "none", limitBytes: 0, ionice: "idle" };
const zero: Wipe = { ...noWipe, method: "zero" };
const snapMark = markOf("snapshot", "snap", "bbbbbbbbbbbbbbbb");
const cloneMark = markOf("volume", "clone", "cccccccccccccccc");

export const plans = {
    create:
        (sizeBytes = SIZE): Plans =>
        (c) =>
            fileDriver.create(c, { name: "v", mark: vMark, sizeBytes }),
    extend:
        (sizeBytes: number): Plans =>
        (c) =>
            fileDriver.extend(c, { name: "v", mark: vMark, sizeBytes }),
    remove:
        (wipe = noWipe): Plans =>
        (c) =>
            fileDriver.remove(c, { name: "v", mark: vMark, wipe }),
    removeSnapshot: (): Plans => (c) => fileDriver.remove(c, { name: "s", mark: snapMark, wipe: noWipe }),
    removeClone: (): Plans => (c) => fileDriver.remove(c, { name: "c", mark: cloneMark, wipe: noWipe }),
    snapshot:
        (inUse = false): Plans =>
        (c) =>
            fileDriver.snapshot(c, { name: "s", mark: snapMark, volume: "v", inUse }),
    clone:
        (sizeBytes = SIZE, from = "s"): Plans =>
        (c) =>
            fileDriver.create(c, {
                name: "c",
                mark: cloneMark,
                sizeBytes,
                from: { name: from, inUse: false },
            }),
    revert:
        (token: string): Plans =>
        (c) =>
            fileDriver.revert(c, { name: "v", mark: mark({ extra: { token } }), snapshot: "s" }),
    adopt:
        (reference = "disk.raw"): Plans =>
        (c) =>
            fileDriver.adopt(c, { reference, name: "v", mark: vMark }),
    release: (): Plans => (c) => fileDriver.release(c, { name: "v", mark: vMark }),
    remark: (): Plans => (c) =>
        fileDriver.remark(c, {
            name: "v",
            from: vMark,
            to: mark({ owner: { ...owner, resource: "renamed" } }),
        }),
};

export type Files = Readonly<Record<string, { word: string; size: number }>>;

export interface Scenario {
    readonly name: string;
    readonly prepare: readonly ((world: World) => Promise<unknown>)[];
    readonly plan: Plans;
    /** Files of ours with their content: a word at the beginning, the rest zeros. */
    readonly files: Files;
    readonly provisioning?: "thin" | "thick";
    /** What must hold after any stop. */
    readonly always?: (world: World) => void;
}

/** A pool on a file system, with files of somebody else's in it. */
export class World {
    readonly host = new LocalHost(fileDriver);
    readonly directory: string;
    readonly pool: PoolRef<FileOptions>;
    private foreign = false;

    constructor(mounted: Mounted, provisioning: "thin" | "thick" = "thin") {
        this.directory = `${mounted.directory}/pool`;
        rmSync(this.directory, { recursive: true, force: true });
        mkdirSync(this.directory);
        this.pool = this.host.pool("p", { directory: this.directory, provisioning, initialize: true });
    }

    /** Files of others, with names that mean harm. They come after the pool was made, as it has to be empty then. */
    addForeign(): void {
        this.foreign = true;
        for (const name of HOSTILE) writeFileSync(`${this.directory}/${name}`, "theirs");
    }

    /** Puts a word at the beginning of an object's data. */
    write(name: string, word: string): void {
        writeAt(`${this.directory}/${name}.img`, word);
    }

    word(name: string): string {
        return readFileSync(`${this.directory}/${name}.img`).subarray(0, 16).toString().replace(/\0+$/, "");
    }

    perform(plan: Plans): Promise<number> {
        return this.host.perform(this.pool, plan);
    }

    /** Everything as it should be at the end, and nothing else. */
    async check(files: Files): Promise<void> {
        for (const [name, { word, size }] of Object.entries(files)) {
            const content = readFileSync(`${this.directory}/${name}.img`);
            expect(content.length, name).toBe(size);
            expect(content.subarray(0, word.length).toString(), name).toBe(word);
            expect(content.subarray(word.length).equals(Buffer.alloc(size - word.length)), name).toBe(true);
        }
        const ours = Object.keys(files).map((name) => `${name}.img`);
        const present = readdirSync(this.directory).filter((name) => name !== ".blockhost");
        expect(present.sort()).toEqual([...ours, ...(this.foreign ? HOSTILE : [])].sort());
        for (const left of [`${this.directory}/.blockhost/work`, `${this.host.stateDirectory}/units`]) {
            expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
        }
        const facts = await this.host.observe(this.pool);
        expect(facts.problem).toBeUndefined();
        for (const object of facts.objects.values()) {
            expect(object.mark?.phase ?? "ready", object.name).toBe("ready");
            if (object.mark !== undefined) expect(object.sizeBytes, object.name).toBeDefined();
        }
    }

    /** Names, content, times, modes and links of all that is not ours. */
    foreignState(): unknown {
        if (!this.foreign) return [];
        return HOSTILE.map((name) => {
            const { size, mtimeMs, mode, nlink, ino } = statSync(`${this.directory}/${name}`);
            return [name, size, mtimeMs, mode, nlink, ino, readFileSync(`${this.directory}/${name}`, "utf8")];
        });
    }

    /** Keeps the pool and the host's own files as they are now, for {@link restore}. */
    async keep(): Promise<void> {
        await this.host.sh(`rm -rf '${this.directory}.kept' '${this.host.root}/kept'
cp -a '${this.directory}' '${this.directory}.kept' && cp -a '${this.host.stateDirectory}' '${this.host.root}/kept'`);
    }

    async restore(): Promise<void> {
        await this.host.sh(`rm -rf '${this.directory}' '${this.host.stateDirectory}'
cp -a '${this.directory}.kept' '${this.directory}' && cp -a '${this.host.root}/kept' '${this.host.stateDirectory}'`);
    }

    async dispose(): Promise<void> {
        await this.host.dispose();
        rmSync(this.directory, { recursive: true, force: true });
        rmSync(`${this.directory}.kept`, { recursive: true, force: true });
    }
}

function writeAt(file: string, word: string): void {
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, word);
    closeSync(descriptor);
}

/** File names that tear at shells, parsers and frames. */
export const HOSTILE: readonly string[] = [
    "theirs.img",
    "theirs two words.img",
    "-theirs.img",
    "-rf theirs",
    "theirs\nend 0\no f 1 1 1 1.0 1 .img",
    "theirs'; touch pwned; '.img",
    "theirs$(touch pwned)`touch pwned`.img",
    "theirs*?[a].img",
    "theirs\\n.img",
    "theirs\u00fc\u{1f4be}.img",
    "v.img.theirs",
];

export async function volume(world: World): Promise<void> {
    await world.perform(plans.create());
    world.addForeign();
    world.write("v", "old");
}

export async function withSnapshot(world: World): Promise<void> {
    await volume(world);
    await world.perform(plans.snapshot());
    world.write("v", "new");
}

export async function withSafety(world: World): Promise<void> {
    await withSnapshot(world);
    await world.perform(plans.revert("t0"));
    world.write("v", "newer");
}

export async function withDisk(world: World): Promise<void> {
    await world.perform(plans.create());
    await world.perform(plans.remove());
    world.addForeign();
    const disk = `${world.directory}/disk.raw`;
    writeFileSync(disk, "");
    truncateSync(disk, SIZE);
    writeAt(disk, "disk");
}

export const of = (word: string, size = SIZE) => ({ word, size });
const neverWithout = (world: World) => {
    expect(["new", "newer", "old"]).toContain(world.word("v"));
};

export const SCENARIOS: readonly Scenario[] = [
    { name: "make a pool and create", prepare: [], plan: plans.create(), files: { v: of("") } },
    { name: "create thick", prepare: [], provisioning: "thick", plan: plans.create(), files: { v: of("") } },
    { name: "extend", prepare: [volume], plan: plans.extend(2 * SIZE), files: { v: of("old", 2 * SIZE) } },
    {
        name: "extend thick",
        provisioning: "thick",
        prepare: [volume],
        plan: plans.extend(2 * SIZE),
        files: { v: of("old", 2 * SIZE) },
    },
    { name: "snapshot", prepare: [volume], plan: plans.snapshot(), files: { v: of("old"), s: of("old") } },
    {
        name: "volume from snapshot",
        prepare: [withSnapshot],
        plan: plans.clone(),
        files: { v: of("new"), s: of("old"), c: of("old") },
    },
    {
        name: "larger clone, thick",
        provisioning: "thick",
        prepare: [withSnapshot],
        plan: plans.clone(2 * SIZE, "v"),
        files: { v: of("new"), s: of("old"), c: of("new", 2 * SIZE) },
    },
    {
        name: "revert",
        prepare: [withSnapshot, (world) => world.perform(plans.extend(2 * SIZE))],
        plan: plans.revert("t1"),
        files: { v: of("old", 2 * SIZE), s: of("old"), "v.safety": of("new", 2 * SIZE) },
        always: neverWithout,
    },
    {
        name: "revert again",
        prepare: [withSafety],
        plan: plans.revert("t1"),
        files: { v: of("old"), s: of("old"), "v.safety": of("newer") },
        always: neverWithout,
    },
    { name: "delete", prepare: [volume], plan: plans.remove(), files: {} },
    {
        name: "wipe and delete with safety snapshot",
        prepare: [withSafety],
        plan: plans.remove(zero),
        files: { s: of("old") },
    },
    {
        name: "delete a snapshot",
        prepare: [withSnapshot],
        plan: plans.removeSnapshot(),
        files: { v: of("new") },
    },
    { name: "adopt", prepare: [withDisk], plan: plans.adopt(), files: { v: of("disk") } },
    {
        name: "release",
        prepare: [withSafety],
        plan: plans.release(),
        files: { v: of("newer"), s: of("old"), "v.safety": of("new") },
    },
    {
        name: "remark",
        prepare: [withSafety],
        plan: plans.remark(),
        files: { v: of("newer"), s: of("old"), "v.safety": of("new") },
    },
];
