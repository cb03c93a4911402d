import { describe, expect, test } from "vitest";
import { hostProblems } from "../../../provider/host/config";
import { Hosts } from "../../../provider/host/hosts";
import { lifecycles } from "../../../provider/resources";
import { UNKNOWN } from "../../../provider/validate";

describe("portals of a host", () => {
    const problems = (targets: object) =>
        hostProblems({ address: "10.0.0.5", targets }, "blockhost:hosts.san1", false).map(
            ({ property, reason }) =>
                `${property.replace("blockhost:hosts.san1.targets", "")} ${reason.split(":")[0] ?? ""}`,
        );
    const lio = (...portals: string[]) => ({ iscsi: { helper: "lio", portals } });

    test.each(["10.0.0.5:0", "10.0.0.300:3260", "[::::]:3260", "[1.2.3]:3260"])("%s is none", (portal) => {
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
        expect(
            problems(lio(UNKNOWN, "san1:3260", "10.0.0.5:65536", "10.0.0.5:3260", "10.0.0.5:3260")),
        ).toEqual([
            ".iscsi.portals[1] must be an address and a port",
            ".iscsi.portals[2] the port must be at most 65535",
            ".iscsi.portals[4] is the same as portals[3]",
        ]);
    });

    test("that are in a state already do not keep what is there from being read, given up and mended", async () => {
        const host = (...portals: string[]) => ({
            name: "san1",
            address: "local",
            stateDirectory: "/nowhere/state",
            pools: { fast: { driver: "file", directory: "/nowhere/pool" } },
            targets: lio(...portals),
        });
        const hosts = new Hosts({ san2: { address: "local", targets: lio("10.0.0.5:3260", "10.0.0.5:0") } });
        const context = { hosts, installation: "default", warn: () => undefined };
        const owner = { organization: "acme", project: "shop", stack: "prod", resource: "v" };
        const portals = ["0.0.0.0:3260", "0.0.0.0:3260"];
        const inputs = { host: host(...portals), pool: "fast", name: "v", size: "1MiB", owner };
        const made = {
            sizeBytes: 1 << 20,
            path: "/nowhere/pool/v",
            generation: "0123456789abcdef",
            poolId: "p",
        };
        const former = { ...inputs, ...made };
        const { Volume } = lifecycles;
        const changes = await Volume?.diff(context, former, { ...former, host: host("10.0.0.5:3260") });
        expect(changes?.map(({ property }) => property)).toContain("host");
        const gone = { ...former, host: { ...inputs.host, decommissioned: true } };
        await expect(Volume?.delete(context, gone)).resolves.toBeUndefined();
        const { failures } = (await Volume?.check(context, former, inputs)) ?? {};
        expect(failures?.map(({ property }) => property)).toEqual(
            [0, 1].map((i) => `host.targets.iscsi.portals[${String(i)}]`),
        );
        // Of a host that has a name it is told as well.
        const named = await Volume?.check(context, undefined, { ...inputs, host: "san2" });
        expect(named?.failures).toContainEqual({
            property: "host",
            reason: expect.stringMatching(
                /^blockhost:hosts.san2.targets.iscsi.portals\[1\]: must be/,
            ) as string,
        });
        await hosts.close();
    });
});
