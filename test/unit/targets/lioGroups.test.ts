import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IN_USE } from "../../../provider/host/plan";
import type { Sh } from "../../../provider/sh";
import { Sections } from "../../../provider/targets/configfs/sections";
import { Tree } from "../../../provider/targets/configfs/tree";
import { faults } from "../../../provider/targets/lio/faults";
import {
    declare,
    type LioContext,
    type LioDeclared,
    type LioExport,
} from "../../../provider/targets/lio/model";
import { readOwn } from "../../../provider/targets/lio/own";
import { sessions } from "../../../provider/targets/lio/sessions";
import { dropPortalGroup, guard } from "../../../provider/targets/lio/take";
import type { ExportWanted } from "../../../provider/targets/types";

/** Who is logged in to which portal group of an export's target, who must not be cut off, and what others have beside. */

const CLIENT = "iqn.2024-01.com.example:client";
const target = "iscsi/iqn.2010-10.org.blockhost:pg:01234567";
const declared = {
    backstore: "core/iblock_1/pg.01234567",
    target,
    devicePath: "/dev/vg/pg",
    initiators: [CLIENT],
    listen: [],
    users: {},
} as unknown as LioDeclared;
const SESSION = "LIO Session ID: 3   ISID: 0x00 ...";

test("an initiator of the export's own group loses nothing with another group, though that names it, too", () => {
    const tree = new Tree();
    for (const group of ["tpgt_1", "tpgt_2"]) tree.addDirectory(`${target}/${group}/acls/${CLIENT}`);
    const info = (group: string, line: string) =>
        tree.addLine(`${target}/${group}/acls/${CLIENT}/info`, line);
    info("tpgt_1", SESSION);
    info("tpgt_2", "No active iSCSI Session for Initiator Endpoint");
    tree.addLine(`${target}/tpgt_2/dynamic_sessions`, "\0");
    const live = { tree, listeners: [], sections: new Sections("") };
    expect(sessions(declared, live)).toEqual([{ initiator: CLIENT }]);
    const [other] = faults(declared, {}, live);
    expect(other).toMatchObject({
        text: "portals: there is a portal group 2 too",
        cuts: { group: `${target}/tpgt_2` },
    });
    tree.addLine(`${target}/tpgt_2/dynamic_sessions`, "iqn.2024-01.com.example:eve");
    expect(sessions(declared, live)).toEqual([
        { initiator: CLIENT },
        { initiator: "iqn.2024-01.com.example:eve", group: `${target}/tpgt_2` },
    ]);
});

describe("faults", () => {
    const group = `${target}/tpgt_1`;
    const made = (more: (tree: Tree) => void, of: Partial<LioDeclared> = {}) => {
        const tree = new Tree();
        for (const name of [declared.backstore, group]) tree.addDirectory(name);
        tree.addLine(`${declared.backstore}/enable`, "1");
        tree.addLine(`${declared.backstore}/info`, "iBlock: UDEV PATH: /dev/vg/pg  readonly: 0");
        tree.addLink(`${group}/lun/lun_0/blockhost`, declared.backstore);
        tree.addDirectory(`${group}/acls/${CLIENT}/lun_0`);
        tree.addLink(`${group}/acls/${CLIENT}/lun_0/blockhost`, `${group}/lun/lun_0`);
        more(tree);
        return faults(
            { ...declared, readOnly: false, ...of },
            {},
            { tree, listeners: [], sections: new Sections("") },
        );
    };

    test.each([
        [true, "0", "all"],
        [false, "1", undefined],
    ])("where write_protect is to be %s, who is cut off by putting it back", (readOnly, value, cuts) => {
        const found = made(
            (tree) => {
                tree.addLine(`${group}/acls/${CLIENT}/lun_0/write_protect`, value);
            },
            { readOnly },
        ).find(({ text }) => text.startsWith(`readOnly: ${CLIENT}`));
        expect(found?.cuts).toEqual(cuts);
    });

    test("what initiators are shown of a unit that somebody has added goes before the unit", () => {
        const taken = made((tree) => {
            tree.addDirectory(`${group}/lun/lun_1`);
            for (const path of [`${CLIENT}/lun_5`, "iqn.2024-01.com.example:eve/lun_0"]) {
                tree.addDirectory(`${group}/acls/${path}`);
                tree.addLink(`${group}/acls/${path}/x`, `${group}/lun/lun_1`);
            }
        })
            .filter(({ take }) => take !== undefined)
            .map(({ text }) => text);
        expect(taken).toEqual([
            "initiators: iqn.2024-01.com.example:eve is admitted",
            `devicePath: ${CLIENT} is shown lun_5 too`,
            "devicePath: there is a LUN 1 too",
        ]);
    });
});

describe("what is chosen for an export", () => {
    const PORTAL = "10.0.0.5:3260";
    const want = {
        name: "new",
        mark: { generation: "fedcba9876543210" },
        devicePath: "/srv/new.img",
        sizeBytes: 1,
        initiators: [],
        addresses: [],
        portals: [],
    } as unknown as ExportWanted;
    const context = (facts: object, blockSize?: number) =>
        ({
            target: { portals: [PORTAL], options: { blockSize } },
            facts: { exports: new Map(), ...facts },
        }) as unknown as LioContext;
    const ours = (portals: string[], listen: string[]) => ({
        exports: new Map([["old", { name: "old", declared: { portals, listen } }]]),
    });
    const others = (...portals: string[]) => {
        const tree = new Tree();
        for (const portal of portals)
            tree.addDirectory(`iscsi/iqn.2003-01.org.linux-iscsi:x/tpgt_1/np/${portal}`);
        return { extra: { own: readOwn(tree, new Set()), live: { tree } } };
    };
    const listen = (facts: object) => declare(context(facts), want, "iqn.x").declared.listen;

    test.each([
        ["nobody listens", {}, PORTAL],
        ["somebody's target listens on all addresses", others("0.0.0.0:3260"), "0.0.0.0:3260"],
        ["and on the portal itself", others("0.0.0.0:3260", PORTAL), PORTAL],
        ["ours do, beside a target that is gone by now", ours([PORTAL], ["0.0.0.0:3260"]), "0.0.0.0:3260"],
        ["ours do, as they were told", ours(["0.0.0.0:3260"], ["0.0.0.0:3260"]), PORTAL],
    ])("where %s", (_, facts, chosen) => {
        expect(listen(facts)).toEqual([chosen]);
    });

    test("somebody's portals are known in any spelling", () => {
        expect([...readOwn(new Tree(), new Set()).portals]).toEqual([]);
        expect([...others("[::0]:3260").extra.own.portals.keys()]).toEqual(["[::]:3260"]);
    });

    test("the block size of a file that is served already stays, whatever the options are by now", () => {
        const chosen = (option: number | undefined, live?: string) => {
            const { backstore } = declare(context({}), want, "iqn.x").declared;
            const tree = new Tree();
            if (live !== undefined) tree.addLine(`${backstore}/attrib/block_size`, live);
            const extra = { live: { tree } };
            return declare(context({ extra }, option), want, "iqn.x").declared.blockSize;
        };
        expect([chosen(undefined), chosen(4096)]).toEqual([undefined, 4096]);
        expect([chosen(undefined, "4096"), chosen(4096, "4096"), chosen(4096, "512")]).toEqual([
            4096,
            4096,
            undefined,
        ]);
    });
});

describe.each([[["dash"]], [["bash", "--posix"]], [["busybox", "sh"]]])("in %j", (shell) => {
    let directory: string;
    beforeEach(() => {
        directory = mkdtempSync(join(tmpdir(), "bh lio-"));
    });
    afterEach(() => {
        rmSync(directory, { recursive: true });
    });
    const put = (path: string, text: string) => {
        mkdirSync(dirname(join(directory, target, path)), { recursive: true });
        writeFileSync(join(directory, target, path), text);
    };
    const run = (script: Sh) => {
        const [command = "sh", ...args] = shell;
        const { status, stderr } = spawnSync(command, args, {
            cwd: directory,
            input: `${script.text}\nexit 0`,
            encoding: "utf8",
        });
        return { status, stderr };
    };
    const one = (...known: string[]) =>
        ({ declared, sessions: known.map((initiator) => ({ initiator })) }) as unknown as LioExport;
    const refused = (name: string) => ({ status: IN_USE, stderr: `initiator ${name} is logged in\n` });
    const fine = { status: 0, stderr: "" };

    test.each([
        ["tpgt_1/acls/.eve/info", SESSION, ".eve"],
        [String.raw`tpgt_2/acls/a\cb/info`, SESSION, String.raw`a\cb`],
        ["tpgt_1/dynamic_sessions", "eve\n\0mallory\n\0", "mallory"],
        ["tpgt_2/dynamic_sessions", "mallory\n\0", "mallory"],
    ])("who has come since is seen: %s", (path, text, name) => {
        put(`tpgt_1/acls/${CLIENT}/info`, `${SESSION}\n`);
        put("tpgt_2/acls/idle/info", "No active iSCSI Session\n");
        expect(run(guard(one(CLIENT), "all"))).toEqual(fine);
        put(path, `${text}\n`);
        expect(run(guard(one(CLIENT, "eve"), "all"))).toEqual(refused(name));
        expect(run(guard(one(CLIENT, "eve", name), "all"))).toEqual(fine);
        // It is not them whom this ends.
        expect(run(guard(one(), [CLIENT]))).toEqual(refused(CLIENT));
        expect(run(guard(one(CLIENT), [CLIENT, "gone"]))).toEqual(fine);
    });

    test("a group is left as it is where somebody has come to it", () => {
        put("tpgt_2/enable", "1\n");
        put("tpgt_2/acls/.eve/info", `${SESSION}\n`);
        expect(run(dropPortalGroup(`${target}/tpgt_2`, []))).toEqual(refused(".eve"));
        const enable = join(directory, target, "tpgt_2/enable");
        expect(readFileSync(enable, "utf8")).toBe("1\n");
        rmSync(join(directory, target, "tpgt_2/acls/.eve/info"));
        // Attributes of the kernel's go with their directories; files do not.
        run(dropPortalGroup(`${target}/tpgt_2`, []));
        expect(readFileSync(enable, "utf8")).toBe("0");
        expect(existsSync(join(directory, target, "tpgt_2/acls/.eve"))).toBe(false);
    });
});
