import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { CommandFailed, run } from "../../../tools/command.mjs";
import { checkout } from "../../../tools/paths.mjs";
import { withLock } from "../../../tools/prepare/lock.mjs";
import { npmPackagesAreInstalled } from "../../../tools/prepare/npm-packages.mjs";
import { StepFailed, createProgress } from "../../../tools/prepare/progress.mjs";

function screen(terminal: boolean) {
    let text = "";
    return {
        out: { isTTY: terminal, columns: 60, write: (more: string) => (text += more) },
        lines: () => text.split("\n"),
        text: () => text,
    };
}

describe("progress", () => {
    test("is a line when a step begins and one when it ends, where nobody watches", async () => {
        const { out, lines } = screen(false);
        await createProgress(out).step("boiling water", async () => sleep(20));
        expect(lines()).toEqual([
            "… boiling water",
            expect.stringMatching(/^✓ boiling water {2}\(0\.\d s\)$/) as string,
            "",
        ]);
    });

    test("on a terminal shows what is under way, and what each step says about itself", async () => {
        const { out, text } = screen(true);
        const progress = createProgress(out);
        await Promise.all([
            progress.step("water", async (say) => {
                say("80 °C");
                await sleep(250);
            }),
            progress.step("tea", async () => sleep(250)),
        ]);
        expect(text()).toMatch(/\r.*water 0 s \(80 °C\) · tea 0 s/);
        expect(text()).toMatch(/✓ water {2}\(0\.\d s\)\n/);
    });

    test("of a failure shows the end of the log, and what to do, at once", async () => {
        const { out, text } = screen(false);
        const step = createProgress(out).step("boiling water", async () => {
            const command = "echo no power >&2; exit 3";
            const cause = await run("sh", ["-c", command]).catch((error: unknown) => error);
            throw new StepFailed("There is no tea.", "look for the switch.", cause);
        });
        await expect(step).rejects.toThrow("There is no tea.");
        expect(text()).toMatch(/✗ boiling water {2}\(0\.\d s\)\nThere is no tea\.\n/);
        expect(text()).toContain("exited with status 3");
        expect(text()).toContain("    | no power");
        expect(text()).toContain("What to do: look for the switch.");
    });
});

describe("a command", () => {
    test("gives what it printed", async () => {
        expect(await run("sh", ["-c", "cat; echo b >&2"], { input: "a" })).toEqual({
            status: 0,
            stdout: "a",
            stderr: "b\n",
        });
    });

    test("that fails is an error with what it printed, unless that is tolerated", async () => {
        const failure: unknown = await run("sh", ["-c", "echo why; exit 2"]).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(CommandFailed);
        expect(failure).toMatchObject({ status: 2, tail: "why" });
        expect(await run("sh", ["-c", "exit 2"], { tolerate: true })).toMatchObject({ status: 2 });
    });

    test("that is not there is an error", async () => {
        await expect(run("no-such-program", [])).rejects.toThrow(/ENOENT/);
    });
});

describe("a lock", () => {
    test("lets one at a time in, within a process and between processes", async () => {
        const name = `test-${process.pid}`;
        const order: string[] = [];
        const other = `import { withLock } from "${checkout}/tools/prepare/lock.mjs";
            await withLock("${name}", async () => console.log("other"));`;
        let outcome: Promise<unknown> = Promise.resolve();
        await withLock(name, async () => {
            outcome = promisify(execFile)(process.execPath, ["--input-type=module", "-e", other]).then(() =>
                order.push("other process"),
            );
            void withLock(name, async () => order.push("same process"));
            await sleep(500);
            order.push("first");
        });
        await outcome;
        expect(order[0]).toBe("first");
        expect(order.slice(1).sort()).toEqual(["other process", "same process"]);
    });

    test("says that it waits, and is free again after a failure", async () => {
        const name = `failing-${process.pid}`;
        let waited = false;
        const first = withLock(name, async () => {
            await sleep(50);
            throw new Error("oops");
        });
        const second = withLock(
            name,
            async () => "mine",
            () => (waited = true),
        );
        await expect(first).rejects.toThrow("oops");
        expect(await second).toBe("mine");
        expect(waited).toBe(true);
    });
});

test("the npm packages of this checkout are those of its lock file", () => {
    expect(npmPackagesAreInstalled()).toBe(true);
});
