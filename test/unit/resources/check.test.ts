import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileDriver } from "../../../provider/drivers/file";
import { HOST_TOOLS } from "../../../provider/host/observation";
import { Hosts } from "../../../provider/host/hosts";
import { lifecycles } from "../../../provider/resources";
import { UNKNOWN } from "../../../provider/validate";
import { findExecutable } from "../../../tools/prepare/executables.mjs";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";

/** What check says of a volume and a snapshot, with this machine as the host. */

let directory: string;
const path = process.env["PATH"];
beforeAll(() => {
    directory = temporaryDirectory("check");
    mkdirSync(join(directory, "pool"));
});
afterAll(() => {
    process.env["PATH"] = path;
    removeDirectory(directory);
});

async function check(more: object = {}, kind = "Volume") {
    const pools = { fast: { driver: "file", directory: join(directory, "pool"), initialize: true } };
    const hosts = new Hosts({ emb: { address: "local", stateDirectory: join(directory, "state"), pools } });
    const owner = { organization: "acme", project: "shop", stack: "prod", resource: "v" };
    const context = { hosts, installation: "default", warn: () => undefined };
    try {
        const volume = { host: "emb", pool: "fast", name: "v", size: "1MiB" };
        const inputs = { ...(kind === "Volume" ? volume : { name: "s" }), owner, ...more };
        const checked = await lifecycles[kind]?.check(context, undefined, inputs);
        return checked?.failures;
    } finally {
        await hosts.close();
    }
}

test("a name that is empty is refused; one that is missing is the resource's", async () => {
    expect(await check({ name: undefined })).toEqual([]);
    for (const kind of ["Volume", "Snapshot"])
        expect(await check({ name: "" }, kind)).toContainEqual({
            property: "name",
            reason: expect.stringMatching(/must not be empty/) as string,
        });
});

test("a volume that starts empty has to have a size", async () => {
    const failures = await check({ size: undefined });
    expect(failures?.map(({ property }) => property)).toEqual(["size"]);
});

test("a snapshot has to be of a volume", async () => {
    const failures = await check({}, "Snapshot");
    expect(failures?.map(({ property }) => property)).toContain("volume");
});

test("a way of wiping that the driver does not have is refused, with the way out", async () => {
    expect(await check({ wipe: { method: "zero" } })).toEqual([]);
    const failures = await check({ wipe: { method: "discard" } });
    expect(failures).toEqual([
        {
            property: "wipe.method",
            reason: expect.stringMatching(/not possible for files.*"zero"/) as string,
        },
    ]);
});

test.each(["fallocate", "perl", "ionice"])(
    "a host without %s: told in preview, with its package",
    async (missing) => {
        // All that the host has, in a directory, but for this one.
        const commands = join(directory, `without-${missing}`);
        mkdirSync(commands);
        const needed = [
            ...Object.keys(fileDriver.tools(fileDriver.options.parse({ directory: "/x" }))),
            ...Object.keys(HOST_TOOLS),
        ];
        for (const tool of new Set(["sh", "setsid", "cat", "id", "sed", "tail", ...needed])) {
            const found = findExecutable(tool);
            if (tool !== missing && found !== undefined) symlinkSync(found, join(commands, tool));
        }
        process.env["PATH"] = commands;
        try {
            const failures = await check();
            expect(failures).toHaveLength(1);
            expect(failures?.[0]?.reason).toContain(missing);
            expect(failures?.[0]?.reason).toContain(missing === "perl" ? "perl-base" : "util-linux");
        } finally {
            process.env["PATH"] = path;
        }
        expect(readdirSync(join(directory, "pool"))).toEqual([]);
    },
);

test("of an export of what is not made yet, with no host, the protocol says what is wrong", async () => {
    const source = UNKNOWN;
    const iscsi = await check(
        {
            source,
            protocol: "iscsi",
            name: "bad name",
            initiators: [
                { iqn: "db1", chap: { username: "db1", password: "short" } },
                { nqn: "nqn.2024-01.com.example:db1", dhchap: { key: UNKNOWN } },
                { iqn: UNKNOWN, chap: { username: "db1", password: UNKNOWN } },
            ],
        },
        "Export",
    );
    expect(iscsi?.map(({ property }) => property)).toEqual([
        "name",
        "initiators[1].iqn",
        "initiators[1].nqn",
        "initiators[1].dhchap",
        "initiators[0].iqn",
        "initiators[0].chap.password",
    ]);
    const nvme = { source, protocol: "nvme-tcp", name: "lun" };
    expect(await check({ ...nvme, initiators: [{ nqn: "db1" }] }, "Export")).toEqual([
        {
            property: "initiators[0].nqn",
            reason: expect.stringContaining("is not an NVMe qualified name") as string,
        },
    ]);
    const fine = [{ nqn: "nqn.2024-01.com.example:db1" }];
    expect(await check({ ...nvme, initiators: fine }, "Export")).toEqual([]);
    expect(await check({ ...nvme, protocol: "isci", initiators: fine }, "Export")).toEqual([
        { property: "protocol", reason: 'must be one of "iscsi", "nvme-tcp"; did you mean "iscsi"?' },
    ]);
});
