import { spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { body } from "../../../provider/clients/body";
import { takeDown } from "../../../provider/clients/detach";
import { Secret } from "../../../provider/sh";
import type { Declared } from "../../../provider/clients/types";

/** Node records that a power cut has left without content, with an `iscsiadm` that does what open-iscsi does to files. */

const TARGET = "iqn.2010-10.org.blockhost:pg:8043fcdb";
const directory = mkdtempSync(join(tmpdir(), "bh-records-"));
const nodes = join(directory, "nodes");
beforeEach(() => {
    rmSync(nodes, { recursive: true, force: true });
    mkdirSync(nodes);
});
afterAll(() => {
    rmSync(directory, { recursive: true });
});

const declared: Declared = {
    digest: "",
    protocol: "iscsi",
    target: TARGET,
    portals: ["10.0.0.5:3260"],
    unit: 0,
    serial: "8043fcdb66447f59",
    paths: "one",
    multipath: "none",
    initiator: "iqn.2024-01.com.example:db1",
};

const ISCSIADM = `iscsiadm() {
    f=$(find ${nodes} -type f)
    case "$*" in
        '-m session') return 21 ;;
        *'-o new'*) mkdir -p ${nodes}/${TARGET} && printf '%s\\n' '# BEGIN RECORD' 'node.name = ${TARGET}' 'node.startup = manual' '# END RECORD' > ${nodes}/${TARGET}/10.0.0.5,3260 ;;
        *--login*) grep -qs '^node.name' $f || { echo 'iscsiadm: No records found' >&2; return 21; } ;;
        *'-o delete'*) [ -s "$f" ] || { echo 'iscsiadm: No records found' >&2; return 21; }; rm "$f" && rmdir ${nodes}/${TARGET} ;;
    esac
}
systemctl() { :; }
modprobe() { :; }`;

function run(script: string, ...stage: string[]) {
    const text = script
        .replaceAll("/etc/iscsi", directory)
        .replaceAll("/var/lib/iscsi", "/nonexistent")
        .replaceAll("/proc/net/unix", "/nonexistent");
    return spawnSync("sh", ["-s", "--", ...stage], {
        input: `(${ISCSIADM}\n${text}\n)`,
        encoding: "utf8",
    });
}

describe.each([
    ["of its portal", "10.0.0.5,3260"],
    ["of its portal, portal group and interface", "10.0.0.5,3260,1/default"],
])("a node record %s", (_what, path) => {
    const record = join(nodes, TARGET, path);
    const leave = (text: string) => {
        mkdirSync(dirname(record), { recursive: true });
        writeFileSync(record, text);
    };

    test.each([
        ["is empty", ""],
        ["is full of NULs", "\0".repeat(64)],
        ["ends too early", `# BEGIN RECORD\nnode.name = ${TARGET}\n`],
    ])("that %s is made anew", (_how, text) => {
        leave(text);
        const chap = { chap: { username: "db1", password: new Secret("Open-Sesame-123") } };
        const script = body(declared, chap, 0, "/nonexistent").text;
        const { status, stderr } = run(script, "login");
        expect(stderr).toBe("");
        expect(status).toBe(0);
        const made = readFileSync(join(nodes, TARGET, "10.0.0.5,3260"), "utf8");
        expect(made).toContain(`node.name = ${TARGET}\n`);
        expect(made).toContain("node.startup = automatic\n");
        expect(existsSync(dirname(record)) && dirname(record) !== join(nodes, TARGET)).toBe(false);
    });

    test("that is empty goes with its attachment", () => {
        leave("");
        const { status, stderr } = run(takeDown(declared).text);
        expect(stderr).toBe("");
        expect(status).toBe(0);
        expect(readdirSync(nodes)).toEqual([]);
    });
});

test("one that was being written when a run was cut short, with its secrets, goes with the attachment, too", () => {
    writeFileSync(join(directory, ".blockhost.new"), "node.session.auth.password = Open-Sesame-123\n");
    expect(run(takeDown(declared).text)).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(directory)).toEqual(["nodes"]);
});
