import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import {
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
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { bootFile, placeOf } from "../../../provider/targets/boot";
import { encodeMark, type Mark } from "../../../provider/host/mark";
import { GUARD_FAILED, type Plan, type Step } from "../../../provider/host/plan";
import type { KernelExport, KernelExtra } from "../../../provider/targets/configfs/model";
import { refuseTaken } from "../../../provider/targets/configfs/portals";
import { lioTarget } from "../../../provider/targets/lio";
import { faults as lioFaults } from "../../../provider/targets/lio/faults";
import type { LioDeclared } from "../../../provider/targets/lio/model";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import { Sections } from "../../../provider/targets/configfs/sections";
import { Tree } from "../../../provider/targets/configfs/tree";
import type { NvmetDeclared, NvmetExport } from "../../../provider/targets/nvmet/model";
import { guard, sweep } from "../../../provider/targets/nvmet/take";
import type { ExportWanted, Target, TargetContext, TargetFacts } from "../../../provider/targets/types";

/**
 * LIO and nvmet as far as a machine without them can tell: boot files are real, what the kernel has is made up. With real
 * kernels they are tried in `test/lab`.
 */

const directory = mkdtempSync(join(tmpdir(), "bh-kernel-plan-"));
afterAll(() => {
    rmSync(directory, { recursive: true });
});

const KINDS = [
    {
        target: lioTarget as Target,
        portal: "127.0.0.1:3260",
        initiator: "iqn.2024-01.com.example:client",
        other: (generation: string) => `iscsi/iqn.2010-10.org.blockhost:pg:${generation}`,
        // An export whose device the kernel has open, with 64 MiB.
        open: ({ declared }: KernelExport) => {
            const { backstore, target } = declared as LioDeclared;
            return {
                tree: [backstore, target],
                values: [
                    [`${backstore}/enable`, "1"],
                    [
                        `${backstore}/info`,
                        `TCM FILEIO ID: 0        File: ${declared.devicePath}  Size: 67108864  Mode: O_DSYNC`,
                    ],
                ],
            };
        },
    },
    {
        target: nvmetTarget as Target,
        portal: "127.0.0.1:4420",
        initiator: "nqn.2024-01.com.example:client",
        other: (generation: string) => `subsystems/nqn.2010-10.org.blockhost:pg:${generation}`,
        open: ({ declared }: KernelExport) => {
            const { subsystem } = declared as NvmetDeclared;
            return {
                tree: [subsystem, `${subsystem}/namespaces/1`],
                values: [[`${subsystem}/namespaces/1/enable`, "1"]],
            };
        },
    },
] as const;

describe.each(KINDS.map((kind) => [kind.target.name, kind] as const))("%s", (_, kind) => {
    const { target } = kind;
    const ref = {
        protocol: target.protocol,
        helper: target.name,
        portals: [kind.portal],
        options: target.options.parse({}),
        stateDirectory: join(directory, target.name),
    };
    const mark = (generation = "0123456789abcdef", resource = "pg"): Mark => {
        const owner = {
            installation: "default",
            organization: "acme",
            project: "shop",
            stack: "prod",
            resource,
        };
        return { kind: "export", owner, generation, phase: "ready", extra: {} };
    };
    const want = (of = mark()): ExportWanted => ({
        name: "pg",
        mark: of,
        devicePath: "/srv/pg.img",
        sizeBytes: 64 * 1024 * 1024,
        readOnly: false,
        initiators: [{ name: kind.initiator }],
        addresses: [],
        portals: [],
        discard: true,
    });

    const sh = (script: string) => {
        const { status, stdout, stderr } = spawnSync("sh", { input: script, encoding: "utf8" });
        return { status, stdout, stderr };
    };
    const run = (steps: readonly Step[]) => {
        for (const { script } of steps) {
            const { status } = sh(`(\n${script.text}\n) </dev/null`);
            if (status !== 0) return status;
        }
        return 0;
    };
    /** What an observation prints here, as if the kernel had the module and these objects. */
    const observe = (
        kernel: { tree: readonly string[]; values: readonly (readonly string[])[] } = {
            tree: [],
            values: [],
        },
        only?: readonly string[],
    ): TargetFacts => {
        const { stdout } = sh(target.observe(ref, only).text);
        const printed = stdout
            .replaceAll(/^(missing .*|loadable)\n/gm, "")
            .replace("== module\n", "== module\nloaded\n")
            .replace(/== unit\n(installed|missing)\n/, "== unit\n");
        const tree = kernel.tree.map((path) => `d ${path.replace(/\/[^/]+$/, "")}\nd ${path}\n`).join("");
        const values = kernel.values.map(([path = "", value = ""]) => `${path}\0${value}\n`).join("");
        return target.parse(ref, `${printed}\n== tree\n${tree}== values\n${values}`);
    };
    const context = (facts: TargetFacts): TargetContext => ({
        target: ref,
        facts,
        host: {
            pools: new Map(),
            targets: new Map([[ref.protocol, facts]]),
            units: new Map(),
            epoch: { boot: "boot-1", word: "word-1", made: new Set() },
            tools: new Set(),
            claims: [],
            reserved: new Set(),
        },
    });
    /** Writes the boot file alone: there is no kernel to go on with. */
    const writeBootFile = (plan: Plan) => {
        const steps = plan.steps.filter(({ label }) => /boot file/.test(label));
        expect(run(steps)).toBe(0);
    };
    const exported = (): TargetFacts => {
        writeBootFile(target.ensure(context(observe()), want()));
        const one = observe().exports.get("pg") as KernelExport;
        return observe(kind.open(one));
    };

    beforeEach(() => {
        rmSync(ref.stateDirectory, { recursive: true, force: true });
    });

    test("reads back whose export it is from the boot file", () => {
        const facts = exported();
        const one = facts.exports.get("pg");
        expect(encodeMark({ ...mark(), phase: "ready" })).toBe(
            encodeMark({ ...(one?.mark ?? mark("")), phase: "ready" }),
        );
        expect(facts.problem).toBeUndefined();
        expect(facts.foreign.size).toBe(0);
    });

    test.each([
        ["has grown", false],
        ["was exchanged", true],
    ])("that the device %s is told only to the export that was observed", (_, exchanged) => {
        const reopened = { name: "pg", sizeBytes: 2 ** 27, exchanged };
        const { close, open } = target.reopen(context(exported()), reopened);
        expect(open).toHaveLength(exchanged ? 2 : 1);
        const [guard] = close;
        expect(guard?.guard).toBe(true);
        if (guard === undefined) return;
        expect(run([guard])).toBe(0);
        writeBootFileOf(mark("fedcba9876543210"));
        expect(run([guard])).toBe(GUARD_FAILED);
        rmSync(ref.stateDirectory, { recursive: true });
        expect(run([guard])).toBe(GUARD_FAILED);
    });

    /** Somebody deletes the export, and makes one of that name. */
    const writeBootFileOf = (of: Mark) => {
        rmSync(ref.stateDirectory, { recursive: true });
        writeBootFile(target.ensure(context(observe()), want(of)));
    };

    test("what somebody has edited in a boot file heals nothing: it is written anew", () => {
        const wanted = { ...want(), activation: { command: "lvchange -ay -K", object: "vg0/pg" } };
        writeBootFile(target.ensure(context(observe()), wanted));
        const file = bootFile(placeOf(ref, "pg"));
        const written = readFileSync(file, "utf8");
        const applied = written.replace("#bh applied 0", "#bh applied 1");
        expect(applied).not.toBe(written);
        writeFileSync(file, applied.replace("\n{\n", "\n{\necho somebody was here\n"));
        expect(readFileSync(file, "utf8")).not.toBe(applied);
        const facts = observe();
        expect(facts.exports.get("pg")).toMatchObject({ applied: true });
        writeBootFile(target.ensure(context(facts), wanted));
        const lines = (text: string) =>
            text.split("\n").filter((line) => !/^([{}]$|#bh (until|end))/.test(line));
        expect(lines(readFileSync(file, "utf8"))).toEqual(lines(written));
    });

    test("a size that the kernel knows is not told again", () => {
        const facts = exported();
        const one = facts.exports.get("pg") as KernelExport;
        const device = { id: "file 1:2", bytes: 2 ** 26, path: "/srv/pg.img" };
        const noted = { ...one, live: { ...one.live, noted: { device, attributes: {} } } };
        const known = context({ ...facts, exports: new Map([["pg", noted]]) });
        const growth = { name: "pg", sizeBytes: 2 ** 26, exchanged: false };
        expect(target.reopen(known, growth)).toEqual({ close: [], open: [] });
        expect(target.reopen(known, { ...growth, sizeBytes: 2 ** 27 }).open).toHaveLength(1);
    });

    test("of an export that the kernel does not have there is nothing to reopen, but a boot is not to make it meanwhile", () => {
        exported();
        const all = { name: "pg", sizeBytes: 2 ** 27, exchanged: true };
        const { close, open } = target.reopen(context(observe()), all);
        expect(target.reopen(context(observe()), { ...all, exchanged: false })).toEqual({
            close: [],
            open: [],
        });
        const applied = () =>
            /^#bh applied (.)$/m.exec(readFileSync(bootFile(placeOf(ref, "pg")), "utf8"))?.[1];
        expect([run(close), applied()]).toEqual([0, "C"]);
        expect([run(open), applied()]).toEqual([0, "0"]);
    });

    test("an export that has been closed since is made by nobody who has not seen that", () => {
        const seen = context(exported());
        const wanted = { ...want(), activation: { command: "lvchange -ay -K", object: "vg0/pg" } };
        const steps = (facts: TargetContext) =>
            target.ensure(facts, wanted).steps.filter(({ label }) => /boot file|observed/.test(label));
        expect(run(steps(seen))).toBe(0);
        const { close } = target.reopen(seen, { name: "pg", sizeBytes: 2 ** 27, exchanged: true });
        expect(run(close.filter(({ label }) => label.startsWith("note")))).toBe(0);
        expect(run(steps(seen))).toBe(GUARD_FAILED);
        // Whoever has seen it asks whether its volume is whole.
        expect(run(steps(context(observe())))).toBe(0);
    });

    test.each([
        ["was as declared", "1", true],
        ["was unfinished", "0", false],
    ])("that it is closed for an exchange stays known: one that %s", (_, state, applied) => {
        const all = { name: "pg", sizeBytes: 2 ** 27, exchanged: true };
        const { close } = target.reopen(context(exported()), all);
        const file = bootFile(placeOf(ref, "pg"));
        writeFileSync(file, readFileSync(file, "utf8").replace(/^#bh applied 0$/m, `#bh applied ${state}`));
        const before = readFileSync(file, "utf8");
        expect(run(close.filter(({ label }) => label.startsWith("note")))).toBe(0);
        expect(readFileSync(file, "utf8")).toBe(
            before.replace(/^#bh applied .$/m, `#bh applied ${applied ? "c" : "C"}`),
        );
        // Once more, by a run that was cut short, changes nothing.
        expect(run(close.filter(({ label }) => label.startsWith("note")))).toBe(0);
        const facts = observe();
        expect(facts.exports.get("pg")).toMatchObject({ applied, closed: true });
        expect(facts.exports.get("pg")?.differences).toContain(
            "closed: its volume began to go back to a snapshot",
        );
        // A later round, or another run, opens it; so does the export's own update.
        const later = target.reopen(context(facts), all);
        expect([later.close, later.open.map(({ label }) => label)]).toEqual([
            [],
            [
                "see that export pg is as it was observed",
                "note that export pg is no longer closed",
                "open export pg",
            ],
        ]);
        const notes = later.open.slice(0, 2);
        expect(run(notes)).toBe(0);
        expect(readFileSync(file, "utf8")).toBe(before);
        expect(target.reopen(context(facts), { ...all, exchanged: false })).toEqual({ close: [], open: [] });
        const wanted = { ...want(), activation: { command: "lvchange -ay -K", object: "vg0/pg" } };
        expect(target.ensure(context(facts), wanted).steps).not.toEqual([]);
    });

    test.each(["01234567", "fedcba98"])(
        "no second one beside one of the name that no boot file explains: %s",
        (digits) => {
            const facts = observe({ tree: [kind.other(digits)], values: [] });
            expect(() => target.ensure(context(facts), want())).toThrow(/not-ours/);
            // Another name's, or what only looks like it, is no hindrance.
            for (const name of [kind.other(digits).replace(":pg:", ":pg2:"), kind.other("not-digits")]) {
                const others = observe({ tree: [name], values: [] });
                expect(target.ensure(context(others), want()).steps.length).toBeGreaterThan(1);
            }
        },
    );

    test("a portal whose address the host does not have is refused before anything is made", () => {
        const facts = observe();
        const extra = {
            ...(facts.extra as KernelExtra),
            addresses: new Set(["127.0.0.1", "::1", "10.0.0.5"]),
        };
        const at = (...portals: string[]) => ({
            ...context({ ...facts, extra }),
            target: { ...ref, portals },
        });
        const port = kind.portal.replace(/^.*:/, "");
        for (const address of ["10.0.0.6", "[fd00::5]"]) {
            const said = `portal ${address}:${port}: the host has no address ${address.replace(/[[\]]/g, "")} [invalid]\n  what to do: it has 10.0.0.5: `;
            expect(() => target.ensure(at(`10.0.0.5:${port}`, `${address}:${port}`), want())).toThrow(said);
        }
        for (const address of ["10.0.0.5", "0.0.0.0", "127.0.0.9", "[::1]", "[::]"])
            expect(target.ensure(at(`${address}:${port}`), want()).steps.length).toBeGreaterThan(1);
    });

    test("a name whose export has been removed since is free again", () => {
        const before = observe({ tree: [kind.other("01234567")], values: [] });
        const after = target.merge?.(before, observe(undefined, ["pg"]), ["pg"]) ?? before;
        expect(target.ensure(context(after), want()).steps.length).toBeGreaterThan(1);
    });

    test("an observation that was cut short does not make exports gone", () => {
        const { stdout } = sh(target.observe(ref).text);
        const facts = target.parse(ref, stdout.replace(/== end\n$/, ""));
        expect(facts.extra).toBeUndefined();
        expect(() => target.remove(context(facts), { name: "pg", mark: mark() })).toThrow(/\[not-found\]/);
        expect(() => target.ensure(context(facts), want())).toThrow(/\[not-found\]/);
    });

    test("a removal asks first whether it is the export that was observed", () => {
        const [guard] = target.remove(context(exported()), want()).steps;
        if (guard === undefined) throw new Error("no step");
        expect(run([guard])).toBe(0);
        writeBootFileOf(mark("fedcba9876543210"));
        expect(run([guard])).toBe(GUARD_FAILED);
    });
});

test.each([
    ["tgtd (process 7)", "systemctl disable --now tgt"],
    ["nc (process 7)", "nc (process 7)"],
])("a portal that %s has is refused, with who has it", (owner, told) => {
    const extra = { listeners: [{ portal: "0.0.0.0:3260", inode: "1" }], owners: new Map([["1", owner]]) };
    const refuse = () => {
        refuseTaken(extra as unknown as KernelExtra, ["10.0.0.5:3260"]);
    };
    expect(refuse).toThrow(told);
    expect(refuse).toThrow(expect.objectContaining({ code: "in-use" }) as Error);
    expect(() => {
        refuseTaken({ ...extra, owners: new Map() } as unknown as KernelExtra, ["10.0.0.5:3260"]);
    }).not.toThrow();
});

test("in what LIO shows a unit otherwise, or keeps initiators from it, is a difference each", () => {
    const declared = {
        backstore: "core/fileio_1/pg.01234567",
        target: "iscsi/iqn.2010-10.org.blockhost:pg:01234567",
        devicePath: "/srv/pg.img",
        initiators: [],
        listen: [],
        users: {},
    } as unknown as LioDeclared;
    const [unit, lun] = [declared.backstore, `${declared.target}/tpgt_1/lun/lun_0`];
    const differences = (path: string, value: string) => {
        const tree = new Tree();
        for (const name of [unit, declared.target, `${declared.target}/tpgt_1`]) tree.addDirectory(name);
        tree.addLink(`${lun}/blockhost`, unit);
        tree.addLine(`${unit}/enable`, "1");
        tree.addLine(path, value);
        const live = { tree, listeners: [], sections: new Sections("") };
        return lioFaults(declared, {}, live).filter(({ text }) => text.includes(value));
    };
    for (const [name, value, usual] of [
        ["vendor_id", "ACME", "LIO-ORG"],
        ["product_id", "DISK", "FILEIO"],
        ["revision", "5.0", "4.0"],
        ["company_id", "0x000001", "0x001405"],
    ] as const) {
        // The kernel does not let it be changed while a target has the unit.
        expect(differences(`${unit}/wwn/${name}`, value)).toMatchObject([{ cuts: "all" }]);
        expect(differences(`${unit}/wwn/${name}`, usual)).toEqual([]);
    }
    for (const [path, value, usual] of [
        [`${unit}/alua/default_tg_pt_gp/alua_access_state`, "2", "0"],
        [`${lun}/alua_tg_pt_offline`, "1", "0"],
        [`${lun}/alua_tg_pt_gp`, "TG Port Alias: elsewhere", "TG Port Alias: default_tg_pt_gp"],
    ] as const) {
        const found = differences(path, value.replace("TG Port Alias: elsewhere", "elsewhere"));
        expect(found).toEqual([{ text: expect.stringMatching(/^state: /) as string }]);
        expect(differences(path, usual)).toEqual([]);
    }
});

test("hosts that have connected to a subsystem since it was observed are seen in the kernel's log", async () => {
    const nqn = "nqn.2010-10.org.blockhost:pg:01234567";
    const [known, newcomer] = ["nqn.2024-01.com.example:db1", "nqn.2024-01.com.example:db10"];
    const booted = "[    0.000000] Linux version 6.12";
    const came = (host: string, subsystem = nqn) =>
        `[    7.1] nvmet: Created nvm controller 1 for subsystem ${subsystem} for NQN ${host}.`;
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const portals = [`127.0.0.1:${String(port)}`];
    const tree = new Tree();
    for (const [name, value] of [
        ["trtype", "tcp"],
        ["adrfam", "ipv4"],
        ["traddr", "127.0.0.1"],
        ["trsvcid", String(port)],
    ] as const)
        tree.addLine(`ports/1/addr_${name}`, value);
    tree.addDirectory("ports");
    tree.addDirectory("ports/1");
    const status = (
        sessions: readonly string[],
        before: readonly string[],
        now: readonly string[],
        kernel = tree,
    ) => {
        const sections = new Sections(["== log", ...before].join("\n"));
        const script = guard({
            declared: { subsystem: `subsystems/${nqn}`, portals },
            sessions: sessions.map((initiator) => ({ initiator })),
            live: { sections, tree: kernel },
        } as unknown as NvmetExport);
        const text = `dmesg() { printf '%s\\n' ${now.map((line) => `'${line}'`).join(" ")}; }\n${script.text}`;
        return spawnSync("sh", { input: text }).status;
    };
    const before = [booted, came(known)];
    expect(status([known], before, before)).toBe(0);
    // It has lost its connection and made another, and somebody has come to another subsystem.
    const others = came(newcomer, nqn.replace("pg", "other"));
    expect(status([known], before, [...before, came(known), others])).toBe(0);
    expect(status([known], before, [...before, came(newcomer)])).toBe(GUARD_FAILED);
    // Nobody is connected: there is no need to look.
    expect(status([], before, [...before, came(known)])).toBe(0);
    const client = connect(port, "127.0.0.1");
    await once(server, "connection");
    expect(status([], [booted], [booted])).toBe(0);
    expect(status([], before, before)).toBe(0);
    expect(status([], before, [...before, came(known)])).toBe(GUARD_FAILED);
    // Nor where it is not nvmet that has the port: whoever is connected there is none of the export's.
    expect(status([], [], before, new Tree())).toBe(0);
    // Where the log no longer tells who was there before, nothing follows from it.
    expect(status(["unknown (from 10.0.0.7)"], [], [came(newcomer)])).toBe(0);
    expect(status([], [], [came(newcomer)])).toBe(GUARD_FAILED);
    client.destroy();
    server.close();
});

test("hosts and ports of nvmet that we made and nobody has any more are taken away, no others", () => {
    const made = join(directory, "made");
    const kernel = join(directory, "nvmet");
    const tree = new Tree();
    for (const path of [
        ...["hosts/left", "hosts/kept", "hosts/idle", "hosts/foreign"],
        "subsystems/pg/allowed_hosts/left",
        "subsystems/other/allowed_hosts/kept",
    ]) {
        tree.addDirectory(path.replace(/\/[^/]+$/, ""));
        tree.addDirectory(path);
    }
    tree.addDirectory("subsystems/pg");
    tree.addDirectory("subsystems/other");
    for (const path of ["hosts/left", "hosts/kept", "hosts/idle", "hosts/wanted", "ports/1", "ports/2"]) {
        mkdirSync(join(kernel, path, "subsystems"), { recursive: true });
        // What configfs does not let go has something in it here.
        if (/kept|wanted|2/.test(path)) symlinkSync("x", join(kernel, path, "subsystems", "other"));
        mkdirSync(join(made, path.replace(/\/[^/]+$/, "")), { recursive: true });
        writeFileSync(join(made, path), "");
    }
    mkdirSync(join(kernel, "hosts/foreign"));
    const target = { protocol: "nvme-tcp", stateDirectory: directory } as never;
    const declared = { subsystem: "subsystems/pg", initiators: ["wanted"] };
    const script = sweep(target, { declared, live: { tree } } as unknown as NvmetExport, []);
    const text = script.text.replace(/^made=.*$/m, `made='${made}'`);
    // In configfs a directory goes with what belongs to it.
    const rmdir = 'rmdir() { shift; for d; do command rmdir "$d/subsystems" && command rmdir "$d"; done; }';
    expect(spawnSync("sh", { input: `${rmdir}\n${text}`, cwd: kernel }).status).toBe(0);
    expect(readdirSync(join(kernel, "hosts")).sort()).toEqual(["foreign", "kept", "wanted"]);
    expect(readdirSync(join(kernel, "ports"))).toEqual(["2"]);
    expect(readdirSync(join(made, "hosts")).sort()).toEqual(["kept", "wanted"]);
    expect(readdirSync(join(made, "ports"))).toEqual(["2"]);
});
