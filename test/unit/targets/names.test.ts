import { describe, expect, test } from "vitest";
import { addressAdmitted, aclAddress, addressProblem } from "../../../provider/targets/address";
import { chapFingerprint, chapProblems } from "../../../provider/targets/chap";
import { iscsiNameProblem, targetName, targetPrefixProblem } from "../../../provider/targets/iqn";
import { covers, normalizePortal, parsePortal } from "../../../provider/targets/portal";
import { findTarget, helperNames } from "../../../provider/targets/registry";
import { unitIdentity } from "../../../provider/targets/serial";
import { Secret } from "../../../provider/sh";

/** What all iSCSI targets share: names, addresses, portals, secrets. */

describe("iSCSI names", () => {
    test.each([
        "iqn.2024-01.com.example:db1",
        "iqn.1993-08.org.debian:01:3d2f3bfa0e",
        "iqn.1991-05.com.microsoft:WIN-1.corp.example",
        "iqn.2024-12.com.example",
        "eui.02004567A425678D",
        "naa.52004567BA64678D",
        "naa.62004567BA64678D0123456789ABCDEF",
    ])("%s is one", (name) => {
        expect(iscsiNameProblem(name)).toBeUndefined();
    });

    test.each([
        "",
        "db1",
        "iqn.",
        "iqn.2024-13.com.example:x",
        "iqn.24-01.com.example:x",
        "iqn.2024-01.com.example:",
        "iqn.2024-01.com.example: x",
        "iqn.2024-01.com.example:x_y",
        "iqn.2024-01.com.example:x,y",
        "iqn.2024-01.com.example:x\n",
        "iqn.2024-01.com.example:$(id)",
        "iqn.2024-01.com.example:ä",
        "eui.123",
        "naa.123",
        `iqn.2024-01.com.example:${"x".repeat(200)}`,
    ])("%j is none, and says so without quoting all of it", (name) => {
        const problem = iscsiNameProblem(name);
        expect(problem).toBeDefined();
        expect(problem?.length).toBeLessThan(320);
    });

    test("a target's name is readable, valid and new for each generation", () => {
        const name = targetName("iqn.2010-10.org.blockhost:", "My_Data.1", "0123456789abcdef");
        expect(name).toBe("iqn.2010-10.org.blockhost:my-data.1:01234567");
        expect(iscsiNameProblem(name)).toBeUndefined();
        expect(targetName("iqn.2010-10.org.blockhost:", "My_Data.1", "1123456789abcdef")).not.toBe(name);
    });

    test("the longest prefix and export name fit", () => {
        const prefix = `iqn.2010-10.org.blockhost:${"x".repeat(151 - 26)}`;
        expect(targetPrefixProblem(prefix)).toBeUndefined();
        expect(iscsiNameProblem(targetName(prefix, "a".repeat(63), "0123456789abcdef"))).toBeUndefined();
        expect(targetPrefixProblem(`${prefix}x`)).toMatch(/at most/);
    });

    test.each([
        "",
        "iqn.2010-10.org.blockhost",
        "IQN.2010-10.org.blockhost:",
        "iqn.2010-10.org.blockhost:a_",
        "x:",
    ])("%j is no prefix", (prefix) => {
        expect(targetPrefixProblem(prefix)).toBeDefined();
    });
});

test("a unit's identity follows from its generation", () => {
    const { serial, naa } = unitIdentity("0123456789abcdef");
    expect(serial).toBe("0123456789abcdef");
    expect(naa).toMatch(/^6[0-9a-f]{31}$/);
    expect(unitIdentity("0123456789abcdee").naa).not.toBe(naa);
});

describe("addresses", () => {
    test.each([
        "10.0.0.5",
        "10.0.0.0/24",
        "0.0.0.0/0",
        "10.0.0.5/32",
        "fd00::5",
        "FD00::/64",
        "::/0",
        "::1/128",
    ])("%s is one", (address) => {
        expect(addressProblem(address)).toBeUndefined();
    });

    test.each([
        "",
        "ALL",
        "localhost",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.5/24",
        "10.0.0.0/33",
        "10.0.0.0/",
        "fd00::1/64",
        "::ffff:10.0.0.5",
        "[::1]",
        "10.0.0.5 ",
        "$(id)",
    ])("%j is none", (address) => {
        expect(addressProblem(address)).toBeDefined();
    });

    test("are written for tgtd so that they match what they say", () => {
        expect(aclAddress("10.0.0.5/32")).toEqual(["10.0.0.5"]);
        expect(aclAddress("0.0.0.0/0")).toEqual(["0.0.0.0/1", "128.0.0.0/1"]);
        expect(aclAddress("::/0")).toEqual(["::/1", "8000::/1"]);
        expect(aclAddress("FD00:0::/64")).toEqual(["fd00::/64"]);
        expect(aclAddress("::1/128")).toEqual(["::1"]);
    });

    test("contain what they contain", () => {
        expect(addressAdmitted("10.0.0.77", ["10.0.0.64/27"])).toBe(true);
        expect(addressAdmitted("10.0.0.97", ["10.0.0.64/27"])).toBe(false);
        expect(addressAdmitted("fd00::abcd", ["10.0.0.0/8", "fd00::/64"])).toBe(true);
        expect(addressAdmitted("fd00:0:0:1::1", ["fd00::/64"])).toBe(false);
        expect(addressAdmitted("10.0.0.1", ["0.0.0.0/0"])).toBe(true);
        expect(addressAdmitted("::1", ["0.0.0.0/0"])).toBe(false);
        expect(addressAdmitted("nonsense", ["0.0.0.0/0"])).toBe(false);
    });
});

describe("portals", () => {
    test("have one spelling", () => {
        expect(normalizePortal("[FD00:0:0::5]:3260")).toBe("[fd00::5]:3260");
        expect(normalizePortal("10.0.0.5:03260")).toBe("10.0.0.5:3260");
    });

    test.each([
        "",
        "10.0.0.5",
        "10.0.0.5:0",
        "10.0.0.5:65536",
        "fd00::5:3260",
        "[10.0.0.5]:3260",
        "host:3260",
        "10.0.0.300:1",
    ])("%j is none", (portal) => {
        expect(parsePortal(portal)).toBeUndefined();
    });

    test("are covered by themselves and by all addresses of their family", () => {
        const at = (text: string) => {
            const portal = parsePortal(text);
            if (portal === undefined) throw new Error(text);
            return portal;
        };
        expect(covers(at("0.0.0.0:3260"), at("10.0.0.5:3260"))).toBe(true);
        expect(covers(at("[::]:3260"), at("10.0.0.5:3260"))).toBe(false);
        expect(covers(at("[::]:3260"), at("[fd00::5]:3260"))).toBe(true);
        expect(covers(at("10.0.0.5:3260"), at("10.0.0.5:3261"))).toBe(false);
    });
});

describe("CHAP", () => {
    const problems = (username: string, password: string) =>
        chapProblems({ username, password: new Secret(password) }, "chap", 255).map(({ path }) => path);

    test("asks for 12 bytes and takes no more than the target", () => {
        expect(problems("db1", "x".repeat(11))).toEqual(["chap.password"]);
        expect(problems("db1", "x".repeat(12))).toEqual([]);
        expect(problems("db1", "x".repeat(255))).toEqual([]);
        expect(problems("db1", "x".repeat(256))).toEqual(["chap.password"]);
        expect(problems("db1", "ääääää")).toEqual(["chap.password"]);
        expect(problems("db1", "twelve bytes ")).toEqual(["chap.password"]);
        expect(problems("db1", "twelve,bytes\n")).toEqual(["chap.password"]);
    });

    test.each(["", "a,b", "a b", "-a", "ä", "a\nb", "a'b", "$(id)", "x".repeat(224)])(
        "%j is no user name",
        (username) => {
            expect(problems(username, "x".repeat(12))).toEqual(["chap.username"]);
        },
    );

    test("never quotes a secret in a problem", () => {
        const reasons = chapProblems({ username: "a,b", password: new Secret("short") }, "chap", 255);
        expect(JSON.stringify(reasons)).not.toContain("short");
    });

    test("fingerprints tell secrets apart, by user", () => {
        const chap = (username: string, password: string) =>
            chapFingerprint({ username, password: new Secret(password) });
        expect(chap("a", "x".repeat(12))).toBe(chap("a", "x".repeat(12)));
        expect(chap("a", "x".repeat(12))).not.toBe(chap("b", "x".repeat(12)));
        expect(chap("a", "x".repeat(12))).not.toBe(chap("a", "x".repeat(13)));
    });
});

test("the registry knows helpers by name and protocol", () => {
    expect(findTarget("tgt", "iscsi")?.name).toBe("tgt");
    expect(findTarget("tgt", "nvme-tcp")).toBeUndefined();
    expect(findTarget("lio", "iscsi")?.name).toBe("lio");
    expect(findTarget("nvmet", "iscsi")).toBeUndefined();
    expect(helperNames("iscsi")).toEqual(["tgt", "lio"]);
    expect(helperNames("nvme-tcp")).toEqual(["nvmet"]);
});
