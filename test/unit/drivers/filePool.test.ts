import {
    existsSync,
    mkdirSync,
    readdirSync,
    readlinkSync,
    renameSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { recordFile } from "../../../provider/drivers/file/layout";
import { BlockhostError } from "../../../provider/errors";
import { GUARD_FAILED } from "../../../provider/host/plan";
import { SIZE, World, of, plans, volume, withDisk } from "../../support/fileScenarios";
import { StepFailed } from "../../support/localHost";
import { type Mounted, mount } from "../../support/mounts";

/** A pool's identity, what guards notice, and what an adopter may meet. */

let mounted: Mounted;
let world: World;
beforeEach(() => {
    mounted = mount("plain", 0);
    world = new World(mounted);
});
afterEach(async () => {
    await world.dispose();
    mounted.unmount();
});

const problem = async () => (await world.host.observe(world.pool)).problem?.summary;
const refused = () => expect(world.perform(plans.create())).rejects.toBeInstanceOf(BlockhostError);

describe("a pool that is not there is a problem, never an empty pool", () => {
    test("missing", async () => {
        await volume(world);
        renameSync(world.directory, `${world.directory}.away`);
        expect(await problem()).toMatch(/does not exist/);
        await refused();
        renameSync(`${world.directory}.away`, world.directory);
        expect(await problem()).toBeUndefined();
    });
    test("not mounted: the empty mount point is not made a new pool, whatever `initialize` says", async () => {
        await volume(world);
        renameSync(world.directory, `${world.directory}.away`);
        mkdirSync(world.directory);
        expect(await problem()).toMatch(/has lost its identity/);
        await refused();
        expect(readdirSync(world.directory)).toEqual([]);
        rmSync(`${world.directory}.away`, { recursive: true });
    });
    test("another pool is mounted", async () => {
        await volume(world);
        rmSync(`${world.directory}/.blockhost/pool`);
        symlinkSync(
            "blockhost:1&kind:pool&owner:a/b/c/d/e&gen:1111222233334444&phase:ready",
            `${world.directory}/.blockhost/pool`,
        );
        expect(await problem()).toMatch(
            /holds pool 1111222233334444, but this host knows pool 0123456789abcdef there/,
        );
    });
    test("a file in place of the directory", async () => {
        rmSync(world.directory, { recursive: true });
        writeFileSync(world.directory, "");
        expect(await problem()).toMatch(/is not a directory/);
    });
    test("a directory with files is not made a pool", async () => {
        writeFileSync(`${world.directory}/.hidden`, "");
        expect(await problem()).toMatch(/is not a pool and not empty/);
    });
    test("without `initialize` an empty directory is not made a pool", async () => {
        const pool = world.host.pool("p", { directory: world.directory });
        expect((await world.host.observe(pool)).problem?.summary).toMatch(/is empty and not a pool/);
    });
    test("lost+found does not matter", async () => {
        mkdirSync(`${world.directory}/lost+found`);
        await world.perform(plans.create());
        expect(await problem()).toBeUndefined();
    });
    test("a pool that came from another host is remembered at the first change", async () => {
        await volume(world);
        rmSync(recordFile(world.pool));
        expect(await problem()).toBeUndefined();
        await world.perform(plans.extend(2 * SIZE));
        expect(readlinkSync(recordFile(world.pool))).toBe("0123456789abcdef");
    });
    test("a directory that cannot be read completely", async () => {
        if (process.getuid?.() !== 0) return;
        await volume(world);
        world.host.shell = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh"];
        await world.host.sh(":");
        expect(await problem()).toMatch(/cannot be read|does not exist/);
    });
});

test("several creations in a new pool's first run make one pool", async () => {
    const context = await world.host.context(world.pool);
    const first = plans.create()(context);
    const second = {
        ...first,
        steps: first.steps.map((step) => ({
            ...step,
            script: {
                ...step.script,
                text: step.script.text
                    .replaceAll("v.img", "w.img")
                    .replaceAll("marks/v", "marks/w")
                    .replaceAll("gen:0123456789abcdef", "gen:9999999999999999"),
            },
        })),
    };
    await world.host.runSteps([...first.steps, ...second.steps]);
    const facts = await world.host.observe(world.pool);
    expect(facts.id).toBe("0123456789abcdef");
    expect([...facts.objects.keys()].sort()).toEqual(["v", "w"]);
});

test("a directory behind a symbolic link is named by where it really is", async () => {
    const link = `${mounted.directory}/link`;
    symlinkSync(world.directory, link);
    const pool = world.host.pool("p", { directory: link, initialize: true });
    await world.host.perform(pool, plans.create());
    const facts = await world.host.observe(pool);
    expect(facts.objects.get("v")?.path).toBe(`${world.directory}/v.img`);
});

test("a directory with a name that means harm", async () => {
    const directory = `${mounted.directory}/a b'$(touch pwned)*?[x]"\\`;
    mkdirSync(directory);
    const pool = world.host.pool("p", { directory, initialize: true });
    await world.host.perform(pool, plans.create());
    await world.host.perform(pool, plans.snapshot());
    await world.host.perform(pool, plans.revert("t"));
    await world.host.perform(pool, plans.remove());
    expect(readdirSync(directory).sort()).toEqual([".blockhost", "s.img"]);
    expect(existsSync("/pwned")).toBe(false);
});

describe("guards notice what changed after the facts were read", () => {
    const staleRun = async (
        planner: typeof plans.create extends () => infer P ? P : never,
        change: () => unknown,
    ) => {
        const plan = planner(await world.host.context(world.pool));
        change();
        const before = await world.host.sh(
            `cd '${world.directory}' && ls -lA --full-time . .blockhost/marks`,
        );
        const error: unknown = await world.host.runSteps(plan.steps).catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(StepFailed);
        expect((error as StepFailed).ran.status).toBe(GUARD_FAILED);
        expect(await world.host.sh(`cd '${world.directory}' && ls -lA --full-time . .blockhost/marks`)).toBe(
            before,
        );
    };
    const setMark = (text: string) => {
        rmSync(`${world.directory}/.blockhost/marks/v`, { force: true });
        symlinkSync(text, `${world.directory}/.blockhost/marks/v`);
    };
    beforeEach(() => volume(world));

    test("another mark", () =>
        staleRun(plans.extend(2 * SIZE), () => {
            setMark("blockhost:1&kind:volume&owner:a/b/c/d/e&gen:1&phase:ready");
        }));
    test("no mark", () =>
        staleRun(plans.remove(), () => {
            rmSync(`${world.directory}/.blockhost/marks/v`);
        }));
    test("no data", () =>
        staleRun(plans.extend(2 * SIZE), () => {
            rmSync(`${world.directory}/v.img`);
        }));
    test("another pool", () =>
        staleRun(plans.remove(), () => {
            rmSync(`${world.directory}/.blockhost/pool`);
            symlinkSync(
                "blockhost:1&kind:pool&owner:a/b/c/d/e&gen:2&phase:ready",
                `${world.directory}/.blockhost/pool`,
            );
        }));
    test("a mark or data under the new name", async () => {
        await staleRun(plans.clone(SIZE, "v"), () => {
            symlinkSync("x", `${world.directory}/.blockhost/marks/c`);
        });
        rmSync(`${world.directory}/.blockhost/marks/c`);
        await staleRun(plans.clone(SIZE, "v"), () => {
            writeFileSync(`${world.directory}/c.img`, "x");
        });
        rmSync(`${world.directory}/c.img`);
        await staleRun(plans.clone(SIZE, "v"), () => {
            symlinkSync("nowhere", `${world.directory}/c.img`);
        });
    });
    test("a pool that has gone", async () => {
        const plan = plans.remove()(await world.host.context(world.pool));
        renameSync(world.directory, `${world.directory}.away`);
        const error: unknown = await world.host.runSteps(plan.steps).catch((caught: unknown) => caught);
        expect((error as StepFailed).ran.status).toBe(GUARD_FAILED);
        renameSync(`${world.directory}.away`, world.directory);
    });
});

test("a source that grew after the facts were read gives a conflict, then the right answer", async () => {
    await volume(world);
    const plan = plans.clone(SIZE, "v")(await world.host.context(world.pool));
    await world.perform(plans.extend(2 * SIZE));
    await expect(world.host.runSteps(plan.steps)).rejects.toMatchObject({ ran: { status: GUARD_FAILED } });
    await expect(world.perform(plans.clone(SIZE, "v"))).rejects.toMatchObject({ code: "invalid" });
    await world.perform(plans.clone(2 * SIZE, "v"));
    await world.check({ v: of("old", 2 * SIZE), c: of("old", 2 * SIZE) });
});

describe("whether extents can be shared", () => {
    const note = () => readlinkSync(`${world.directory}/.blockhost/reflink`);
    const setNote = (text: string | undefined) => {
        rmSync(`${world.directory}/.blockhost/reflink`);
        if (text !== undefined) symlinkSync(text, `${world.directory}/.blockhost/reflink`);
    };
    test("a note that is missing is made", async () => {
        await volume(world);
        const before = note();
        setNote(undefined);
        expect(await world.perform(plans.snapshot())).toBe(2);
        expect(note()).toBe(before);
    });
    test("a note that is wrong is corrected, and the next plan copies", async () => {
        const tmpfs = mount("tmpfs", 16);
        const other = new World(tmpfs);
        try {
            await volume(other);
            rmSync(`${other.directory}/.blockhost/reflink`);
            symlinkSync("yes", `${other.directory}/.blockhost/reflink`);
            await expect(other.perform(plans.snapshot(true))).rejects.toMatchObject({
                ran: { status: GUARD_FAILED },
            });
            await expect(other.perform(plans.snapshot(true))).rejects.toMatchObject({ code: "in-use" });
            await other.perform(plans.snapshot());
            await other.check({ v: of("old"), s: of("old") });
        } finally {
            await other.dispose();
            tmpfs.unmount();
        }
    });
    test.each([
        ["xfs", "yes"],
        ["xfs-without-reflink", "no"],
        ["ext4", "no"],
        ["tmpfs", "no"],
    ] as const)("on %s: %s", async (kind, expected) => {
        const fs = mount(kind, 400);
        const other = new World(fs);
        try {
            await other.perform(plans.create());
            expect((await other.host.observe(other.pool)).extra["reflink"]).toBe(expected);
        } finally {
            await other.dispose();
            fs.unmount();
        }
    });
});

describe("adopt", () => {
    test.each(["-rf", "two words.raw", "it's $(touch pwned).img", "ünï.raw", "x*.raw"])(
        "a file called %j",
        async (name) => {
            await withDisk(world);
            renameSync(`${world.directory}/disk.raw`, `${world.directory}/${name}`);
            await world.perform(plans.adopt(name));
            await world.check({ v: of("disk") });
            expect(existsSync("/pwned")).toBe(false);
        },
    );
    test("a file that is called as it shall be", async () => {
        await withDisk(world);
        renameSync(`${world.directory}/disk.raw`, `${world.directory}/v.img`);
        await world.perform(plans.adopt("v.img"));
        await world.check({ v: of("disk") });
    });
    test("released and adopted again, it is the same data", async () => {
        await volume(world);
        await world.perform(plans.release());
        await world.perform(plans.adopt("v.img"));
        await world.check({ v: of("old") });
    });
    test("a name with a newline cannot be seen, nor adopted", async () => {
        await withDisk(world);
        renameSync(`${world.directory}/disk.raw`, `${world.directory}/a\nb`);
        await expect(world.perform(plans.adopt("a\nb"))).rejects.toMatchObject({ code: "not-found" });
        rmSync(`${world.directory}/a\nb`);
    });
});

test("a snapshot taken without shared extents is as durable as its volume, and read-only", async () => {
    await volume(world);
    await world.perform(plans.snapshot());
    expect(await world.host.sh(`stat -c %a '${world.directory}/s.img' '${world.directory}/v.img'`)).toBe(
        "400\n600\n",
    );
    const settle = world.host.driver.settle?.(world.pool);
    await world.host.sh(settle?.text ?? "exit 1");
});
