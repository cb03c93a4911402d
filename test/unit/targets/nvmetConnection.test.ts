import { expect, test } from "vitest";
import { credentialsFor, readConnection } from "../../../provider/clients/connection";
import { Secret } from "../../../provider/sh";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import { nvmetOptions } from "../../../provider/targets/nvmet/options";
import type { ExportFacts, ExportWanted } from "../../../provider/targets/types";

const [a, b, c] = ["a", "b", "c"].map((name) => `nqn.2024-01.com.example:${name}`) as [
    string,
    string,
    string,
];
const key = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);

/** Keys that clients get from the connection of an export to hosts with these. */
function keysOf(hosts: Readonly<Record<string, string | undefined>>) {
    const want = {
        name: "lun",
        mark: { generation: "0123456789abcdef" },
        initiators: Object.entries(hosts).map(([name, one]) =>
            one === undefined ? { name } : { name, dhchap: { key: new Secret(one) } },
        ),
        portals: [],
    } as unknown as ExportWanted;
    const options = nvmetOptions.parse({});
    const ref = { protocol: "nvme-tcp", helper: "nvmet", portals: ["10.0.0.5:4420"], options } as const;
    const facts = { targetName: "nqn.2010-10.org.blockhost:lun" } as ExportFacts;
    const connection = readConnection(
        nvmetTarget.connection({ ...ref, stateDirectory: "/nowhere" }, want, facts),
    );
    return [a, b, c].map((name) => credentialsFor(connection, name).key?.value);
}

test("each host has its own key, and one without has none of another", () => {
    expect(keysOf({ [a]: key("a"), [b]: undefined, [c]: key("c") })).toEqual([key("a"), undefined, key("c")]);
    expect(keysOf({ [a]: undefined, [b]: key("b") }).slice(0, 2)).toEqual([undefined, key("b")]);
    expect(keysOf({ [a]: undefined, [b]: undefined })).toEqual([undefined, undefined, undefined]);
});
