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
import type { LioDeclared, LioExport } from "../../../provider/targets/lio/model";
import { sessions } from "../../../provider/targets/lio/sessions";
import { dropPortalGroup, guard } from "../../../provider/targets/lio/take";

/** Who is logged in to which portal group of an export's target, and who must not be cut off. */

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
