import { describe, expect, test } from "vitest";
import { body } from "../../../provider/clients/body";
import { connectionProblems, readConnection } from "../../../provider/clients/connection";
import { BlockhostError } from "../../../provider/errors";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import * as made from "./made";

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

const problems = (type: "iscsi" | "nvmeof", data: Readonly<Record<string, unknown>>) =>
    connectionProblems({ driver_volume_type: type, data: { ...(type === "iscsi" ? ISCSI : NVME), ...data } });

describe("a portal that is none is told where it stands", () => {
    const none = "must be an address and a port: 10.0.0.5:3260, or [fd00::5]:3260";
    test.each(["san1", "10.0.0.5", "10.0.0.5:0", "fd00::5:3260", 3260, null])("iSCSI: %j", (portal) => {
        expect(problems("iscsi", { target_portal: portal })).toEqual([
            { path: "data.target_portal", reason: none },
        ]);
        const several = [portal, "10.0.0.5:3260", portal];
        expect(problems("iscsi", { target_portals: several })).toEqual([
            { path: "data.target_portals[0]", reason: none },
            { path: "data.target_portals[2]", reason: none },
        ]);
    });

    test("NVMe: no address, no port, no transport, another transport", () => {
        const reason = 'must be an address, a port and a transport: ["10.0.0.5", "4420", "tcp"]';
        const portals = [
            ["san1", 4420, "tcp"],
            ["10.0.0.5", "x", "tcp"],
            ["fd00::5", "4420", "TCP"],
            ["10.0.0.5", 4420],
            "10.0.0.5:4420",
            ["10.0.0.5", 4420, "rdma"],
        ];
        expect(problems("nvmeof", { portals })).toEqual([
            { path: "data.portals[0]", reason },
            { path: "data.portals[1]", reason },
            { path: "data.portals[3]", reason },
            { path: "data.portals[4]", reason },
            {
                path: "data.portals[5]",
                reason: "has a transport that is not TCP: nothing else can be attached",
            },
        ]);
    });
});

describe("a name", () => {
    const NQN = "nqn.2024-01.com.example:";
    test("of an NVMe target has as many bytes as Linux connects to, and can be read of a state all the same", () => {
        expect(problems("nvmeof", { target_nqn: NQN.padEnd(222, "x") })).toEqual([]);
        const long = { target_nqn: NQN.padEnd(223, "x") };
        expect(problems("nvmeof", long)).toEqual([
            {
                path: "data.target_nqn",
                reason: "has more than 222 characters, which Linux does not connect to",
            },
        ]);
        const connection = { driver_volume_type: "nvmeof" as const, data: { ...NVME, ...long } };
        expect(readConnection(connection).target).toHaveLength(223);
    });

    test("of a target from elsewhere need not be one that exports may have", () => {
        expect(problems("nvmeof", { target_nqn: "nqn.nvme-subsystem-1-0e4b1f9a" })).toEqual([]);
    });

    test.each(["Secret-Word", "nqn.a b", "nqn.a,host_iface=b", "nqn.a\nb"])("is not quoted: %j", (name) => {
        for (const [type, key] of [
            ["iscsi", "target_iqn"],
            ["nvmeof", "target_nqn"],
        ] as const) {
            const found = problems(type, { [key]: name });
            expect(found).toMatchObject([{ path: `data.${key}` }]);
            expect(found[0]?.reason).not.toContain(name);
        }
    });
});

describe("credentials", () => {
    const KEY = deriveDhchapKey("a secret of more than thirty-two bytes", "host");
    const CHAP = { auth_username: "db1", auth_password: "Open-Sesame-123" };
    const MUTUAL = { auth_username_in: "san", auth_password_in: "I-am-the-target" };

    test.each<[string, string, RegExp]>([
        ["the end of a line", "Open-Sesame\nnode.startup = manual", /control character/],
        ["a carriage return", "Open-Sesame\r", /control character/],
        ["a NUL", "Open\0Sesame", /control character/],
        ["a space before", " Open-Sesame", /space/],
        ["a space after", "Open-Sesame ", /space/],
        ["256 bytes", "ä".repeat(128), /more than 255 bytes/],
    ])("with %s cannot be carried", (_, value, reason) => {
        for (const key of Object.keys({ ...CHAP, ...MUTUAL })) {
            const data = { ...CHAP, ...MUTUAL, [key]: value };
            for (const [given, path] of [
                [data, `data.${key}`],
                [{ auth_by_initiator: { db1: data } }, `data.auth_by_initiator.db1.${key}`],
            ] as const) {
                const found = problems("iscsi", given);
                expect(found).toEqual([{ path, reason: expect.stringMatching(reason) as string }]);
                expect(found[0]?.reason).not.toContain("Sesame");
            }
        }
    });

    test.each(["short", "with a space", "ä", "p".repeat(255), "# ' \" = \\n"])(
        "of %j are for the target to judge",
        (value) => {
            expect(problems("iscsi", { auth_username: value, auth_password: value })).toEqual([]);
        },
    );

    test.each([KEY.slice(0, -2), "DHHC-1:Secret:00:", `${KEY}\n`, `${KEY},host_iface=eth0`])(
        "a key that is none is refused, and not quoted",
        (key) => {
            for (const data of [
                { dhchap_key: KEY, dhchap_ctrl_key: key },
                { auth_by_initiator: { db1: { dhchap_key: key } } },
            ]) {
                const [found, ...more] = problems("nvmeof", data);
                expect(more).toEqual([]);
                expect(found?.path).toMatch(/^data\.(dhchap_ctrl_key|auth_by_initiator\.db1\.dhchap_key)$/);
                expect(found?.reason).not.toMatch(/Secret|host_iface/);
            }
            expect(problems("nvmeof", { dhchap_key: KEY, dhchap_ctrl_key: KEY })).toEqual([]);
        },
    );

    test.each([
        ["iscsi", ISCSI, { ...CHAP, auth_password: "x\nnode.session.auth.authmethod = None" }, made.ISCSI],
        ["nvmeof", NVME, { dhchap_key: `${KEY},host_iface=eth0` }, made.NVME],
    ] as const)("of a state can be read, and go onto no client: %s", (type, data, bad, declared) => {
        const { credentials } = readConnection({ driver_volume_type: type, data: { ...data, ...bad } });
        expect(() => body(declared, credentials, 0, "/nonexistent")).toThrow(
            expect.objectContaining({ code: "invalid" }) as Error,
        );
    });
});
