import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Sections, parseTree } from "../../../provider/targets/configfs/sections";
import { lioTarget } from "../../../provider/targets/lio";
import { unnamed } from "../../../provider/targets/lio/sessions";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import { connected, peers, readOwn } from "../../../provider/targets/nvmet/own";
import { madeDirectory } from "../../../provider/targets/nvmet/observe";
import type { TargetRef } from "../../../provider/targets/types";

/** What reads LIO and nvmet, run on a made-up configfs. With real kernels it is tried in `test/lab`. */

const directory = mkdtempSync(join(tmpdir(), "bh-kernel-observe-"));
const configfs = join(directory, "config");
const net = join(directory, "net");
const stateDirectory = join(directory, "state");
beforeEach(() => {
    for (const one of [configfs, net, stateDirectory]) rmSync(one, { recursive: true, force: true });
    mkdirSync(net);
});
afterAll(() => {
    rmSync(directory, { recursive: true });
});

function write(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
}

function bootFile(protocol: string, name: string, root: string): void {
    write(
        join(stateDirectory, "exports", protocol, name),
        `#!/bin/sh\n#bh roots ${root}\n#bh device /dev/null\n`,
    );
}

/** Lines as in /proc/net/tcp, of 127.0.0.1. */
function sockets(lines: readonly { port: number; state: "0A" | "01" }[]): void {
    const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
    const text = lines.map(({ port, state }, i) => {
        const peer = state === "0A" ? "00000000:0000" : `0200000A:${hex(40_000 + (i % 20_000))}`;
        const rest = "00000000:00000000 00:00000000 00000000     0        0";
        return `${String(i).padStart(4)}: 0100007F:${hex(port)} ${peer} ${state} ${rest} ${String(5000 + i)} 1 0000000000000000 100 0 0 10 0\n`;
    });
    write(join(net, "tcp"), `  sl  local_address rem_address   st\n${text.join("")}`);
}

const log = ["[0.0] Linux version 6.12", "[9.9] nvmet: nvm controller 1 for subsystem a for NQN b."];

describe.each(["sh", "bash"])("by %s", (shell) => {
    function observe(ref: TargetRef<never>, only?: readonly string[]): Sections {
        const target = ref.helper === "lio" ? lioTarget : nvmetTarget;
        const text = target
            .observe(ref, only)
            .text.replaceAll("/sys/kernel/config", configfs)
            .replaceAll("/proc/net/tcp", join(net, "tcp"))
            .replaceAll("/proc/sys/net", join(net, "sys"))
            .replaceAll("/run/blockhost-", join(directory, "run-"));
        const dmesg = `dmesg() { printf '%s\\n' ${log.map((line) => `'${line}'`).join(" ")}; }`;
        const { stdout } = spawnSync(shell, {
            input: `${dmesg}\n${text}`,
            encoding: "utf8",
            maxBuffer: 1 << 28,
        });
        return new Sections(stdout.replaceAll(join(net, "tcp"), "/proc/net/tcp"));
    }
    const reference = (helper: "lio" | "nvmet", port: number) =>
        ({
            protocol: helper === "lio" ? "iscsi" : "nvme-tcp",
            helper,
            portals: [`127.0.0.1:${String(port)}`],
            options: {},
            stateDirectory,
        }) as unknown as TargetRef<never>;

    test("addresses of the host tell nothing where sockets may listen on others', too", () => {
        for (const [value, told] of [
            ["0", true],
            ["1", false],
        ] as const) {
            write(join(net, "sys/ipv4/ip_nonlocal_bind"), "0\n");
            write(join(net, "sys/ipv6/ip_nonlocal_bind"), `${value}\n`);
            const sections = observe(reference("lio", 3260));
            expect(sections.has("addresses")).toBe(true);
            expect(sections.lines("addresses").length > 0).toBe(told);
        }
    });

    test("the secrets of an export with more initiators than a process takes arguments are all hashed", () => {
        const initiators = 6000;
        const root = "iscsi/iqn.2010-10.org.blockhost:big:00000000";
        // Their paths together are longer than the 2 MiB that Linux gives a process by default.
        const name = (i: number) => `iqn.2024-01.com.example:${"x".repeat(150)}${String(i)}`;
        const auth = (i: number) => `${root}/tpgt_1/acls/${name(i)}/auth`;
        for (let i = 0; i < initiators; i++) {
            write(join(configfs, "target", auth(i), "password"), `secret ${String(i)}\n`);
            write(join(configfs, "target", auth(i), "password_mutual"), "NULL\n");
        }
        const other = "iscsi/iqn.2010-10.org.blockhost:a:00000000";
        write(join(configfs, "target", other, "tpgt_1/acls/one/auth/password"), "other\n");
        bootFile("iscsi", "a", other);
        bootFile("iscsi", "big", root);
        const tree = parseTree(observe(reference("lio", 3260), ["a", "big"]));
        const hash = (text: string) => createHash("sha256").update(text).digest("hex");
        for (const i of [0, 1, initiators - 1]) {
            expect(tree.hash(`${auth(i)}/password`)).toBe(hash(`secret ${String(i)}\n`));
            expect(tree.hash(`${auth(i)}/password_mutual`)).toBe(hash("NULL\n"));
        }
        expect(tree.hash(`${other}/tpgt_1/acls/one/auth/password`)).toBe(hash("other\n"));
    });

    test("objects and links are read, whatever is missing or is in the way, and with all exports others' too", () => {
        const link = (path: string, to: string) => {
            for (const one of [dirname(path), to]) mkdirSync(join(configfs, one), { recursive: true });
            symlinkSync(join(configfs, to), join(configfs, path));
        };
        const iqn = "iscsi/iqn.2010-10.org.blockhost:a:0";
        const acl = `${iqn}/tpgt_1/acls/iqn.2024-01.com.example:one`;
        link(`target/${iqn}/tpgt_1/lun/lun_0/blockhost`, "target/core/iblock_1/a.0");
        link(`target/${acl}/lun_0/blockhost`, `target/${iqn}/tpgt_1/lun/lun_0`);
        link("target/iscsi/iqn.2003-01.org.linux:b/tpgt_2/lun/lun_7/x y", "target/core/fileio_0/b");
        mkdirSync(join(configfs, "target", iqn, "tpgt_1/np/[::1]:3260"), { recursive: true });
        mkdirSync(join(configfs, "target", acl, "lun_3"));
        // Shells' words for "no end of line" and for "not shown".
        for (const name of [String.raw`a\cb`, ".hidden"])
            mkdirSync(join(configfs, "target", dirname(acl), name), { recursive: true });
        mkdirSync(join(configfs, "target/core/iblock_1/a.0/alua/other"), { recursive: true });
        mkdirSync(join(configfs, "target/iscsi/iqn.2010-10.org.blockhost:half:0"));
        write(join(configfs, "target/iscsi/lio_version"), "LIO\n");
        link(
            "nvmet/subsystems/a/allowed_hosts/nqn.2024-01.com.example:one",
            "nvmet/hosts/nqn.2024-01.com.example:one",
        );
        mkdirSync(join(configfs, "nvmet/subsystems/a/namespaces/2"), { recursive: true });
        link("nvmet/subsystems/b/allowed_hosts/two", "nvmet/hosts/two");
        bootFile("iscsi", "a", `core/iblock_1/a.0 ${iqn} iscsi/iqn.2010-10.org.blockhost:gone:0`);
        bootFile("iscsi", "half", "core/iblock_2/half.0 iscsi/iqn.2010-10.org.blockhost:half:0");
        bootFile("nvme-tcp", "a", "subsystems/a");
        for (const only of [undefined, ["a", "half"]]) {
            const lio = parseTree(observe(reference("lio", 3260), only));
            expect(lio.linksIn(`${iqn}/tpgt_1/lun/lun_0`)).toEqual([
                { name: "blockhost", to: "core/iblock_1/a.0" },
            ]);
            expect(lio.linksIn(`${acl}/lun_0`)).toEqual([
                { name: "blockhost", to: `${iqn}/tpgt_1/lun/lun_0` },
            ]);
            expect(lio.children(dirname(acl)).sort()).toEqual([
                ".hidden",
                String.raw`a\cb`,
                "iqn.2024-01.com.example:one",
            ]);
            expect(lio.children(`${iqn}/tpgt_1/np`)).toEqual(["[::1]:3260"]);
            expect(lio.children(acl).sort()).toEqual(["lun_0", "lun_3"]);
            expect(lio.children("core/iblock_1/a.0/alua")).toEqual(["other"]);
            expect(lio.has("core/iblock_2/half.0")).toBe(false);
            const targets = ["iqn.2010-10.org.blockhost:a:0", "iqn.2010-10.org.blockhost:half:0"];
            const others = only === undefined ? ["iqn.2003-01.org.linux:b"] : [];
            expect(lio.children("iscsi").sort()).toEqual([...others, ...targets]);
            const foreign = "iscsi/iqn.2003-01.org.linux:b/tpgt_2/lun/lun_7";
            expect(lio.link(`${foreign}/x y`)).toBe(only === undefined ? "core/fileio_0/b" : undefined);
            const nvmet = parseTree(observe(reference("nvmet", 4420), only));
            expect(nvmet.linksIn("subsystems/a/allowed_hosts")).toEqual([
                { name: "nqn.2024-01.com.example:one", to: "hosts/nqn.2024-01.com.example:one" },
            ]);
            expect(nvmet.children("subsystems/a/namespaces")).toEqual(["2"]);
            expect(nvmet.has("subsystems/b")).toBe(only === undefined);
            expect(nvmet.has("hosts/two")).toBe(only === undefined);
        }
    });

    test("what keeps initiators from an export that is there is read", () => {
        const [backstore, group] = ["core/fileio_1/a.00000000", "iscsi/iqn.2010-10.org.blockhost:a:0/tpgt_1"];
        const values = {
            [`target/${backstore}/alua/default_tg_pt_gp/alua_access_state`]: "2",
            [`target/${backstore}/wwn/vendor_id`]: "LIO-ORG",
            [`target/${backstore}/wwn/product_id`]: "FILEIO",
            [`target/${backstore}/wwn/revision`]: "4.0",
            [`target/${group}/lun/lun_0/alua_tg_pt_offline`]: "1",
            // The kernel puts a NUL after each name.
            [`target/${group}/dynamic_sessions`]:
                "iqn.2024-01.com.example:eve\n\0iqn.2024-01.com.example:mallory\n\0",
            [`target/${group}/lun/lun_0/alua_tg_pt_gp`]: "TG Port Alias: other",
            ["nvmet/ports/1/ana_groups/1/ana_state"]: "inaccessible",
            ["nvmet/ports/1/addr_tsas"]: "none",
        };
        for (const [path, value] of Object.entries(values)) write(join(configfs, path), `${value}\n`);
        bootFile("iscsi", "a", `${backstore} ${group.replace("/tpgt_1", "")}`);
        bootFile("nvme-tcp", "a", "subsystems/a");
        for (const only of [undefined, ["a"]]) {
            const trees = {
                target: parseTree(observe(reference("lio", 3260), only)),
                nvmet: parseTree(observe(reference("nvmet", 4420), only)),
            };
            for (const [path, value] of Object.entries(values)) {
                const [root, ...rest] = path.split("/");
                const tree = trees[root as keyof typeof trees];
                if (!value.includes("\0")) expect(tree.value(rest.join("/")), path).toBe(value);
            }
            expect(unnamed(group, trees.target)).toEqual([
                "iqn.2024-01.com.example:eve",
                "iqn.2024-01.com.example:mallory",
            ]);
        }
    });

    test("connections on a port that nvmet has and the configuration has not are read, with the kernel's log", () => {
        write(join(configfs, "nvmet/ports/1/addr_trsvcid"), "4420\n");
        sockets([
            { port: 4420, state: "0A" },
            { port: 4420, state: "01" },
            { port: 22, state: "01" },
        ]);
        const sections = observe(reference("nvmet", 4430), []);
        expect(new Set(peers(sections).map(({ local }) => local))).toEqual(new Set(["127.0.0.1:4420"]));
        expect(connected(sections)).toEqual([{ subsystem: "a", host: "b" }]);
        expect(sections.has("end")).toBe(true);
    });

    test("which hosts and ports of nvmet we made is read, with none and with many", () => {
        const nvmet = reference("nvmet", 4420);
        const made = madeDirectory(nvmet).replace("/run/blockhost-", join(directory, "run-"));
        mkdirSync(join(configfs, "nvmet"), { recursive: true });
        const read = () => {
            const sections = observe(nvmet, []);
            expect(sections.has("end")).toBe(true);
            return readOwn(parseTree(sections), new Set(), sections).made;
        };
        expect(read()).toEqual(new Set());
        for (const kind of ["hosts", "ports"]) mkdirSync(join(made, kind), { recursive: true });
        expect(read()).toEqual(new Set());
        const names = Array.from(
            { length: 1000 },
            (_, i) => `hosts/nqn.2024-01.com.example:client${String(i)}`,
        );
        for (const name of names) write(join(made, name), "");
        expect(read()).toEqual(new Set(names));
        write(join(made, "ports/25000"), "");
        expect(read()).toEqual(new Set([...names, "ports/25000"]));
        rmSync(made, { recursive: true });
    });

    test("the kernel's log is not read where nobody is connected", () => {
        write(join(configfs, "nvmet/ports/1/addr_trsvcid"), "4420\n");
        sockets([
            { port: 4420, state: "0A" },
            { port: 22, state: "01" },
        ]);
        const sections = observe(reference("nvmet", 4420), []);
        expect(sections.has("log")).toBe(false);
        expect(sections.has("end")).toBe(true);
    });

    test("what thousands of connections take to be read grows with their number, not its square", () => {
        write(join(configfs, "nvmet/ports/1/addr_trsvcid"), "4420\n");
        const seconds = (count: number) => {
            sockets(Array.from({ length: count }, () => ({ port: 4420, state: "01" as const })));
            const began = performance.now();
            expect(peers(observe(reference("nvmet", 4420), [])).length).toBeGreaterThanOrEqual(count);
            return performance.now() - began;
        };
        const few = seconds(2000);
        // Twenty times as many; the square would be 400.
        expect(seconds(40_000) / few).toBeLessThan(100);
    });
});
