import { expect, test } from "vitest";
import { Hosts } from "../../../provider/host/hosts";
import { lifecycles } from "../../../provider/resources";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { UNKNOWN } from "../../../provider/validate";

/** What exports of one program have to give alike is told before anything is carried out. */

const NQN = "nqn.2024-01.com.example:db1";
const key = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);

/** Failures of exports that one program declares, in that order; each of another volume that is there already. */
async function failures(...exports: readonly { resource: string; dhchap?: object; nqn?: string }[]) {
    const pools = { fast: { driver: "file", directory: "/nowhere/pool" } };
    const targets = { "nvme-tcp": { helper: "nvmet", portals: ["192.0.2.1:4420"] } };
    const hosts = new Hosts({ emb: { address: "local", stateDirectory: "/nowhere/state", pools, targets } });
    const context = { hosts, installation: "default", warn: () => undefined };
    const found: unknown[] = [];
    for (const { resource, nqn = NQN, ...more } of exports) {
        const inputs = {
            source: `emb/fast/${resource}`,
            protocol: "nvme-tcp",
            name: resource,
            initiators: [{ nqn: "nqn.2024-01.com.example:other" }, { nqn, ...more }],
            owner: { organization: "acme", project: "shop", stack: "prod", resource },
        };
        // Of one that is there: the host itself is not asked for it.
        const checked = await lifecycles["Export"]?.check(context, inputs, inputs);
        found.push(...(checked?.failures ?? []));
    }
    await hosts.close();
    return found;
}

test.each<[string, object, object]>([
    ["another key", { key: key("1") }, { key: key("2") }],
    ["none", { key: key("1") }, {}],
    ["none for the controller", { key: key("1"), controllerKey: key("3") }, { key: key("1") }],
])("one export that gives a host %s than the others do", async (_, one, other) => {
    const dhchap = (keys: object) => (Object.keys(keys).length === 0 ? {} : { dhchap: keys });
    expect(await failures({ resource: "a", ...dhchap(one) }, { resource: "b", ...dhchap(other) })).toEqual([
        {
            property: "initiators[1].dhchap",
            reason: expect.stringMatching(
                /^resource "a" of this program gives host nqn.*:db1 another value: nvmet has one pair of keys/,
            ) as string,
        },
    ]);
});

test("the same, others for another host, and what is not known yet, are no matter", async () => {
    const keys = { key: key("1"), controllerKey: key("2") };
    expect(
        await failures(
            { resource: "a", dhchap: keys },
            { resource: "b", dhchap: { ...keys } },
            { resource: "c", dhchap: { key: key("3") }, nqn: `${NQN}2` },
            { resource: "d", dhchap: { key: UNKNOWN } },
            { resource: "e", dhchap: UNKNOWN as never },
        ),
    ).toEqual([]);
});
