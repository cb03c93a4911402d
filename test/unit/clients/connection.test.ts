import { describe, expect, test } from "vitest";
import { connectionProblems, readConnection } from "../../../provider/clients/connection";
import { BlockhostError } from "../../../provider/errors";

/** Connection properties, as they come from an export or from whoever else makes them. */

const ISCSI = {
    target_iqn: "iqn.2010-10.org.blockhost:pg:01234567",
    target_portal: "10.0.0.5:3260",
    target_lun: 1,
};
const NVME = {
    target_nqn: "nqn.2010-10.org.blockhost:pg:01234567",
    portals: [["10.0.0.5", 4420, "tcp"]],
};

describe.each([
    ["iscsi", "target_lun", ISCSI, 0],
    ["nvmeof", "ns_id", NVME, 1],
] as const)("the unit of %s, %s", (type, key, data, otherwise) => {
    const of = (unit: unknown) => ({ driver_volume_type: type, data: { ...data, [key]: unit } });

    test.each([0, 1, 255, 256, 16_383])("%d can be attached", (unit) => {
        expect(connectionProblems(of(unit))).toEqual([]);
        expect(readConnection(of(unit)).unit).toBe(unit);
    });

    test.each([-1, 16_384, 1.5, NaN, Infinity, "1", [1]])("%j cannot", (unit) => {
        const reason = "must be a whole number from 0 to 16383";
        expect(connectionProblems(of(unit))).toEqual([{ path: `data.${key}`, reason }]);
        expect(() => readConnection(of(unit))).toThrow(BlockhostError);
    });

    test("is the first where none is given", () => {
        expect(readConnection(of(undefined)).unit).toBe(otherwise);
    });
});

test("one of the state that has half of a credential can still be read, to be corrected or detached", () => {
    const data = {
        target_iqn: "iqn.2024-01.com.example:a",
        target_portal: "10.0.0.5:3260",
        auth_username: "db1",
    };
    const half = { driver_volume_type: "iscsi" as const, data };
    expect(connectionProblems(half)).toEqual([
        { path: "data.auth_password", reason: "is missing, beside auth_username" },
    ]);
    expect(readConnection(half).credentials).toEqual({});
});
