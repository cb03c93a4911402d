import { spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clearLeftovers, flush, willFlush } from "../../../provider/host/leftovers";
import { runDirectory } from "../../../provider/host/runDirectory";

/** What a run flushes at its end, and what becomes of it when that does not come about. */

let directory: string;
beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "blockhost-flush-"));
    for (const name of ["one", "two"]) writeFileSync(join(directory, name), name);
});
afterEach(() => {
    rmSync(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);
const marker = () => existsSync(path("flushed")) && readFileSync(path("flushed"), "utf8").startsWith("0 ");

/** `sync` only writes down what it is asked for; of `bad` it fails. */
const sync = () => `sync() {
    echo "sync $*" >> ${path("log")}
    for f; do case $f in */bad) return 1 ;; esac; done
}`;

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("in %s", (...words) => {
    const [shell = "", ...options] = words;
    const run = (script: string) => {
        const text = script.replaceAll(runDirectory(directory), path("run"));
        const { status, stdout } = spawnSync(shell, [...options, "-c", text], { encoding: "utf8" });
        const log = existsSync(path("log")) ? readFileSync(path("log"), "utf8") : "";
        return { status, stdout, synced: log.split("\n").slice(0, -1) };
    };
    const before = () => willFlush(directory).text;
    const end = (...files: readonly string[]) =>
        `${sync()}\n( set -- ${files.join(" ")}\n${flush(directory).text}\n)`;

    test("files of all plans are flushed by one process, without those that are gone", () => {
        const { status, synced } = run(`${before()}\n${end(path("one"), path("gone"), path("two"))}`);
        expect({ status, synced }).toEqual({ status: 0, synced: [`sync -- ${path("one")} ${path("two")}`] });
        expect(marker()).toBe(false);
    });

    test("what an earlier run has left is flushed with all the rest", () => {
        run(before());
        expect(marker()).toBe(true);
        const { status, synced } = run(`${before()}\n${end(path("one"))}`);
        expect({ status, synced }).toEqual({ status: 0, synced: [`sync -f ${directory}`] });
        expect(marker()).toBe(false);
    });

    test("and so is all where a power cut has left no word of it", () => {
        const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8");
        for (const left of ["", "\0\0", "1 00000000-0000-4000-8000-000000000000\n"]) {
            rmSync(path("log"), { force: true });
            writeFileSync(path("flushed"), left);
            const { status, synced } = run(`${before()}\n${end(path("one"))}`);
            expect({ status, synced }).toEqual({ status: 0, synced: [`sync -f ${directory}`] });
            expect(readFileSync(path("flushed"), "utf8")).toBe(`1 ${boot}`);
        }
    });

    test("where it cannot be noted, nothing fails", () => {
        mkdirSync(path("flushed"));
        const { status, synced } = run(`${before()}\n${end(path("one"))}`);
        expect({ status, synced }).toEqual({ status: 0, synced: [`sync -f ${directory}`] });
    });

    test("or with the first that has nothing else to do", () => {
        run(before());
        const script = clearLeftovers(directory).steps.map((step) => step.script.text);
        expect(run(`${sync()}\n${script.join("\n")}`)).toMatchObject({
            status: 0,
            synced: [`sync -f ${directory}`],
        });
        expect(marker()).toBe(false);
    });

    test("what the plans have emptied is removed, and nothing else", () => {
        mkdirSync(path("exports/iscsi"), { recursive: true });
        for (const name of ["exports/iscsi/gone", "exports/iscsi/cut"]) writeFileSync(path(name), "");
        writeFileSync(path("exports/iscsi/nuls"), "\0\0\0");
        writeFileSync(path("exports/iscsi/kept"), "#!/bin/sh\n");
        symlinkSync(path("exports/iscsi/cut"), path("exports/iscsi/link"));
        const files = [path("exports/iscsi/gone"), path("exports/iscsi/kept"), path("exports/iscsi")];
        const { status, synced } = run(`${before()}\n${end(...files)}`);
        expect({ status, synced }).toEqual({ status: 0, synced: [`sync -- ${files.slice(1).join(" ")}`] });
        const left = () => readdirSync(path("exports/iscsi")).sort();
        expect(left()).toEqual(["cut", "kept", "link", "nuls"]);
        mkdirSync(path("run/iscsi"), { recursive: true });
        for (const [name, note] of [
            ["cut", ""],
            ["kept", "block 8:0 512 /dev/sda\n"],
        ] as const)
            writeFileSync(path(`run/iscsi/${name}`), note);
        // A run that was cut short leaves them to the next, whatever that is for.
        run(before());
        expect(run(`${before()}\n${end(path("one"))}`).status).toBe(0);
        expect(left()).toEqual(["kept", "link"]);
        expect(readdirSync(path("run/iscsi"))).toEqual(["kept"]);
    });

    test("or by whoever clears away", () => {
        mkdirSync(path("exports/iscsi"), { recursive: true });
        for (const name of ["emptied", "kept"])
            writeFileSync(path(`exports/iscsi/${name}`), name === "kept" ? "x" : "");
        run(before());
        const script = clearLeftovers(directory).steps.map((step) => step.script.text);
        expect(run(`${sync()}\n${script.join("\n")}`).status).toBe(0);
        expect(readdirSync(path("exports/iscsi"))).toEqual(["kept"]);
    });

    test("what cannot be flushed is told, and flushed another time", () => {
        writeFileSync(path("bad"), "bad");
        const { status, stdout } = run(`${before()}\n${end(path("one"), path("bad"))}`);
        expect({ status, stdout }).toEqual({ status: 1, stdout: `undone ${path("bad")}\n` });
        expect(marker()).toBe(true);
    });
});
