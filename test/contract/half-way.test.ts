import { existsSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportLifecycle } from "../../provider/resources/export";
import { snapshot } from "../../provider/resources/snapshot";
import type { Allowed } from "../../provider/resources/types";
import { volume } from "../../provider/resources/volume";
import { UNKNOWN } from "../../provider/validate";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { Client, MiB, POOL, id, refused, volumeInputs } from "../support/client";

/** What an earlier run has left half-way is seen by a diff, refresh or not, and finished by the update. */

let host: EmbeddedHost;
let pool: string;
const opened: Client[] = [];
const another = () => {
    const client = new Client(host);
    opened.push(client);
    return client;
};
beforeAll(async () => {
    host = await startEmbeddedHost();
    pool = host.poolDirectories[POOL] ?? "";
});
afterAll(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await host.stop();
});

/** The owner mark, as a run that was cut short would have left it. */
function remark(name: string, change: (mark: string) => string): void {
    const file = join(pool, ".blockhost/marks", name);
    const mark = change(readlinkSync(file));
    symlinkSync(mark, `${file}.new`);
    renameSync(`${file}.new`, file);
}
const inPhase =
    (phase: string, more = "") =>
    (mark: string) =>
        mark.replace("phase:ready", `phase:${phase}${more}`);

test("a revert that nobody asks for any more is ended", async () => {
    const state = await another().volume("rv");
    await another().snapshot("rv-s", "rv");
    remark("rv", inPhase("reverting", "&pending:t1"));
    await refused(another().snapshot("rv-t", "rv"), "conflict");
    const client = another();
    const changes = await volume.diff(client.context, state, volumeInputs(state));
    expect(changes.map(({ property, class: c }) => [property, c])).toEqual([["incomplete", "none"]]);
    await volume.update(client.context, state, volumeInputs(state));
    expect(readlinkSync(join(pool, ".blockhost/marks/rv"))).toContain("phase:ready");
    expect(await volume.diff(another().context, state, volumeInputs(state))).toEqual([]);
    expect((await another().snapshot("rv-t", "rv")).sizeBytes).toBe(4 * MiB);
});

test("a deletion that was begun is finished only where losing the data is allowed", async () => {
    const state = await another().volume("dl");
    remark("dl", inPhase("deleting"));
    expect((await another().read(state))?.incomplete).toBe(true);
    const inputs = volumeInputs(state);
    const error = await refused(volume.diff(another().context, state, inputs), "invalid");
    expect(error.message).toContain("data-loss");
    await refused(volume.update(another().context, state, inputs), "invalid");
    expect(existsSync(state.path)).toBe(true);
    await refused(another().export("dl-x", "dl"), "conflict");
    await refused(another().volume("dl-c", { source: { volume: id("dl") } }), "conflict");
    const allow: Allowed[] = ["data-loss"];
    const fresh = await volume.update(another().context, state, { ...inputs, allow });
    expect(fresh.generation).not.toBe(state.generation);
    expect(fresh.incomplete).toBeUndefined();
    expect(await volume.diff(another().context, fresh, { ...inputs, allow })).toEqual([]);
});

test("a deletion that was begun is ended by a delete", async () => {
    const state = await another().volume("de");
    remark("de", inPhase("deleting"));
    await another().delete(state);
    expect(existsSync(join(pool, ".blockhost/marks/de"))).toBe(false);
});

test("a half-made snapshot is seen, and made", async () => {
    await another().volume("sn");
    const state = await another().snapshot("sn-s", "sn");
    remark("sn-s", inPhase("creating"));
    unlinkSync(state.path);
    const { sizeBytes: _1, path: _2, generation: _3, poolId: _4, pool: _5, ...inputs } = state;
    const client = another();
    expect((await snapshot.diff(client.context, state, inputs)).map(({ property }) => property)).toEqual([
        "incomplete",
    ]);
    expect(await snapshot.update(client.context, state, inputs)).toEqual(state);
    expect(existsSync(state.path)).toBe(true);
});

test("a volume that somebody has deleted is a warning in a diff", async () => {
    const state = await another().volume("gone");
    unlinkSync(state.path);
    const client = another();
    expect(await volume.diff(client.context, state, volumeInputs(state))).toEqual([]);
    expect(client.warnings.join("\n")).toMatch(/no longer on host .* `pulumi refresh`/);
});

test("growing more than the pool has room for is refused by the diff, in the sum of a run", async () => {
    const configuration = {
        pools: { [POOL]: { driver: "file", directory: pool, maxOverSubscriptionRatio: 1 } },
    };
    const client = new Client(host, { configuration });
    opened.push(client);
    const [one, two] = [await client.volume("g1"), await client.volume("g2")];
    const facts = (await client.host.facts()).pools.get(POOL);
    const free = (facts?.capacity.totalBytes ?? 0) - (facts?.capacity.provisionedBytes ?? 0);
    const size = Math.floor((free * 0.6) / MiB) * MiB;
    const grown = (state: typeof one) => volume.diff(client.context, state, { ...volumeInputs(state), size });
    expect((await grown(one)).map(({ property }) => property)).toEqual(["size"]);
    await refused(grown(two), "no-space");
});

test("one name for two resources of a program is refused before anything is made", async () => {
    const client = another();
    const check = (resource: string, name: string) =>
        volume.check(client.context, undefined, {
            ...client.volumeArgs(name),
            owner: client.owner(resource),
        });
    expect((await check("a", "same")).failures).toEqual([]);
    expect((await check("a", "same")).failures).toEqual([]);
    const { failures } = await check("b", "same");
    expect(failures.map(({ property }) => property)).toEqual(["name"]);
    expect(failures[0]?.reason).toContain('resource "a" of this program');
});

test("two exports of a program that give one user different passwords are refused by the second's check", async () => {
    const client = another();
    await client.volume("acc");
    const check = (name: string, password: string) =>
        exportLifecycle.check(client.context, undefined, {
            ...client.exportArgs(name, "acc", {
                initiators: [
                    {
                        iqn: "iqn.2024-01.com.example:db1",
                        chap: { username: "shared", password },
                    },
                ],
            }),
        });
    expect((await check("acc-1", "Open-Sesame-123")).failures).toEqual([]);
    expect((await check("acc-2", "Other-Sesame-12")).failures).toHaveLength(1);
});

test("an export of what is not made yet is held against the host, but for its device", async () => {
    const chap = { username: "early", password: "Open-Sesame-123" };
    const initiators = [{ iqn: "iqn.2024-01.com.example:db1", chap }];
    const theirs = new Client(host, { stack: "theirs" });
    opened.push(theirs);
    await theirs.volume("early");
    await theirs.export("early", "early", { initiators });
    const client = another();
    const check = async (name: string, password = chap.password) => {
        const { failures } = await exportLifecycle.check(client.context, undefined, {
            ...client.exportArgs(name, "early", {
                initiators: [{ ...initiators[0], chap: { ...chap, password } }],
            }),
            source: UNKNOWN,
        });
        return failures.map(({ property }) => property);
    };
    expect(await check("early")).toEqual(["name"]);
    expect(await check("early-2", "Other-Sesame-12")).toEqual(["initiators"]);
    expect(await check("early-3")).toEqual([]);
    await client.volume("late");
    await client.export("early-3", "late", { initiators });
});
