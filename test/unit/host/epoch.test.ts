import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { endEpoch, foretell, guardEpoch, observeEpoch, parseEpoch } from "../../../provider/host/epoch";
import { GUARD_FAILED } from "../../../provider/host/plan";

/** Names of targets are known before, and new for each making. */

let directory: string;
beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "blockhost-epoch '"));
});
afterEach(() => {
    rmSync(directory, { recursive: true });
});

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("in %s", (...words) => {
    const [shell = "", ...options] = words;
    const run = ({ text }: { readonly text: string }) =>
        spawnSync(shell, [...options, "-c", text], { encoding: "utf8" });
    const now = () => parseEpoch(run(observeEpoch(directory)).stdout);
    const end = (by: string) => {
        expect(run(endEpoch(directory, by)).status).toBe(0);
    };

    test("each removal ends one", () => {
        const seen = [now()];
        expect(now()).toBe(seen[0]);
        for (const generation of ["aa", "bb"]) {
            end(generation);
            seen.push(now());
        }
        expect(new Set(seen).size).toBe(3);
        expect(new Set(seen.map((epoch) => foretell(epoch, ["/state", "iscsi"], "pg"))).size).toBe(3);
    });

    test("a restart of the host ends it, too, and a word of an earlier boot counts for nothing", () => {
        const fresh = now();
        writeFileSync(join(directory, "epoch"), "00000000-1111-2222-3333-444444444444 0123456789abcdef\n");
        expect(now()).toBe(fresh);
        // What was only begun to be written is none.
        writeFileSync(join(directory, "epoch"), "");
        expect(now()).toBe(fresh);
    });

    test("what was foretold in one is not made in another", () => {
        const asked = () => run(guardEpoch(directory, seen)).status;
        let seen = now();
        expect(asked()).toBe(0);
        end("aa");
        expect(asked()).toBe(GUARD_FAILED);
        seen = now();
        expect(asked()).toBe(0);
    });
});

test("what is made in one epoch has a name of its own in each place", () => {
    const all = [
        foretell("e", ["/state", "iscsi"], "pg"),
        foretell("e", ["/state", "nvme-tcp"], "pg"),
        foretell("e", ["/other", "iscsi"], "pg"),
        foretell("e", ["/state", "iscsi"], "pg2"),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const one of all) expect(one).toMatch(/^[0-9a-f]{8}$/);
});
