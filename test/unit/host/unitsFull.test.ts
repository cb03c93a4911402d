import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { observeUnits, parseUnits, startUnit } from "../../../provider/host/units";
import { raw, sh, writeOut } from "../../../provider/sh";
import { type Mounted, mount } from "../../support/mounts";

/** A file system without room: what is written there, and long work whose files are there. */

let mounted: Mounted;

beforeEach(() => {
    mounted = mount("tmpfs", 1);
});
afterEach(() => {
    mounted.unmount();
});

const hog = () => `${mounted.directory}/hog`;
const fill = () => run(`head -c 4M /dev/zero > ${hog()} 2>/dev/null; :`);

function run(script: string) {
    return spawnSync("sh", ["-c", script], { encoding: "utf8" });
}

test("a file that cannot be written whole says why, and goes", () => {
    fill();
    const file = `${mounted.directory}/file`;
    const write = writeOut(sh`printf '%s\\n' ${"x".repeat(20_000)}`, sh`${file}`);
    const { status, stderr } = run(write.text);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/No space left on device/);
    expect(readdirSync(mounted.directory)).toEqual(["hog"]);
    rmSync(hog());
    expect(run(write.text).status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(`${"x".repeat(20_000)}\n`);
});

test("a unit whose file system has run full while it was at work still tells how it ended", async () => {
    const go = `${mounted.directory}/go`;
    const start = startUnit(mounted.directory, {
        name: "work",
        label: "work",
        script: sh`while [ ! -e ${go} ]; do sleep 0.05; done
echo 'dd: No space left on device' >&2; exit 3`,
        progress: raw("echo 0"),
        totalBytes: 1,
    });
    expect(run(start.script.text)).toMatchObject({ status: 0, stderr: "" });
    writeFileSync(go, "");
    fill();
    const facts = () => parseUnits(run(observeUnits(mounted.directory).text).stdout).get("work");
    while (facts()?.state === "running") await sleep(20);
    expect(facts()).toMatchObject({ state: "failed", exitStatus: 3, log: "dd: No space left on device\n" });
});

test("a unit that has no room for its files is not started", () => {
    fill();
    const start = startUnit(mounted.directory, {
        name: "work",
        label: "work",
        script: raw(":"),
        progress: raw("echo 0"),
        totalBytes: 1,
    });
    const { status, stderr } = run(start.script.text);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/No space left on device/);
});
