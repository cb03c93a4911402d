import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keepEpoch, parseEpoch, useEpoch } from "../../../provider/host/epoch";
import type { Touched } from "../../../provider/host/plan";
import { observeState, splitState } from "../../../provider/host/state";
import { parseUnits } from "../../../provider/host/units";

/** What is read of the state directory comes apart again, whatever is in it. */

let directory: string;
beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "blockhost-state '"));
});
afterEach(() => {
    rmSync(directory, { recursive: true });
});

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("in %s", (...words) => {
    const [shell = "", ...options] = words;
    const run = (text: string) => {
        const { status, stdout, stderr } = spawnSync(shell, [...options, "-c", text], { encoding: "utf8" });
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
        return stdout;
    };
    const state = (touched?: Touched) => {
        const { leftovers, epoch, units } = splitState(run(observeState(directory, touched).text));
        return {
            leftovers,
            epoch: epoch === undefined ? undefined : parseEpoch(epoch),
            units: [...parseUnits(units ?? "").values()],
        };
    };
    const made = (...names: string[]) => {
        const before = state().epoch ?? parseEpoch("");
        run(keepEpoch(directory, before).text);
        for (const name of names) run(useEpoch(directory, before, "iscsi", name).text);
    };
    const unit = (name: string, exit: number, log = "") => {
        const folder = join(directory, "units", name);
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, "lock"), "");
        writeFileSync(join(folder, "exit"), `${String(exit)}\n`);
        writeFileSync(join(folder, "log"), log);
    };

    test("nothing is there", () => {
        expect(state()).toMatchObject({ leftovers: "", epoch: { made: new Set() }, units: [] });
        expect(state({ pools: { fast: ["a"] }, targets: {} })).toEqual({
            leftovers: "",
            epoch: undefined,
            units: [],
        });
    });

    test("all is there", () => {
        made("a", "b");
        expect(readFileSync(join(directory, "epoch.made"), "utf8")).toMatch(/b$/);
        unit("copy", 0);
        unit("wipe", 1, "== epoch\n== units\nno more room");
        writeFileSync(join(directory, "host.new"), "");
        const all = state();
        expect(all.leftovers).toBe("leftovers\n");
        expect([...(all.epoch?.made ?? [])]).toEqual(["iscsi/a", "iscsi/b"]);
        expect(all.units.map(({ name, state: ended }) => [name, ended])).toEqual([
            ["copy", "done"],
            ["wipe", "failed"],
        ]);
        expect(all.units[1]?.log).toBe("== epoch\n== units\nno more room\n");

        const some = state({ targets: { iscsi: ["a"] } });
        expect(some.epoch?.word).toBe(all.epoch?.word);
        expect(some.units).toEqual(all.units);
    });
});
