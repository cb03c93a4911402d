import { expect, test } from "vitest";
import { Hosts } from "../../../provider/host/hosts";
import { lifecycles } from "../../../provider/resources";
import { UNKNOWN } from "../../../provider/validate";

/** What check says of an export, by the helper of its host: all of it at once, whatever else is not known yet. */

const IQN = "iqn.2024-01.com.example:db1";
const chap = { username: "db1", password: "twelve-bytes" };

async function problems(helper: "lio" | "tgt" | "nvmet", more: object): Promise<string[]> {
    const protocol = helper === "nvmet" ? "nvme-tcp" : "iscsi";
    const targets = { [protocol]: { helper, portals: ["192.0.2.1:3260"] } };
    const pools = { fast: { driver: "file", directory: "/nowhere/pool" } };
    const hosts = new Hosts({ emb: { address: "local", stateDirectory: "/nowhere/state", pools, targets } });
    const context = { hosts, installation: "default", warn: () => undefined };
    const inputs = {
        host: "emb",
        source: UNKNOWN,
        protocol,
        name: "lun",
        owner: { organization: "acme", project: "shop", stack: "prod", resource: "lun" },
        ...more,
    };
    // Of one that is there: the host itself is not asked for it.
    const checked = await lifecycles["Export"]?.check(context, inputs, inputs);
    await hosts.close();
    return (checked?.failures ?? []).map(({ property }) => property).sort();
}

test("what is not known yet hides nothing else", async () => {
    const password = UNKNOWN;
    const bad = {
        initiators: [
            { iqn: IQN, chap: { username: "db1", password } },
            { iqn: IQN.toUpperCase().replace("IQN", "iqn"), chap: { username: "db1", password: "short" } },
            { iqn: `${IQN}3` },
            { iqn: `${IQN}4`, chap: { username: UNKNOWN, password: UNKNOWN } },
        ],
        addresses: ["10.0.0.0/24"],
        portals: ["san1:3260", UNKNOWN],
    };
    expect(await problems("lio", bad)).toEqual([
        "addresses",
        "initiators[1].chap.password",
        "initiators[1].iqn",
        "initiators[2].chap",
        "portals[0]",
    ]);
    expect(await problems("nvmet", { readOnly: true, initiators: [UNKNOWN] })).toEqual(["readOnly"]);
    expect(await problems("lio", { initiators: UNKNOWN, addresses: ["10.0.0.0/24"] })).toEqual(["addresses"]);
    const other = { iqn: `${IQN}2`, chap: { username: "db2", password: "twelve-bytes" } };
    expect(await problems("tgt", { initiators: [{ iqn: IQN, chap }, UNKNOWN, other] })).toEqual([
        "initiators[2].chap",
    ]);
    expect(
        await problems("lio", { initiators: [UNKNOWN, { iqn: IQN, mutualChap: chap }, { iqn: `${IQN}2` }] }),
    ).toEqual(["initiators[1].mutualChap"]);
    const one = "DHHC-1:00:7o6e4uNMlJMk1lmwbY8Ve5F7ICJ5jFaLkS8rVeHnXeMzvbfL:";
    expect(
        await problems("nvmet", {
            initiators: [{ nqn: UNKNOWN, dhchap: { key: one, controllerKey: UNKNOWN } }, { nqn: "db1" }],
        }),
    ).toEqual(["initiators[0].dhchap.key", "initiators[1].nqn"]);
});

test("what is not known yet may be right", async () => {
    for (const helper of ["lio", "tgt"] as const) {
        for (const initiators of [
            UNKNOWN,
            [UNKNOWN, { iqn: IQN, chap }],
            [{ iqn: IQN, chap }, UNKNOWN],
            [
                { iqn: IQN, chap },
                { iqn: `${IQN}2`, chap: UNKNOWN },
            ],
            [{ iqn: UNKNOWN, chap: { username: UNKNOWN, password: UNKNOWN }, mutualChap: UNKNOWN }],
            [{ iqn: IQN, mutualChap: UNKNOWN, nqn: UNKNOWN, dhchap: UNKNOWN }],
            [{ iqn: IQN, chap: UNKNOWN }, { iqn: `${IQN}2` }],
            [{ iqn: IQN, chap: UNKNOWN, mutualChap: { username: "san", password: "another-secret" } }],
        ])
            expect(await problems(helper, { initiators, portals: UNKNOWN, discard: UNKNOWN })).toEqual([]);
    }
    expect(await problems("tgt", { initiators: [], addresses: UNKNOWN })).toEqual([]);
    expect(await problems("tgt", { initiators: UNKNOWN, addresses: ["10.0.0.0/24", UNKNOWN] })).toEqual([]);
    const host = { nqn: "nqn.2024-01.com.example:db1" };
    for (const more of [{ readOnly: UNKNOWN, discard: false }, { readOnly: UNKNOWN }, { discard: UNKNOWN }])
        expect(
            await problems("nvmet", { initiators: [{ ...host, dhchap: UNKNOWN }, UNKNOWN], ...more }),
        ).toEqual([]);
});

test("an initiator of the wrong kind hides nothing of the others", async () => {
    expect(
        await problems("lio", {
            initiators: [
                { iqn: IQN, chap: { username: "db1", password: "short" } },
                { iqn: IQN, chap },
                { nqn: "nqn.2024-01.com.example:db1", chap },
                { iqn: `${IQN}2`, chap: { username: "db1" } },
                { iqn: `${IQN}3`, chap: { username: "db1", password: 5 } },
            ],
            portals: ["192.0.2.9:3260"],
        }),
    ).toEqual([
        "initiators[0].chap.password",
        "initiators[1].iqn",
        "initiators[2].iqn",
        "initiators[2].nqn",
        "initiators[3].chap.password",
        "initiators[4].chap.password",
        "portals[0]",
    ]);
});

test("a host is named by the name of its protocol only", async () => {
    const nqn = "nqn.2024-01.com.example:db1";
    expect(await problems("nvmet", { initiators: [{ iqn: IQN, nqn }] })).toEqual(["initiators[0].iqn"]);
    expect(await problems("lio", { initiators: [{ iqn: IQN, nqn: "rubbish" }] })).toEqual([
        "initiators[0].nqn",
    ]);
});
