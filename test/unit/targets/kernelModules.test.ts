import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { explainer } from "../../../provider/targets/configfs/explain";
import { Sections } from "../../../provider/targets/configfs/sections";
import { enter, MAKING } from "../../../provider/targets/configfs/shell";
import { lioTarget } from "../../../provider/targets/lio";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import type { Target, TargetRef } from "../../../provider/targets/types";
import { mark } from "./tgtHost";

/** What of the kernel LIO and nvmet need: what of it is missing is named, with where to get it. */

const directory = mkdtempSync(join(tmpdir(), "bh-kernel-modules-"));
const configfs = join(directory, "config");
const modules = join(directory, "module");
beforeEach(() => {
    for (const one of [configfs, modules]) rmSync(one, { recursive: true, force: true });
});
afterAll(() => {
    rmSync(directory, { recursive: true });
});

const here = (text: string) =>
    text.replaceAll("/sys/kernel/config", configfs).replaceAll("/sys/module", modules);

const KINDS = [
    ["LIO", lioTarget as unknown as Target, "target/core", ["target_core_mod", "iscsi_target_mod"]],
    ["nvmet", nvmetTarget as unknown as Target, "nvmet", ["nvmet", "nvmet_tcp"]],
] as const;

describe.each(KINDS)("%s", (label, target, root, needed) => {
    const ref: TargetRef = {
        protocol: target.protocol,
        helper: target.name,
        portals: ["127.0.0.1:13260"],
        options: target.options.parse({}),
        stateDirectory: join(directory, "state"),
    };
    const problem = (lines: readonly string[]) =>
        target.parse(ref, ["== boot", "== lines", "== module", ...lines, "== end", ""].join("\n")).problem;
    /** What an observation says of modules, and with what arguments it has asked for them. */
    const observe = (has: readonly string[]) => {
        const asked = `modprobe() { echo "$*" >&2; case " ${has.join(" ")} " in *" $2 "*) ;; *) return 1 ;; esac; }`;
        const script = target
            .observe(ref, [])
            .text.replaceAll("2>/dev/null || echo missing", "|| echo missing");
        const { stdout, stderr } = spawnSync("sh", { input: `${asked}\n${here(script)}`, encoding: "utf8" });
        const questions = stderr.split("\n").filter((line) => line.startsWith("-nq "));
        return { told: new Sections(stdout).lines("module"), asked: questions.map((line) => line.slice(4)) };
    };

    test("all is loaded: nothing is asked", () => {
        mkdirSync(join(configfs, root), { recursive: true });
        for (const name of needed) mkdirSync(join(modules, name), { recursive: true });
        expect(observe([])).toEqual({ told: ["loaded"], asked: [] });
        expect(problem(["loaded"])).toBeUndefined();
    });

    test("configfs is not mounted, or not loaded yet: it will be", () => {
        mkdirSync(configfs);
        expect(observe(needed)).toEqual({ told: ["loadable"], asked: [...needed] });
        rmSync(configfs, { recursive: true });
        expect(observe(["configfs", ...needed])).toEqual({
            told: ["loadable"],
            asked: ["configfs", ...needed],
        });
        expect(problem(["loadable"])).toBeUndefined();
    });

    test("a kernel without configfs, and one without the modules", () => {
        expect(observe([]).told).toEqual([
            "missing configfs",
            ...needed.map((name) => `missing ${name}`),
            "loadable",
        ]);
        mkdirSync(configfs);
        expect(observe([needed[0]]).told).toEqual([`missing ${needed[1]}`, "loadable"]);
    });

    test("what is missing is named, with its package", () => {
        const one = problem([`missing ${needed[1]}`, "loadable"]);
        expect(one?.summary).toBe(`the host's kernel has no ${label}: module ${needed[1]} is missing`);
        expect(one?.hint).toMatch(/linux-image-amd64.*linux-modules-extra.*kernel-modules/);
        const all = problem([...needed.map((name) => `missing ${name}`), "loadable"]);
        expect(all?.summary).toBe(
            `the host's kernel has no ${label}: modules ${needed.join(", ")} are missing`,
        );
    });

    test("configfs is named first, with what it is for", () => {
        for (const more of [[], needed]) {
            const found = problem(["configfs", ...more].map((name) => `missing ${name}`).concat("loadable"));
            expect(found?.summary).toBe(
                `the host has no configfs, through which ${label} is set up: there is no /sys/kernel/config, and the kernel has no module ${["configfs", ...more].join(", ")}`,
            );
            expect(found?.hint).toMatch(/linux-image-amd64.*container/);
        }
    });
});

describe("the words of what fails", () => {
    const explain = explainer("LIO");
    const said = (functions: string) => {
        const script = here(
            `${functions}\n${MAKING.text}\n${enter("/sys/kernel/config/target", ["target_core_mod"]).text}`,
        );
        const { status, stderr } = spawnSync("sh", { input: script, encoding: "utf8" });
        return { status, stderr };
    };

    test("modules that cannot be loaded", () => {
        const words = "modprobe: ERROR: could not insert 'target_core_mod': Operation not permitted";
        const { status, stderr } = said(`modprobe() { echo "${words}" >&2; return 1; }`);
        expect(status).toBe(1);
        expect(stderr).toContain(words);
        expect(explain(stderr)).toMatchObject({
            code: "unsupported",
            summary: "the host's kernel does not load the modules of LIO",
            hint: expect.stringMatching(/modprobe -a target_core_mod.*sudo: true.*container/) as string,
        });
    });

    test("a configfs that cannot be mounted", () => {
        const words = "mount: /sys/kernel/config: permission denied.";
        const { status, stderr } = said(`modprobe() { :; }\nmount() { echo "${words}" >&2; return 32; }`);
        expect(status).toBe(1);
        expect(stderr).toContain(here(words));
        expect(explain(stderr)).toMatchObject({
            code: "unsupported",
            summary: "configfs cannot be mounted on the host, and LIO is set up through it",
            hint: expect.stringMatching(
                /mount -t configfs none \/sys\/kernel\/config.*sudo: true.*container/,
            ) as string,
        });
    });

    test("a configfs without LIO, though it is mounted", () => {
        const { status, stderr } = said("modprobe() { :; }\nmount() { :; }");
        expect(status).toBe(1);
        expect(explain(stderr)).toMatchObject({ code: "unsupported" });
    });

    test("what is there already is not made", () => {
        mkdirSync(join(configfs, "target"), { recursive: true });
        expect(said("modprobe() { exit 3; }\nmount() { exit 4; }")).toEqual({ status: 0, stderr: "" });
    });

    test.each([
        [
            "mkdir: cannot create directory 'core/iblock_123': Invalid argument",
            "target_core_iblock",
            "block devices",
        ],
        ["mkdir: cannot create directory ‘core/fileio_9’: Invalid argument", "target_core_file", "files"],
        [
            "mkdir: can't create directory 'core/iblock_123': Invalid argument",
            "target_core_iblock",
            "block devices",
        ],
    ])("LIO without a backend: %s", (words, module, what) => {
        const more =
            "mkdir: cannot create directory 'core/iblock_123/pg.01234567': No such file or directory";
        const found = explain(`${words}\n${more}\n`);
        expect(found).toMatchObject({
            code: "unsupported",
            summary: `LIO on the host cannot serve ${what}: the kernel has no module ${module}, or does not load it`,
        });
        expect(found?.hint).toContain(`modprobe ${module}`);
        expect(found?.hint).toContain("linux-modules-extra");
    });

    test.each([
        "mkdir: cannot create directory 'core/iblock_1': Permission denied",
        "mkdir: cannot create directory 'core/iblock_1/pg.01234567': Invalid argument",
        "mkdir: cannot create directory 'iscsi/iqn.2024-01.com.example:x': Invalid argument",
        "there is no block device at /dev/vg/configfs: x",
        "",
    ])("%j is none of them", (words) => {
        expect(explain(words)).toBeUndefined();
    });
});

test("a plan that makes an export knows what its failures mean", () => {
    for (const [label, target] of KINDS) {
        const name = target.protocol === "iscsi" ? "iqn.2024-01.com.example:a" : "nqn.2024-01.com.example:a";
        const ref: TargetRef = {
            protocol: target.protocol,
            helper: target.name,
            portals: ["127.0.0.1:13260"],
            options: target.options.parse({}),
            stateDirectory: join(directory, "state"),
        };
        const text =
            "== boot\n== lines\n== devices\nfile 1:2 1024 /srv/a\n== module\nloadable\n== addresses\n== end\n";
        const facts = target.parse(ref, text);
        const host = {
            pools: new Map(),
            targets: new Map([[ref.protocol, facts]]),
            units: new Map(),
            epoch: { boot: "boot-1", word: "word-1", made: new Set<string>() },
            tools: new Set<string>(),
            claims: [],
            reserved: new Set<string>(),
        };
        const plan = target.ensure(
            { target: ref, facts, host },
            {
                name: "pg",
                mark: mark("pg"),
                devicePath: "/srv/a",
                sizeBytes: 1024,
                readOnly: false,
                initiators: [{ name }],
                addresses: [],
                portals: [],
                discard: true,
                activation: { command: "true", object: "x" },
            },
        );
        expect(plan.explain?.("configfs: cannot be mounted")?.summary).toContain(label);
    }
});
