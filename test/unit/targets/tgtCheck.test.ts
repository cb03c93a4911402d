import { describe, expect, test } from "vitest";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { ExportWanted, TargetRef } from "../../../provider/targets/types";
import type { TgtOptions } from "../../../provider/targets/tgt/options";
import { UNKNOWN } from "../../../provider/validate";
import { mark } from "./tgtHost";

const REF: TargetRef<TgtOptions> = {
    protocol: "iscsi",
    helper: "tgt",
    portals: ["10.0.0.5:3260", "[fd00::5]:3260"],
    options: { prefix: "iqn.2010-10.org.blockhost:", controlPort: 0 },
    stateDirectory: "/var/lib/blockhost",
};
const [A, B] = ["iqn.2024-01.com.example:a", "iqn.2024-01.com.example:b"];
const chap = (username: string, password: string) => ({ username, password: new Secret(password) });
const CHAP = chap("alice", "Sesame-Open-1");
const MUTUAL = chap("the-target", "I-am-the-target");

function paths(changes: Partial<ExportWanted>): string[] {
    const want: ExportWanted = {
        name: "pg",
        mark: mark("pg"),
        devicePath: "/srv/pool/pg.img",
        sizeBytes: 1024,
        readOnly: false,
        initiators: [{ name: A }],
        addresses: [],
        portals: [],
        discard: false,
        ...changes,
    };
    return tgtTarget.check(REF, want).map(({ path }) => path);
}

describe("a declaration that tgt can carry out", () => {
    test.each<[string, Partial<ExportWanted>]>([
        ["an initiator", {}],
        ["addresses in its place", { initiators: [], addresses: ["10.0.0.0/24", "fd00::5"] }],
        ["CHAP", { initiators: [{ name: A, chap: CHAP }] }],
        [
            "the same CHAP for all",
            {
                initiators: [
                    { name: A, chap: CHAP },
                    { name: B, chap: CHAP },
                ],
            },
        ],
        ["mutual CHAP", { initiators: [{ name: A, chap: CHAP, mutualChap: MUTUAL }] }],
        ["a portal in another spelling", { portals: ["[FD00:0::5]:3260"] }],
        [
            "values that are not known yet",
            {
                initiators: [
                    { name: UNKNOWN, chap: chap("alice", UNKNOWN), mutualChap: chap("the-target", UNKNOWN) },
                    { name: A, chap: CHAP, mutualChap: MUTUAL },
                ],
                portals: [UNKNOWN],
                devicePath: UNKNOWN,
            },
        ],
    ])("%s", (_, changes) => {
        expect(paths(changes)).toEqual([]);
    });
});

describe("a declaration that tgt cannot carry out", () => {
    test.each<[string, Partial<ExportWanted>, string[]]>([
        ["nobody", { initiators: [] }, ["initiators"]],
        ["names and addresses", { addresses: ["10.0.0.0/24"] }, ["addresses"]],
        ["a malformed name", { initiators: [{ name: "db1" }] }, ["initiators[0].iqn"]],
        ["one name twice", { initiators: [{ name: A }, { name: A.toUpperCase() }] }, ["initiators[1].iqn"]],
        ["CHAP for some", { initiators: [{ name: A, chap: CHAP }, { name: B }] }, ["initiators[1].chap"]],
        ["CHAP for others", { initiators: [{ name: A }, { name: B, chap: CHAP }] }, ["initiators[1].chap"]],
        [
            "different CHAP",
            {
                initiators: [
                    { name: A, chap: CHAP },
                    { name: B, chap: chap("bob", "Sesame-Open-1") },
                ],
            },
            ["initiators[1].chap"],
        ],
        [
            "a short secret",
            { initiators: [{ name: A, chap: chap("alice", "short") }] },
            ["initiators[0].chap.password"],
        ],
        [
            "a long secret",
            { initiators: [{ name: A, chap: chap("alice", "x".repeat(256)) }] },
            ["initiators[0].chap.password"],
        ],
        [
            "a user name with a comma",
            { initiators: [{ name: A, chap: chap("a,b", "Sesame-Open-1") }] },
            ["initiators[0].chap.username"],
        ],
        [
            "mutual CHAP alone",
            { initiators: [{ name: A, mutualChap: MUTUAL }] },
            ["initiators[0].mutualChap"],
        ],
        [
            "mutual CHAP for some",
            {
                initiators: [
                    { name: A, chap: CHAP, mutualChap: MUTUAL },
                    { name: B, chap: CHAP },
                ],
            },
            ["initiators[1].mutualChap"],
        ],
        [
            "different mutual CHAP",
            {
                initiators: [
                    { name: A, chap: CHAP, mutualChap: MUTUAL },
                    { name: B, chap: CHAP, mutualChap: chap("the-target", "I-am-another-1") },
                ],
            },
            ["initiators[1].mutualChap"],
        ],
        [
            "one secret both ways",
            { initiators: [{ name: A, chap: CHAP, mutualChap: chap("the-target", "Sesame-Open-1") }] },
            ["initiators[0].mutualChap.password"],
        ],
        [
            "one user both ways",
            { initiators: [{ name: A, chap: CHAP, mutualChap: chap("alice", "I-am-the-target") }] },
            ["initiators[0].mutualChap.username"],
        ],
        ["a malformed address", { initiators: [], addresses: ["10.0.0.300"] }, ["addresses[0]"]],
        ["one address twice", { initiators: [], addresses: ["10.0.0.3", "10.0.0.3"] }, ["addresses[1]"]],
        ["a portal of elsewhere", { portals: ["10.0.0.6:3260"] }, ["portals[0]"]],
        ["a malformed portal", { portals: ["somewhere"] }, ["portals[0]"]],
        ["one portal twice", { portals: ["10.0.0.5:3260", "10.0.0.5:03260"] }, ["portals[1]"]],
        ["a path with a comma", { devicePath: "/srv/a,b" }, ["devicePath"]],
        ["a path with a line end", { devicePath: "/srv/a\nb" }, ["devicePath"]],
        ["a relative path", { devicePath: "srv" }, ["devicePath"]],
        ["a path that is too long", { devicePath: `/${"x".repeat(1000)}` }, ["devicePath"]],
    ])("%s", (_, changes, expected) => {
        expect(paths(changes)).toEqual(expected);
    });
});

test("options have defaults, and unknown ones are refused", () => {
    expect(tgtTarget.options.parse({})).toEqual({ prefix: "iqn.2010-10.org.blockhost:", controlPort: 0 });
    expect(tgtTarget.options.safeParse({ prefx: "x" }).success).toBe(false);
    expect(tgtTarget.options.safeParse({ prefix: "nonsense" }).success).toBe(false);
    expect(tgtTarget.options.safeParse({ controlPort: -1 }).success).toBe(false);
});
