import { describe, expect, test } from "vitest";
import { Secret } from "../../../provider/sh";
import { lioTarget } from "../../../provider/targets/lio";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import type { ExportWanted, Target } from "../../../provider/targets/types";
import { UNKNOWN } from "../../../provider/validate";
import { mark } from "./tgtHost";

/** What check says of a declaration for LIO and nvmet: everything at once, each by the path of its property. */

function problemsOf(of: unknown, port: number, name: string, changes: Partial<ExportWanted>) {
    const target = of as Target;
    const want: ExportWanted = {
        name: "pg",
        mark: mark("pg"),
        devicePath: "/dev/vg/pg",
        sizeBytes: 1024,
        readOnly: false,
        initiators: [{ name }],
        addresses: [],
        portals: [],
        discard: true,
        ...changes,
    };
    const ref = {
        protocol: target.protocol,
        helper: target.name,
        portals: [`10.0.0.5:${String(port)}`, `[fd00::5]:${String(port)}`],
        options: target.options.parse({}),
        stateDirectory: "/var/lib/blockhost",
    };
    return target.check(ref, want);
}

type Row = [what: string, changes: Partial<ExportWanted>, paths: string[]];

const chap = (username: string, password: string) => ({ username, password: new Secret(password) });
const CHAP = chap("alice", "Sesame-Open-1");
const MUTUAL = chap("the-target", "I-am-the-target");
const long = (start: string, length: number) => start.padEnd(length, "x");

describe("LIO", () => {
    const [A, B] = ["iqn.2024-01.com.example:a", "iqn.2024-01.com.example:b"];
    const problems = (changes: Partial<ExportWanted>) => problemsOf(lioTarget, 3260, A, changes);

    test.each<Row>([
        ["an initiator", {}, []],
        ["nobody", { initiators: [] }, ["initiators"]],
        ["addresses", { addresses: ["10.0.0.0/24"] }, ["addresses"]],
        ["addresses in place of initiators", { initiators: [], addresses: ["10.0.0.5"] }, ["addresses"]],
        ["read-only", { readOnly: true, discard: false }, []],
        ["no discard", { discard: false }, []],
        // Names.
        ["no name of iSCSI", { initiators: [{ name: "db1" }] }, ["initiators[0].iqn"]],
        ["a name of NVMe", { initiators: [{ name: "nqn.2024-01.com.example:a" }] }, ["initiators[0].iqn"]],
        ["the longest name", { initiators: [{ name: long(A, 223) }] }, []],
        ["a longer name", { initiators: [{ name: long(A, 224) }] }, ["initiators[0].iqn"]],
        ["one name twice", { initiators: [{ name: A }, { name: B }, { name: A }] }, ["initiators[2].iqn"]],
        [
            "one name in two spellings",
            { initiators: [{ name: A }, { name: A.toUpperCase() }] },
            ["initiators[1].iqn"],
        ],
        [
            "one name with two secrets",
            {
                initiators: [
                    { name: A, chap: CHAP },
                    { name: A, chap: chap("alice", "Sesame-Open-2") },
                ],
            },
            ["initiators[1].iqn"],
        ],
        ["names that are not known yet", { initiators: [{ name: UNKNOWN }, { name: UNKNOWN }] }, []],
        // Credentials.
        ["CHAP", { initiators: [{ name: A, chap: CHAP, mutualChap: MUTUAL }] }, []],
        [
            "the same CHAP for all",
            {
                initiators: [
                    { name: A, chap: CHAP },
                    { name: B, chap: CHAP },
                ],
            },
            [],
        ],
        [
            "different CHAP",
            {
                initiators: [
                    { name: A, chap: CHAP },
                    { name: B, chap: MUTUAL },
                ],
            },
            [],
        ],
        [
            "mutual CHAP for some",
            {
                initiators: [
                    { name: A, chap: CHAP, mutualChap: MUTUAL },
                    { name: B, chap: CHAP },
                ],
            },
            [],
        ],
        [
            "one user both ways",
            { initiators: [{ name: A, chap: CHAP, mutualChap: chap("alice", "I-am-the-target") }] },
            [],
        ],
        [
            "CHAP for the first alone",
            { initiators: [{ name: A, chap: CHAP }, { name: B }] },
            ["initiators[1].chap"],
        ],
        [
            "CHAP for all but the first",
            { initiators: [{ name: A }, { name: B, chap: CHAP }] },
            ["initiators[1].chap"],
        ],
        [
            "mutual CHAP alone",
            { initiators: [{ name: A, mutualChap: MUTUAL }] },
            ["initiators[0].mutualChap"],
        ],
        [
            "one secret both ways",
            { initiators: [{ name: A, chap: CHAP, mutualChap: chap("the-target", "Sesame-Open-1") }] },
            ["initiators[0].mutualChap.password"],
        ],
        [
            "secrets that are not known yet",
            {
                initiators: [
                    { name: A, chap: chap("alice", UNKNOWN), mutualChap: chap("the-target", UNKNOWN) },
                ],
            },
            [],
        ],
        [
            "what LIO takes for no secret",
            {
                initiators: [
                    {
                        name: A,
                        chap: chap("NULL-alice", "NULL-Sesame-1"),
                        mutualChap: chap("NULL", "NULL-Target-1"),
                    },
                ],
            },
            ["chap.username", "chap.password", "mutualChap.username", "mutualChap.password"].map(
                (path) => `initiators[0].${path}`,
            ),
        ],
        [
            "NULL further on, and in lower case",
            { initiators: [{ name: A, chap: chap("aNULL", "null-Sesame-1") }] },
            [],
        ],
        ["the longest secret", { initiators: [{ name: A, chap: chap("alice", long("s", 255)) }] }, []],
        [
            "a longer secret",
            { initiators: [{ name: A, chap: chap("alice", long("s", 256)) }] },
            ["initiators[0].chap.password"],
        ],
        [
            "a short secret",
            { initiators: [{ name: A, chap: chap("alice", "short-secre") }] },
            ["initiators[0].chap.password"],
        ],
        [
            "a short secret for the way back",
            { initiators: [{ name: A, chap: CHAP, mutualChap: chap("the-target", "short") }] },
            ["initiators[0].mutualChap.password"],
        ],
        // Portals and devices.
        ["a portal of ours", { portals: ["[FD00:0::5]:3260"] }, []],
        ["a portal of elsewhere", { portals: ["10.0.0.6:3260"] }, ["portals[0]"]],
        ["one portal twice", { portals: ["10.0.0.5:3260", "10.0.0.5:03260"] }, ["portals[1]"]],
        ["the longest path of a device", { devicePath: long("/dev/", 511) }, []],
        ["a longer path of a device", { devicePath: long("/dev/", 512) }, ["devicePath"]],
        ["the longest path of a file", { devicePath: long("/srv/", 255) }, []],
        ["a longer path of a file", { devicePath: long("/srv/", 256) }, ["devicePath"]],
        ["a path with more bytes than characters", { devicePath: `/srv/${"ä".repeat(126)}` }, ["devicePath"]],
        ["a path with a comma", { devicePath: "/srv/a,b" }, ["devicePath"]],
        ["a path with a line end", { devicePath: "/srv/a\nb" }, ["devicePath"]],
        ["a relative path", { devicePath: "srv/a" }, ["devicePath"]],
        ["a path that is not known yet", { devicePath: UNKNOWN }, []],
        [
            "all at once",
            { initiators: [{ name: "db1", chap: CHAP }, { name: "db1" }], portals: ["x"], devicePath: "x" },
            [
                "initiators[0].iqn",
                "initiators[1].iqn",
                "initiators[1].iqn",
                "initiators[1].chap",
                "portals[0]",
                "devicePath",
            ],
        ],
    ])("%s", (_, changes, expected) => {
        expect(problems(changes).map(({ path }) => path)).toEqual(expected);
    });

    test("a secret is never quoted", () => {
        const initiators = [
            {
                name: A,
                chap: chap("alice", "NULL-Sesame-1"),
                mutualChap: chap("the-target", "NULL-Sesame-1"),
            },
            { name: B, chap: chap("bob", "short") },
        ];
        const said = problems({ initiators });
        expect(said.length).toBeGreaterThan(3);
        expect(JSON.stringify(said)).not.toMatch(/Sesame|short"/);
    });

    test("one in another's place is named", () => {
        expect(problems({ initiators: [{ name: A }, { name: A }] })[0]?.reason).toBe(
            "is the same as initiators[0].iqn",
        );
    });
});

describe("nvmet", () => {
    const [A, B] = ["nqn.2024-01.com.example:a", "nqn.2024-01.com.example:b"];
    // Of the bytes 0 to 31, and 0 to 47.
    const KEY = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
    const OTHER = "DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:";
    const dhchap = (key: string, controllerKey?: string) => ({
        key: new Secret(key),
        ...(controllerKey === undefined ? {} : { controllerKey: new Secret(controllerKey) }),
    });
    const problems = (changes: Partial<ExportWanted>) => problemsOf(nvmetTarget, 4420, A, changes);

    test.each<Row>([
        ["a host", {}, []],
        ["nobody", { initiators: [] }, ["initiators"]],
        ["addresses", { addresses: ["10.0.0.0/24"] }, ["addresses"]],
        ["addresses in place of hosts", { initiators: [], addresses: ["10.0.0.5"] }, ["addresses"]],
        ["read-only", { readOnly: true, discard: false }, ["readOnly"]],
        ["read-only with discard", { readOnly: true }, ["readOnly"]],
        ["no discard", { discard: false }, ["discard"]],
        // Names.
        ["no name of NVMe", { initiators: [{ name: "db1" }] }, ["initiators[0].nqn"]],
        ["a name of iSCSI", { initiators: [{ name: "iqn.2024-01.com.example:a" }] }, ["initiators[0].nqn"]],
        ["the longest name", { initiators: [{ name: long(A, 222) }] }, []],
        ["a longer name", { initiators: [{ name: long(A, 223) }] }, ["initiators[0].nqn"]],
        ["one name twice", { initiators: [{ name: A }, { name: B }, { name: A }] }, ["initiators[2].nqn"]],
        [
            "names that differ in case",
            { initiators: [{ name: A }, { name: "nqn.2024-01.com.example:A" }] },
            [],
        ],
        [
            "one name with two keys",
            {
                initiators: [
                    { name: A, dhchap: dhchap(KEY) },
                    { name: A, dhchap: dhchap(OTHER) },
                ],
            },
            ["initiators[1].nqn"],
        ],
        ["names that are not known yet", { initiators: [{ name: UNKNOWN }, { name: UNKNOWN }] }, []],
        // Keys; they are a host's, so each may have its own or none.
        ["keys both ways", { initiators: [{ name: A, dhchap: dhchap(KEY, OTHER) }] }, []],
        ["keys for some", { initiators: [{ name: A, dhchap: dhchap(KEY) }, { name: B }] }, []],
        [
            "one key both ways",
            { initiators: [{ name: A, dhchap: dhchap(KEY, KEY) }] },
            ["initiators[0].dhchap.controllerKey"],
        ],
        [
            "no key",
            { initiators: [{ name: A, dhchap: dhchap("secret", OTHER) }] },
            ["initiators[0].dhchap.key"],
        ],
        [
            "no key back",
            { initiators: [{ name: B, dhchap: dhchap(KEY, "") }] },
            ["initiators[0].dhchap.controllerKey"],
        ],
        ["a key that is not known yet", { initiators: [{ name: A, dhchap: dhchap(UNKNOWN, UNKNOWN) }] }, []],
        // Portals and devices.
        ["a portal of elsewhere", { portals: ["10.0.0.5:3260"] }, ["portals[0]"]],
        ["one portal twice", { portals: ["10.0.0.5:4420", "10.0.0.5:4420"] }, ["portals[1]"]],
        ["the longest path", { devicePath: long("/srv/", 1000) }, []],
        ["a longer path", { devicePath: long("/srv/", 1001) }, ["devicePath"]],
        ["a relative path", { devicePath: "srv/a" }, ["devicePath"]],
        [
            "all at once",
            {
                initiators: [{ name: "db1" }],
                addresses: ["10.0.0.5"],
                discard: false,
                portals: ["x"],
                devicePath: "x",
            },
            ["addresses", "initiators[0].nqn", "discard", "portals[0]", "devicePath"],
        ],
    ])("%s", (_, changes, expected) => {
        expect(problems(changes).map(({ path }) => path)).toEqual(expected);
    });

    test("a key is never quoted", () => {
        const broken = KEY.replace("AAEC", "AAED");
        const said = problems({ initiators: [{ name: A, dhchap: dhchap(broken, broken) }] });
        expect(said).toHaveLength(3);
        expect(JSON.stringify(said)).not.toContain("AAED");
    });
});
