import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { processesMarked } from "../../tools/embedded-host/processes.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { checkout } from "../../tools/paths.mjs";

/** All that a quickstart writes goes below its TMPDIR, and all that it starts inherits the variable. */
let directory: string;
beforeEach(() => {
    directory = temporaryDirectory("quickstart-test");
});
afterEach(() => removeDirectory(directory));

function quickstart(
    args: string[] = [],
    interruptAt?: string,
): Promise<{ status: number | null; output: string }> {
    const child = spawn(process.execPath, ["tools/run.mjs", "quickstart", ...args], {
        cwd: checkout,
        env: { ...process.env, TMPDIR: directory },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const read = (text: string) => {
        output += text;
        if (interruptAt === undefined || !output.includes(interruptAt)) return;
        interruptAt = undefined;
        child.kill("SIGINT");
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    return new Promise((resolve) => child.on("close", (status) => resolve({ status, output })));
}

function expectNothingLeft(): void {
    expect(processesMarked(directory, "TMPDIR")).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.startsWith("blockhost-"))).toEqual([]);
}

test("shows everything, and leaves nothing behind", async () => {
    const { status, output } = await quickstart();
    expect(output).toContain("claims checked");
    expect(output).toMatch(/\d+ operations in \d+ remote runs over \d+ connections/);
    expect(status, output).toBe(0);
    expectNothingLeft();
});

test("Ctrl-C in the middle of an operation cleans up", async () => {
    const { status, output } = await quickstart([], "Volume data creating");
    expect(output).toContain("cleaning up");
    expect(status).toBe(130);
    expectNothingLeft();
});

test("--keep leaves it running, and --stop ends it", async () => {
    const kept = await quickstart(["--keep"]);
    expect(kept.status, kept.output).toBe(0);
    expect(kept.output).toContain("npm run quickstart -- --stop");
    expect(processesMarked(directory, "TMPDIR")).toHaveLength(1);
    const stopped = await quickstart(["--stop"]);
    expect(stopped.status, stopped.output).toBe(0);
    expectNothingLeft();
});
