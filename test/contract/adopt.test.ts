import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { snapshot } from "../../provider/resources/snapshot";
import { volume } from "../../provider/resources/volume";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { Client, MiB, POOL, refused } from "../support/client";

/** Adopting what already has the name that the resource wants. */

let host: EmbeddedHost;
let client: Client;
let pool: string;

beforeAll(async () => {
    host = await startEmbeddedHost();
    pool = host.poolDirectories[POOL] ?? "";
    client = new Client(host);
    await client.volume("first");
});

afterAll(async () => {
    await client.close();
    await host.stop();
});

async function appears(file: string, byte: number): Promise<void> {
    writeFileSync(join(pool, file), Buffer.alloc(MiB, byte));
    await client.close();
    client = new Client(host);
}

test("a volume takes over the file that has its name, in preview and for real", async () => {
    await appears("legacy.img", 5);
    await refused(client.volume("legacy"), "not-ours");
    await refused(client.volume("legacy", { adopt: "another.img" }), "not-ours");
    const args = client.volumeArgs("legacy", { adopt: "legacy.img" });
    expect((await volume.check(client.context, undefined, { ...args })).failures).toEqual([]);
    const state = await client.volume("legacy", { adopt: "legacy.img", size: "2MiB" });
    expect(state.sizeBytes).toBe(2 * MiB);
    expect(readFileSync(state.path).subarray(0, MiB)).toEqual(Buffer.alloc(MiB, 5));
    expect(await client.volume("legacy", { adopt: "legacy.img", size: "2MiB" })).toEqual(state);
});

test("a snapshot does, too", async () => {
    await appears("old-copy.img", 6);
    await refused(client.snapshot("old-copy", "first"), "not-ours");
    const args = client.snapshotArgs("old-copy", "first", { adopt: "old-copy.img" });
    expect((await snapshot.check(client.context, undefined, { ...args })).failures).toEqual([]);
    const state = await client.snapshot("old-copy", "first", { adopt: "old-copy.img" });
    expect(readFileSync(state.path)).toEqual(Buffer.alloc(MiB, 6));
    expect(await client.snapshot("old-copy", "first", { adopt: "old-copy.img" })).toEqual(state);
});
