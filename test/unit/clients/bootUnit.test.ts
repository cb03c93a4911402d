import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { attachmentUnit, BOOT_SCRIPT } from "../../../provider/clients/bootUnit";

let directory: string;

beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "bh unit-"));
    mkdirSync(join(directory, "attachments"));
    writeFileSync(join(directory, "boot-attachments"), BOOT_SCRIPT);
});

afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
});

const write = (name: string, script: string) => {
    writeFileSync(join(directory, "attachments", name), `cd '${directory}'\n${script}\n`);
};
const run = () => spawnSync("sh", [join(directory, "boot-attachments")], { encoding: "utf8" });

test("the unit is one to systemd, and no limit of time keeps those that come last from being tried", () => {
    const file = join(directory, "blockhost-attachments.service");
    writeFileSync(file, attachmentUnit("/var/lib/blockhost"));
    const { status, stdout, stderr } = spawnSync(
        "systemd-analyze",
        ["verify", "--man=no", "--recursive-errors=no", file],
        { encoding: "utf8" },
    );
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
    expect(attachmentUnit("/var/lib/blockhost")).toContain("\nTimeoutStartSec=infinity\n");
});

test("what fails is told, and the others are attached", () => {
    write("a", "echo a >> log");
    write("b", "exit 1");
    write("c", "echo c >> log");
    expect(run()).toMatchObject({ status: 1, stderr: "not attached: b\n" });
    expect(spawnSync("cat", [join(directory, "log")], { encoding: "utf8" }).stdout).toBe("a\nc\n");
});

test("without any boot file there is nothing to do", () => {
    expect(run()).toMatchObject({ status: 0, stderr: "" });
});

test("others get the lock while it goes on, though never while a boot file runs", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${String(i).padStart(2, "0")}`);
    for (const name of names)
        write(name, `flock -n lock true && exit 1; touch begun; sleep 0.2; touch ${name}`);
    const script = spawn("sh", [join(directory, "boot-attachments")], { stdio: "ignore" });
    const ended = new Promise((resolve) => script.once("exit", resolve));
    await vi.waitFor(() => expect(existsSync(join(directory, "begun"))).toBe(true), { timeout: 10_000 });
    expect(spawnSync("flock", ["-w", "60", join(directory, "lock"), "true"]).status).toBe(0);
    expect(existsSync(join(directory, "n19"))).toBe(false);
    expect(await ended).toBe(0);
});
