import { describe, expect, test } from "vitest";
import { hostProblems } from "../../../provider/host/config";
import { UNKNOWN } from "../../../provider/validate";

describe("portals of a host", () => {
    const problems = (targets: object) =>
        hostProblems({ address: "10.0.0.5", targets }, "blockhost:hosts.san1", false).map(
            ({ property, reason }) =>
                `${property.replace("blockhost:hosts.san1.targets", "")} ${reason.split(":")[0] ?? ""}`,
        );
    const lio = (...portals: string[]) => ({ iscsi: { helper: "lio", portals } });

    test.each([
        "10.0.0.5:0",
        "10.0.0.5:65536",
        "10.0.0.300:3260",
        "[::::]:3260",
        "[1.2.3]:3260",
        "san1:3260",
    ])("%s is none", (portal) => {
        expect(problems(lio("10.0.0.5:3260", portal))).toEqual([
            ".iscsi.portals[1] must be an address and a port from 1 to 65535",
        ]);
    });

    test("one for all addresses is none: clients are given the very address", () => {
        expect(problems(lio("0.0.0.0:3260", "[::]:3260"))).toEqual(
            [0, 1].map((i) => `.iscsi.portals[${String(i)}] stands for all addresses of the host`),
        );
    });

    test("stand there once, in whatever spelling, and for one protocol", () => {
        expect(problems(lio("[fd00::5]:3260", "10.0.0.5:3260", "[FD00:0::5]:3260"))).toEqual([
            ".iscsi.portals[2] is the same as portals[0]",
        ]);
        const both = {
            ...lio("10.0.0.5:3260"),
            "nvme-tcp": { helper: "nvmet", portals: ["10.0.0.5:4420", "10.0.0.5:03260"] },
        };
        expect(problems(both)).toEqual([
            ".nvme-tcp.portals[1] is a portal of iscsi as well; give each protocol a port of its own",
        ]);
    });

    test("are taken on trust while they are not known, and told all at once where they are wrong", () => {
        expect(problems(lio(UNKNOWN, UNKNOWN))).toEqual([]);
        expect(problems(lio(UNKNOWN, "x", "10.0.0.5:3260", "10.0.0.5:3260"))).toEqual([
            ".iscsi.portals[1] must be an address and a port from 1 to 65535",
            ".iscsi.portals[3] is the same as portals[2]",
        ]);
    });
});
