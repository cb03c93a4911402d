import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
    type Epoch,
    endEpoch,
    foretell,
    keepEpoch,
    observeEpoch,
    parseEpoch,
    useEpoch,
} from "../../../provider/host/epoch";
import { GUARD_FAILED } from "../../../provider/host/plan";

/** Names of targets are known before, and new for each making. */

let above: string;
let directory: string;
beforeEach(() => {
    above = mkdtempSync(join(tmpdir(), "blockhost-epoch '"));
    directory = join(above, "state");
});
afterEach(() => {
    rmSync(above, { recursive: true });
});

const nameIn = (epoch: Epoch, name = "pg") => foretell(epoch, [directory], "iscsi", name);

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("in %s", (...words) => {
    const [shell = "", ...options] = words;
    const run = ({ text }: { readonly text: string }, before = "") =>
        spawnSync(shell, [...options, "-c", `${before}${text}`], { encoding: "utf8" });
    const now = (before?: Epoch) => {
        const { stdout, stderr } = run(observeEpoch(directory, before === undefined));
        expect(stderr).toBe("");
        return parseEpoch(stdout, before);
    };
    const end = () => {
        expect(run(endEpoch(directory))).toMatchObject({ status: 0, stderr: "" });
    };
    const use = (epoch: Epoch, name = "pg") => run(useEpoch(directory, epoch, "iscsi", name)).status;
    /** As a run does that changes anything. */
    const begin = (epoch = now()) => {
        mkdirSync(directory, { recursive: true });
        expect(run(keepEpoch(directory, epoch))).toMatchObject({ status: 0, stderr: "" });
        return epoch;
    };

    test("what is seen before the first run stays, until something is removed", () => {
        const first = now();
        expect(first.boot).toMatch(/^[0-9a-f-]{36}$/);
        begin(first);
        expect(now()).toEqual(first);
        const seen = [first];
        for (let i = 0; i < 3; i++) {
            end();
            seen.push(now());
            begin();
            expect(now()).toEqual(seen.at(-1));
        }
        expect(new Set(seen.map((epoch) => nameIn(epoch))).size).toBe(4);
    });

    test("it is another one when the state directory is taken away, and made again", () => {
        const first = begin();
        rmSync(directory, { recursive: true });
        const second = now();
        expect(nameIn(second)).not.toBe(nameIn(first));
        begin(second);
        expect(now()).toEqual(second);
    });

    test("a restart of the host ends it, too", () => {
        const epoch = begin();
        expect(nameIn({ ...epoch, boot: "00000000-1111-2222-3333-444444444444" })).not.toBe(nameIn(epoch));
    });

    test("a word that cannot be written leaves the one that is there", () => {
        const epoch = begin();
        expect(run(endEpoch(directory), "ulimit -f 0; trap '' XFSZ; ").status).not.toBe(0);
        expect(now()).toEqual(epoch);
    });

    test("a file in which a power cut has left nothing but NULs is begun anew", () => {
        begin();
        writeFileSync(join(directory, "epoch"), Buffer.alloc(37));
        const epoch = begin();
        expect(now()).toEqual(epoch);
        expect(use(epoch)).toBe(0);
    });

    test("what was foretold in one is not made in another", () => {
        const epoch = begin();
        expect(use(epoch)).toBe(0);
        end();
        expect(use(epoch)).toBe(GUARD_FAILED);
        expect(use(now())).toBe(0);
    });

    test("one name is made once in each", () => {
        const epoch = begin();
        expect(use(epoch, "pg")).toBe(0);
        // Another run was cut short in writing down its own.
        const made = join(directory, "epoch.made");
        writeFileSync(made, `${readFileSync(made, "utf8")}\nabc`);
        expect(use(epoch, "log")).toBe(0);
        const whole = now();
        expect([...whole.made].sort()).toEqual(["iscsi/log", "iscsi/pg"]);
        expect(nameIn(whole)).toBeUndefined();
        expect(nameIn(whole, "new")).toMatch(/^[0-9a-f]{8}$/);
        // Reading back does not read them again.
        expect(now(whole)).toEqual(whole);
        end();
        expect(now(whole).made.size).toBe(0);
        expect(nameIn(now())).toMatch(/^[0-9a-f]{8}$/);
    });
});

test("what is made in one epoch has a name of its own in each place", () => {
    const epoch = { boot: "b", word: "w", made: new Set<string>() };
    const all = [
        foretell(epoch, ["/state", "10.0.0.1:3260"], "iscsi", "pg"),
        foretell(epoch, ["/state", "10.0.0.1:3260"], "nvme-tcp", "pg"),
        foretell(epoch, ["/other", "10.0.0.1:3260"], "iscsi", "pg"),
        foretell(epoch, ["/state", "10.0.0.2:3260"], "iscsi", "pg"),
        foretell(epoch, ["/state", "10.0.0.1:3260"], "iscsi", "pg2"),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(foretell({ ...epoch, boot: "" }, ["/state"], "iscsi", "pg")).toBeUndefined();
});
