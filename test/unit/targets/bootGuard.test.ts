import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GUARD_FAILED } from "../../../provider/host/plan";
import { raw } from "../../../provider/sh";
import {
    bootDirectory,
    bootFile,
    guardBootFile,
    parseBootHeader,
    writeBootFile,
} from "../../../provider/targets/boot";
import { mark } from "./tgtHost";

/** What precedes every change of a boot file, in each shell that a host may have. */

let stateDirectory: string;
const at = () => ({ stateDirectory, protocol: "iscsi" as const, name: "it's" });

beforeEach(() => {
    stateDirectory = mkdtempSync(join(tmpdir(), "bh guard-"));
});
afterEach(() => {
    rmSync(stateDirectory, { recursive: true, force: true });
});

function status(shell: string, script: string): number | null {
    const [program = "sh", ...args] = shell.split(" ");
    return spawnSync(program, args, { input: `(\n${script}\n) </dev/null 2>/dev/null` }).status;
}

/** What a plan made for `seen` ends with. */
function guarded(shell: string, seen: Parameters<typeof guardBootFile>[1], more = ""): number | null {
    return status(shell, guardBootFile(at(), seen, raw(more)).script.text);
}

function written(resource: string, generation?: string, fresh?: boolean): void {
    const header = {
        mark: mark(resource, generation),
        sizeBytes: 0,
        targetName: "iqn.x",
        accounts: [],
        declared: {},
    };
    expect(status("sh", writeBootFile(at(), header, raw("exit 0"), fresh).script.text)).toBe(0);
}

const ours = () => ({ mark: mark("pg") });

test.each(["dash", "bash --posix", "busybox sh"])(
    "in %s, a boot file has to be as it was observed",
    (shell) => {
        expect(guarded(shell, undefined)).toBe(0);
        expect(guarded(shell, ours())).toBe(GUARD_FAILED);
        written("pg");
        expect(guarded(shell, ours())).toBe(0);
        expect(guarded(shell, { mark: { ...mark("pg"), phase: "creating" } })).toBe(0);
        expect(guarded(shell, undefined)).toBe(GUARD_FAILED);
        expect(guarded(shell, { ...ours(), orphaned: true })).toBe(GUARD_FAILED);
        for (const [resource, generation] of [["mine"], ["pg", "fedcba9876543210"]] as const) {
            written(resource, generation);
            expect(guarded(shell, ours())).toBe(GUARD_FAILED);
        }
    },
);

test.each(["dash", "bash --posix", "busybox sh"])("in %s, what is no boot file is none of ours", (shell) => {
    mkdirSync(bootDirectory(stateDirectory, "iscsi"), { recursive: true });
    const file = bootFile(at());
    // What a power cut leaves of one that was not flushed yet.
    for (const nothing of ["", "\0".repeat(6000)]) {
        writeFileSync(file, nothing);
        expect(guarded(shell, undefined)).toBe(0);
        expect(guarded(shell, ours())).toBe(GUARD_FAILED);
    }
    for (const text of ["x", "a\nb\n", "a\nb\n\n"]) {
        writeFileSync(file, text);
        expect(guarded(shell, undefined)).toBe(GUARD_FAILED);
        expect(guarded(shell, ours())).toBe(GUARD_FAILED);
    }
    rmSync(file);
    symlinkSync("nowhere", file);
    expect(guarded(shell, undefined)).toBe(GUARD_FAILED);
});

test("what else is asked counts, too, and only where the mark is right", () => {
    expect(guarded("sh", undefined, "exit 3")).toBe(3);
    expect(guarded("sh", ours(), "exit 3")).toBe(GUARD_FAILED);
});

test.each([false, true])("a boot file (fresh: %s) counts as carried out only when it is whole", (fresh) => {
    written("pg", undefined, fresh);
    const text = readFileSync(bootFile(at()), "utf8").replace("#bh applied 0", "#bh applied 1");
    const applied = (part: string) =>
        parseBootHeader(part.split("\n").filter((line) => line.startsWith("#bh ")))?.applied;
    expect(applied(text)).toBe(true);
    expect(applied(text.replace("applied 1", "applied 0"))).toBe(false);
    // As a power cut can leave it, where it was not flushed before it got its name.
    const torn = text.slice(0, text.indexOf("exit 0"));
    expect(applied(torn)).toBe(!fresh);
    expect(spawnSync("sh", { input: text }).status).toBe(0);
});
