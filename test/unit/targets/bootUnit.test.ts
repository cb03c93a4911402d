import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** Boot files of exports, and the script with a clock of ours and other limits. */
function bootWith(files: Record<string, string>, ...changes: readonly [string, string][]) {
    mkdirSync(join(directory, "exports/iscsi"), { recursive: true });
    for (const [name, text] of Object.entries(files))
        writeFileSync(join(directory, "exports/iscsi", name), text);
    writeFileSync(join(directory, "uptime"), "7.01 1.0\n");
    let script = BOOT_SCRIPT;
    for (const [from, to] of [["< /proc/uptime", '< "$dir/uptime"'], ...changes] as const) {
        expect(script).toContain(from);
        script = script.replaceAll(from, to);
    }
    writeFileSync(join(directory, "boot-exports"), script);
    return spawnSync("sh", [join(directory, "boot-exports")], { encoding: "utf8" });
}

test("one that is closed, while its volume goes back to a snapshot, is left out, and named", () => {
    const file = (applied: string, name: string) =>
        `#!/bin/sh\n# Export\n#bh mark m\n#bh applied ${applied}\necho ${name} >> '${join(directory, "log")}'\n`;
    const ran = bootWith({
        a: file("c", "a"),
        b: file("1", "b"),
        c: file("C", "c"),
        d: file("0", "d"),
        e: "",
    });
    expect(ran).toMatchObject({
        status: 0,
        stderr: "left closed, since their volumes are going back to snapshots: a c\n",
    });
    expect(readFileSync(join(directory, "log"), "utf8")).toBe("b\nd\n");
});

test("one that hangs is given up, and the others come up; it is tried for three minutes", () => {
    const log = join(directory, "log");
    const ran = bootWith(
        {
            a: "while :; do sleep 1; done\n",
            b: `echo b >> '${log}'; [ ! -e '${log}2' ] || echo 188.00 1.0 > '${join(directory, "uptime")}'; : > '${log}2'\n`,
        },
        ["timeout -k 10 60 sh", "timeout -k 1 1 sh"],
        ["sleep 5", "sleep 0.1"],
    );
    expect(ran).toMatchObject({ status: 1, stderr: "not exported: a\n" });
    expect(readFileSync(log, "utf8")).toBe("b\nb\n");
});

test("a device that cannot be activated in time keeps no export from coming up", () => {
    const log = join(directory, "log");
    const ran = bootWith({ a: `#bh activate sleep\t30\n#bh device /nonexistent\necho a >> '${log}'\n` }, [
        "timeout -k 10 60 $last",
        "timeout -k 1 1 $last",
    ]);
    expect(ran.status).toBe(0);
    expect(readFileSync(log, "utf8")).toBe("a\n");
});

test("without any boot file there is nothing to do", () => {
    writeFileSync(join(directory, "boot-exports"), BOOT_SCRIPT);
    expect(spawnSync("sh", [join(directory, "boot-exports")]).status).toBe(0);
});
