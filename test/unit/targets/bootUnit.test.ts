import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BOOT_SCRIPT, bootUnit, bootUnitName } from "../../../provider/targets/bootUnit";
import { verifyUnit } from "../../support/systemdUnit";

let directory: string;

beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "bh unit-"));
});

afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
});

test("each state directory has a unit of its own", () => {
    expect(bootUnitName("/var/lib/blockhost")).toBe("blockhost-exports.service");
    expect(bootUnitName("/srv/a")).toMatch(/^blockhost-exports-[0-9a-f]{8}\.service$/);
    expect(bootUnitName("/srv/a")).not.toBe(bootUnitName("/srv/b"));
});

test.each(["/var/lib/blockhost", '/srv/a b$c%d\\e"f'])("the unit for %s is one to systemd", (state) => {
    const file = join(directory, "blockhost-exports.service");
    expect(verifyUnit(file, bootUnit(state))).toEqual({ status: 0, said: "" });
});

test("every boot file is run once, those of all protocols", () => {
    const log = join(directory, "log");
    for (const [protocol, name] of [
        ["iscsi", "a"],
        ["iscsi", "b"],
        ["nvme-tcp", "c"],
    ] as const) {
        mkdirSync(join(directory, "exports", protocol), { recursive: true });
        writeFileSync(join(directory, "exports", protocol, name), `echo ${name} >> '${log}'\n`);
        writeFileSync(join(directory, "exports", protocol, `.${name}.new`), "exit 1\n");
    }
    writeFileSync(join(directory, "boot-exports"), BOOT_SCRIPT);
    const run = () => spawnSync("sh", [join(directory, "boot-exports")], { encoding: "utf8" });
    expect(run()).toMatchObject({ status: 0, stderr: "" });
    expect(spawnSync("cat", [log], { encoding: "utf8" }).stdout).toBe("a\nb\nc\n");
});

test("without any boot file there is nothing to do", () => {
    writeFileSync(join(directory, "boot-exports"), BOOT_SCRIPT);
    expect(spawnSync("sh", [join(directory, "boot-exports")]).status).toBe(0);
});
