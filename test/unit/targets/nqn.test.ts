import { describe, expect, test } from "vitest";
import {
    isSubsystemOf,
    nqnProblem,
    subsystemName,
    subsystemPrefixProblem,
} from "../../../provider/targets/nqn";

/** Names of NVMe hosts and subsystems. */

const START = "nqn.2024-01.com.example:";
const long = (length: number) => START.padEnd(length, "x");

describe("NVMe names", () => {
    test.each([
        "nqn.2024-01.com.example:db1",
        "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "nqn.2014-08.com.example:nvme.host.sys.xyz",
        "nqn.2024-01.com.example",
        "nqn.2024-12.com.Ex-ample:A_b.c-d:e",
        "nqn.2014-08.org.nvmexpress.discovery:x",
        long(222),
    ])("%s is one", (name) => {
        expect(nqnProblem(name)).toBeUndefined();
    });

    test.each<[string, RegExp]>([
        ["", /is not an NVMe/],
        ["db1", /is not an NVMe/],
        ["nqn.", /is not an NVMe/],
        ["NQN.2024-01.com.example:x", /is not an NVMe/],
        ["iqn.2024-01.com.example:x", /is not an NVMe/],
        ["nqn.24-01.com.example:x", /is not an NVMe/],
        ["nqn.2024-00.com.example:x", /is not an NVMe/],
        ["nqn.2024-13.com.example:x", /is not an NVMe/],
        ["nqn.2024-1.com.example:x", /is not an NVMe/],
        ["nqn.2024-01.com..example:x", /is not an NVMe/],
        ["nqn.2024-01.-com.example:x", /is not an NVMe/],
        ["nqn.2024-01.com-.example:x", /is not an NVMe/],
        ["nqn.2024-01.com.example:", /is not an NVMe/],
        ["nqn.2024-01.com.example: x", /is not an NVMe/],
        ["nqn.2024-01.com.example:x,y", /is not an NVMe/],
        ["nqn.2024-01.com.example:x/y", /is not an NVMe/],
        ["nqn.2024-01.com.example:x\n", /is not an NVMe/],
        ["nqn.2024-01.com.example:$(id)", /is not an NVMe/],
        ["nqn.2024-01.com.example:ä", /is not an NVMe/],
        ["nqn.2014-08.org.nvmexpress.discovery", /discovery services/],
        [long(223), /has 223 characters; an NQN has at most 222/],
        ["ä".repeat(300), /has 300 characters/],
        [`db1${"x".repeat(100)}`, /is not an NVMe/],
    ])("%j is none, and says so without quoting all of it", (name, reason) => {
        const problem = nqnProblem(name);
        expect(problem).toMatch(reason);
        expect(problem?.length).toBeLessThan(240);
    });
});

describe("the beginning of subsystems' names", () => {
    test.each([START, `${START}lab:`, `${START}lab`, "nqn.2010-10.org.blockhost:", long(150)])(
        "%s",
        (prefix) => {
            expect(subsystemPrefixProblem(prefix)).toBeUndefined();
            // The longest name of an export fits.
            const name = subsystemName(prefix, "_".repeat(63), "0123456789abcdef");
            expect(name.length).toBeLessThanOrEqual(222);
            expect(nqnProblem(name)).toBeUndefined();
        },
    );

    test.each<[string, RegExp]>([
        ["", /must be the beginning/],
        ["nqn.2024-01.com.example", /must be the beginning/],
        ["iqn.2024-01.com.example:", /must be the beginning/],
        ["NQN.2024-01.com.example:", /must be the beginning/],
        ["nqn.2024-13.com.example:", /must be the beginning/],
        [`${START}a/`, /must be the beginning/],
        [`${START}a b`, /must be the beginning/],
        [`${START}\n`, /must be the beginning/],
        [":", /must be the beginning/],
        [long(151), /must have at most 150 characters/],
    ])("%j is none", (prefix, reason) => {
        expect(subsystemPrefixProblem(prefix)).toMatch(reason);
    });

    test("the longest makes a name of just the length that Linux takes", () => {
        expect(subsystemName(long(150), "a".repeat(63), "0123456789abcdef")).toHaveLength(222);
    });
});

describe("a subsystem's name", () => {
    test("is readable, and new for each generation", () => {
        expect(subsystemName(START, "My_Data.1", "0123456789abcdef")).toBe(`${START}My_Data.1:01234567`);
    });

    test.each<[string, boolean]>([
        [`${START}pg:01234567`, true],
        [`${START}pg:fedcba98`, true],
        [`${START}pg:`, false],
        [`${START}pg`, false],
        [`${START}pg:0123456g`, false],
        [`${START}pg:0123:01234567`, false],
        [`${START}pg2:01234567`, false],
        [`${START}PG:01234567`, false],
        [`x${START}pg:01234567`, false],
    ])("%s is one of pg: %s", (name, expected) => {
        expect(isSubsystemOf(START, "pg", name)).toBe(expected);
    });
});
