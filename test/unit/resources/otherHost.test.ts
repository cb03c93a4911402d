import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Hosts } from "../../../provider/host/hosts";
import { BlockhostError } from "../../../provider/errors";
import { lifecycles } from "../../../provider/resources";
import type { Transport, TransportConfig } from "../../../provider/transport/types";
import { UNKNOWN } from "../../../provider/validate";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";

/** An id names its host: a resource that is to be on another must not take what has the same name there. */

const directory = temporaryDirectory("other-host");
for (const host of ["san1", "san2", "san3"]) mkdirSync(join(directory, host));
afterAll(() => {
    removeDirectory(directory);
});

function hostNamed(name: string) {
    const pool = join(directory, name);
    return {
        address: "local",
        stateDirectory: join(directory, `${name}.state`),
        pools: {
            fast: { driver: "file", directory: pool, initialize: true },
            slow: { driver: "file", directory: pool, initialize: true },
        },
        targets: { iscsi: { helper: "tgt", portals: ["127.0.0.1:13260"] } },
    };
}

/** What needs no facts is told without them. */
function silent({ name }: TransportConfig): Transport {
    return {
        name,
        counters: { connections: 0, shells: 0, runs: 0, bytesSent: 0, bytesReceived: 0 },
        run: () => Promise.reject(new BlockhostError("unreachable", "it does not answer", { host: name })),
        close: () => Promise.resolve(),
    };
}

async function withLifecycle<T>(
    kind: string,
    what: (
        lifecycle: NonNullable<(typeof lifecycles)[string]>,
        context: { hosts: Hosts; installation: string; warn: () => undefined },
    ) => Promise<T>,
    transport?: (config: TransportConfig) => Transport,
): Promise<T> {
    const hosts = new Hosts({ san1: hostNamed("san1"), san2: hostNamed("san2") }, transport);
    const lifecycle = lifecycles[kind];
    if (lifecycle === undefined) throw new Error(kind);
    try {
        return await what(lifecycle, { hosts, installation: "default", warn: () => undefined });
    } finally {
        await hosts.close();
    }
}

const owner = { organization: "acme", project: "shop", stack: "prod", resource: "r" };
const iscsi = { protocol: "iscsi", initiators: [{ iqn: "iqn.2024-01.com.example:db1" }] };
const volume = { pool: "fast", size: "1MiB" };
const inline = (name: string) => ({ name, ...hostNamed(name) });

/** Properties with problems that name two hosts. What is missing on the host itself is told of others. */
async function elsewhere(kind: string, inputs: object): Promise<Record<string, string>> {
    const found = await withLifecycle(kind, (lifecycle, context) =>
        lifecycle.check(context, undefined, { owner, name: "n", ...inputs }),
    );
    const problems = found.failures.filter(({ reason }) => reason.includes(" is on host "));
    return Object.fromEntries(problems.map(({ property, reason }) => [property, reason]));
}

describe("what an id names on another host is refused", () => {
    test.each<[string, string, object, string[]]>([
        ["a snapshot", "Snapshot", { volume: "san1/fast/v", host: "san2" }, ["volume"]],
        [
            "a snapshot, by an inline host",
            "Snapshot",
            { volume: "san1/fast/v", host: inline("san3") },
            ["volume"],
        ],
        [
            "a snapshot of what an inline host has",
            "Snapshot",
            { volume: "san3/fast/v", host: "san2" },
            ["volume"],
        ],
        [
            "a snapshot with no name yet",
            "Snapshot",
            { volume: "san1/fast/v", host: "san2", name: UNKNOWN },
            ["volume"],
        ],
        ["an export", "Export", { ...iscsi, source: "san1/fast/v", host: "san2" }, ["source"]],
        [
            "an export, by an inline host",
            "Export",
            { ...iscsi, source: "san1/fast/v", host: inline("san3") },
            ["source"],
        ],
        ["a volume's pool", "Volume", { ...volume, pool: "san1/fast", host: "san2" }, ["pool"]],
        [
            "a volume's source",
            "Volume",
            { ...volume, source: { volume: "san1/fast/v" }, host: "san2" },
            ["source.volume"],
        ],
        [
            "a volume's snapshot",
            "Volume",
            { ...volume, source: { snapshot: "san1/fast/s" }, host: "san2" },
            ["source.snapshot"],
        ],
        [
            "what a volume goes back to",
            "Volume",
            { ...volume, revertTo: { snapshot: "san1/fast/s", token: "1" }, host: "san2" },
            ["revertTo.snapshot"],
        ],
        [
            "all of a volume at once",
            "Volume",
            {
                ...volume,
                pool: "san1/fast",
                source: { snapshot: "san1/fast/s" },
                revertTo: { snapshot: "san1/fast/s", token: "1" },
                host: "san2",
            },
            ["pool", "source.snapshot", "revertTo.snapshot"],
        ],
    ])("%s", async (_, kind, inputs, expected) => {
        const found = await elsewhere(kind, inputs);
        expect(Object.keys(found)).toEqual(expected);
        for (const reason of Object.values(found))
            expect(reason).toMatch(/is on host "san[13]", .* on host "san[23]": /);
    });

    test("it is said which hosts, and what to do", async () => {
        const { volume: snapshot } = await elsewhere("Snapshot", { volume: "san1/fast/v", host: "san2" });
        expect(snapshot).toBe(
            '"san1/fast/v" is on host "san1", and this is to be on host "san2": leave `host` out, or name the same host',
        );
        const { "source.volume": source } = await elsewhere("Volume", {
            ...volume,
            source: { volume: "san1/fast/v" },
            host: "san2",
        });
        expect(source).toMatch(
            /"san1\/fast\/v" is on host "san1", .* "san2": .*between pools is not possible yet/,
        );
    });

    test("beside all else that is wrong", async () => {
        const { failures } = await withLifecycle("Export", (lifecycle, context) =>
            lifecycle.check(context, undefined, {
                owner,
                name: "bad name",
                protocol: "iscsi",
                source: "san1/fast/v",
                host: "san2",
                initiators: [{ iqn: "db1" }],
            }),
        );
        expect(failures.map(({ property }) => property)).toEqual(["name", "source", "initiators[0].iqn"]);
    });
});

test.each<[string, string, object]>([
    ["the same host", "Snapshot", { volume: "san1/fast/v", host: "san1" }],
    ["no host", "Snapshot", { volume: "san1/fast/v" }],
    ["the same host inline", "Snapshot", { volume: "san3/fast/v", host: inline("san3") }],
    ["a host that is not known yet", "Snapshot", { volume: "san1/fast/v", host: UNKNOWN }],
    [
        "a host with no name yet",
        "Snapshot",
        { volume: "san1/fast/v", host: { ...inline("san3"), name: UNKNOWN } },
    ],
    ["an id that is not known yet", "Snapshot", { volume: UNKNOWN, host: "san1" }],
    ["what is no id", "Snapshot", { volume: "fast/v", host: "san1" }],
    ["the same host", "Export", { ...iscsi, source: "san1/fast/v", host: "san1" }],
    ["a host that is not known yet", "Export", { ...iscsi, source: "san1/fast/v", host: UNKNOWN }],
    ["no host", "Export", { ...iscsi, source: "san1/fast/v" }],
    ["a pool of the same host", "Volume", { ...volume, pool: "san1/fast", host: "san1" }],
    ["a pool alone", "Volume", { ...volume, pool: "san1/fast" }],
    ["a pool with a host that is not known yet", "Volume", { ...volume, pool: "san1/fast", host: UNKNOWN }],
    ["a pool that is not known yet", "Volume", { ...volume, pool: UNKNOWN, host: "san2" }],
    ["a source on the same host", "Volume", { ...volume, source: { volume: "san1/fast/v" }, host: "san1" }],
    ["a source in another pool", "Volume", { ...volume, source: { volume: "san1/slow/v" }, host: "san1" }],
])("%s is none of that: %s", async (_, kind, inputs) => {
    expect(await elsewhere(kind, inputs)).toEqual({});
});

describe("a state whose id names another host, from before that was refused", () => {
    const snapshot = {
        owner,
        name: "n",
        volume: "san1/fast/v",
        host: "san2",
        pool: "fast",
        sizeBytes: 1024,
        path: "",
        generation: "0123456789abcdef",
        poolId: "",
    };
    const exported = {
        ...iscsi,
        owner,
        name: "n",
        source: "san1/fast/v",
        host: "san2",
        targetName: "t",
        serial: "",
        devicePath: "",
        generation: "0123456789abcdef",
        poolId: "",
        drift: [],
        connection: { driver_volume_type: "iscsi", data: {} },
    };
    const changes = async (kind: string, olds: object, news: object) => {
        const allowed = { ...olds, ...news, allow: ["data-loss"] };
        const found = await withLifecycle(
            kind,
            (lifecycle, context) => lifecycle.diff(context, olds as never, allowed as never),
            silent,
        );
        return found
            .filter(({ property }) => !["allow", "drift"].includes(property))
            .map(({ property, kind }) => `${kind} ${property}`);
    };

    test.each([
        ["on the id's host it is another", {}, { host: "san1" }, ["replace host"]],
        ["the id put right changes nothing on the host", {}, { ref: "san2/fast/v" }, ["update ref"]],
        ["another object is another", {}, { ref: "san2/fast/w" }, ["replace ref"]],
        [
            "a state that was right follows its id",
            { host: "san1" },
            { ref: "san2/fast/v", host: "san2" },
            ["replace ref"],
        ],
        ["a host that is not known yet is taken to be the same", { host: "san1" }, { host: UNKNOWN }, []],
    ] as [string, object, { ref?: string; host?: string }, string[]][])(
        "%s",
        async (_, more, { ref, ...news }, expected) => {
            for (const [kind, state, property] of [
                ["Snapshot", snapshot, "volume"],
                ["Export", exported, "source"],
            ] as const) {
                const given = ref === undefined ? news : { ...news, [property]: ref };
                expect(await changes(kind, { ...state, ...more }, given)).toEqual(
                    expected.map((one) => one.replace("ref", property)),
                );
            }
        },
    );
});
