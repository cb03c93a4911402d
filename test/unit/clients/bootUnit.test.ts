import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
    attachmentUnit,
    attachmentUnitName,
    BOOT_SCRIPT,
    installUnit,
} from "../../../provider/clients/bootUnit";
import { verifyUnit } from "../../support/systemdUnit";
import { Made } from "./made";

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
const log = () => readFileSync(join(directory, "log"), "utf8").split("\n").slice(0, -1);
const run = (shell = ["sh"]) =>
    spawnSync("env", [...shell, join(directory, "boot-attachments")], { encoding: "utf8" });

test("the unit is one to systemd", () => {
    const file = join(directory, "blockhost-attachments.service");
    for (const again of [true, false])
        expect(verifyUnit(file, attachmentUnit("/var/lib/blockhost", again))).toEqual({
            status: 0,
            said: "",
        });
});

test.each([
    ["systemd 252 (252.39-1~deb12u1)", true],
    ["systemd 244 (244)", true],
    ["systemd 239 (239-82.el8_10.5)", false],
    ["", true],
])("is not said to be tried again where systemd cannot read that: %s", (says, again) => {
    const made = new Made();
    made.file("run/systemd/system/x");
    made.file("etc/systemd/system/x");
    const functions = `systemctl() { echo '${says}'; echo '+PAM'; }\nid() { echo 0; }`;
    const { script } = installUnit(join(directory, "state"));
    mkdirSync(join(directory, "state"));
    expect(made.run(script.text, functions)).toEqual({ status: 0, stdout: "", stderr: "" });
    const unit = readFileSync(
        join(made.root, "etc/systemd/system", attachmentUnitName(join(directory, "state"))),
        "utf8",
    );
    expect(unit.includes("\nRestart=on-failure\n")).toBe(again);
    expect(unit).toContain("\nExecStart=");
    made.remove();
});

test("what fails is told, and the others are attached", () => {
    write("a", "echo a >> log");
    write("b", "exit 1");
    write("c", "echo c >> log");
    expect(run()).toMatchObject({ status: 1, stderr: "not attached: b\n" });
    expect(log().sort()).toEqual(["a", "c"]);
});

/** It reads the time of a file. */
function withClock(): string {
    const uptime = join(directory, "uptime");
    const text = BOOT_SCRIPT.replaceAll("< /proc/uptime", '< "${0%/*}/uptime"');
    expect(text).not.toBe(BOOT_SCRIPT);
    writeFileSync(join(directory, "boot-attachments"), text);
    writeFileSync(uptime, "0.52 0.10\n");
    return uptime;
}

test("a trial ends after ten minutes, and another begins elsewhere: those that come last are tried, too", () => {
    const uptime = withClock();
    for (const name of ["a", "b", "c"]) write(name, `echo ${name} >> log; echo 700.01 1.0 > uptime`);
    expect(run()).toMatchObject({ status: 1, stderr: "not attached: (and others)\n" });
    expect(log()).toEqual(["a"]);
    writeFileSync(uptime, "0.52 0.10\n");
    write("a", "echo a >> log");
    expect(run().status).toBe(1);
    expect(log()).toEqual(["a", "a", "b"]);
    writeFileSync(uptime, "701.99 0.10\n");
    expect(run()).toMatchObject({ status: 0, stderr: "" });
    expect(log().slice(3)).toEqual(["c", "a", "b"]);
});

test.each([[["sh"]], [["bash"]], [["busybox", "sh"]]])(
    "what is on portals where one has failed late is tried after all others: %j",
    (shell) => {
        withClock();
        const slow = "read -r s rest < uptime; echo $((${s%.*} + 30)).5 1.0 > uptime; exit 1";
        for (const name of ["d1", "d2", "d3"])
            write(name, `portals='10.0.0.*:3260'\necho ${name} >> log\n${slow}`);
        // Refused at once: its storage host is there.
        for (const name of ["l1", "l2"])
            write(name, `portals='10.0.0.2:3260 [::1]:3260'\necho ${name} >> log\n[ ${name} != l1 ]`);
        write("other", `echo other >> log; ${slow}`);
        write("others", "echo others >> log");
        expect(run(shell)).toMatchObject({ status: 1, stderr: "not attached: d1 l1 other d2 d3\n" });
        expect(log()).toEqual(["d1", "l1", "l2", "other", "others", "d2", "d3"]);
    },
);

test("without any boot file there is nothing to do", () => {
    expect(run()).toMatchObject({ status: 0, stderr: "" });
});

test("others get the lock while it goes on, though never while a boot file runs", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${String(i)}`);
    for (const name of names)
        write(name, `flock -n lock true && exit 1; touch begun; sleep 0.2; touch ${name}`);
    const script = spawn("sh", [join(directory, "boot-attachments")], { stdio: "ignore" });
    const ended = new Promise((resolve) => script.once("exit", resolve));
    await vi.waitFor(() => expect(existsSync(join(directory, "begun"))).toBe(true), { timeout: 10_000 });
    expect(spawnSync("flock", ["-w", "60", join(directory, "lock"), "true"]).status).toBe(0);
    expect(names.every((name) => existsSync(join(directory, name)))).toBe(false);
    expect(await ended).toBe(0);
});
