import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IN_USE } from "../../../provider/host/plan";
import { SIZE, World, plans, volume, withDisk, withSnapshot } from "../../support/fileScenarios";
import { StepFailed } from "../../support/localHost";
import { type Mounted, mount } from "../../support/mounts";

/** What is open on the host is neither deleted, reverted nor adopted. */

let mounted: Mounted;
beforeAll(() => {
    mounted = mount("plain", 0);
});
afterAll(() => {
    mounted.unmount();
});

async function failure(what: Promise<unknown>): Promise<StepFailed> {
    const error = await what.then(
        () => new Error("it succeeded"),
        (caught: unknown) => caught,
    );
    if (error instanceof StepFailed) return error;
    throw error;
}

async function withWorld(
    prepare: (world: World) => Promise<unknown>,
    then: (world: World) => Promise<unknown>,
) {
    const world = new World(mounted);
    try {
        await prepare(world);
        await then(world);
    } finally {
        await world.dispose();
    }
}

describe.each(["r", "r+"])("open with %j", (flags) => {
    test("a volume is not deleted, and nothing is changed", () =>
        withWorld(volume, async (world) => {
            const descriptor = openSync(`${world.directory}/v.img`, flags);
            try {
                const { ran } = await failure(world.perform(plans.remove()));
                expect(ran.status).toBe(IN_USE);
                expect(ran.stderr).toMatch(new RegExp(`v\\.img is open by .*\\(${String(process.pid)}\\)`));
            } finally {
                closeSync(descriptor);
            }
            expect(world.word("v")).toBe("old");
            const facts = await world.host.observe(world.pool);
            expect(facts.objects.get("v")?.mark?.phase).toBe("ready");
            await world.perform(plans.remove());
            await world.check({});
        }));

    test("nor reverted", () =>
        withWorld(withSnapshot, async (world) => {
            const descriptor = openSync(`${world.directory}/v.img`, flags);
            try {
                expect((await failure(world.perform(plans.revert("t")))).ran.status).toBe(IN_USE);
            } finally {
                closeSync(descriptor);
            }
            expect(world.word("v")).toBe("new");
        }));
});

test("the facts say who", () =>
    withWorld(volume, async (world) => {
        const descriptor = openSync(`${world.directory}/v.img`, "r");
        const facts = await world.host.observe(world.pool);
        closeSync(descriptor);
        expect(facts.objects.get("v")?.openBy).toEqual([expect.stringContaining(`(${String(process.pid)})`)]);
    }));

test("a file that is only mapped is in use", () =>
    withWorld(volume, async (world) => {
        const program = `
import ctypes, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
libc = ctypes.CDLL(None)
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mmap(None, 4096, 1, 1, fd, 0)
os.close(fd)
print("mapped", flush=True)
sys.stdin.read()`;
        if (!existsSync("/usr/bin/python3")) return;
        const child = spawn("python3", ["-c", program, `${world.directory}/v.img`], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        await new Promise((resolve) => child.stdout.once("data", resolve));
        const { ran } = await failure(world.perform(plans.remove()));
        expect(ran.status).toBe(IN_USE);
        expect(ran.stderr).toContain("the kernel or a process that cannot be seen");
        child.stdin.end();
        await new Promise((resolve) => child.once("exit", resolve));
        await world.perform(plans.remove());
    }));

test("a file under a loop device is in use", () =>
    withWorld(volume, async (world) => {
        const device = execFileSync("losetup", ["-f", "--show", `${world.directory}/v.img`])
            .toString()
            .trim();
        try {
            const { ran } = await failure(world.perform(plans.remove()));
            expect(ran.status).toBe(IN_USE);
            expect(ran.stderr).toContain(`open by ${device}`);
            const facts = await world.host.observe(world.pool);
            expect(facts.objects.get("v")?.openBy).toEqual([device]);
        } finally {
            execFileSync("losetup", ["-d", device]);
        }
        await world.perform(plans.remove());
    }));

test("what is open is not adopted, found out by the facts or by the step", () =>
    withWorld(withDisk, async (world) => {
        const early = plans.adopt()(await world.host.context(world.pool));
        const descriptor = openSync(`${world.directory}/disk.raw`, "r");
        try {
            await expect(world.perform(plans.adopt())).rejects.toMatchObject({ code: "in-use" });
            expect((await failure(world.host.runSteps(early.steps))).ran.status).toBe(IN_USE);
        } finally {
            closeSync(descriptor);
        }
        await world.perform(plans.adopt());
        await world.check({ v: { word: "disk", size: SIZE } });
    }));

test("without perl, /proc is looked through", () =>
    withWorld(volume, async (world) => {
        const plan = plans.remove()(await world.host.context(world.pool));
        const descriptor = openSync(`${world.directory}/v.img`, "r");
        const broken = plan.steps.map((step) => ({
            ...step,
            script: { ...step.script, text: step.script.text.replace("perl -e", "perl-is-not-there -e") },
        }));
        try {
            const { ran } = await failure(world.host.runSteps(broken));
            expect(ran.status).toBe(IN_USE);
            expect(ran.stderr).toContain(`(${String(process.pid)})`);
        } finally {
            closeSync(descriptor);
        }
        await world.host.runSteps(broken);
        await world.check({});
    }));
