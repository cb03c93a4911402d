import {
    existsSync,
    lstatSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    readlinkSync,
    symlinkSync,
    truncateSync,
    writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { checkout } from "../../tools/paths.mjs";
import { PluginClient } from "../support/plugin";
import { type Recorded, type Values, expectAsRecorded, makeRecorded } from "../support/recorded";

/**
 * State and pool of a released version, replayed by this one: nothing may differ. What a version writes is recorded once,
 * with `BLOCKHOST_RECORD=<version>`, and stays as it is.
 */

interface Recording {
    /** Below the pool's directory: the text of symbolic links, the size of files in bytes. */
    readonly pool: Record<string, string | number>;
    readonly resources: Recorded[];
}

const folder = join(checkout, "test", "contract", "recorded");
let host: EmbeddedHost;
let plugin: PluginClient;
beforeEach(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    plugin = await PluginClient.start();
    await plugin.configure({ hosts: JSON.stringify({ san1: host.configuration() }) });
});
afterEach(async () => {
    await plugin.stop();
    await host.stop();
});

const pool = () => host.poolDirectories["fast"] ?? "";

async function record(version: string): Promise<void> {
    const resources: Recorded[] = [];
    const make = async (kind: string, name: string, given: Values) =>
        (await makeRecorded(plugin, resources, kind, name, given)).id;
    const place = { host: "san1", pool: "fast" };
    const data = await make("Volume", "data", {
        ...place,
        size: "4MiB",
        wipe: { method: "zero", limit: "1MiB" },
    });
    const before = await make("Snapshot", "before", { volume: data });
    await make("Volume", "copy", {
        ...place,
        source: { snapshot: before },
        size: "8MiB",
        onDelete: "delete",
    });
    const files: Recording["pool"] = {};
    for (const path of readdirSync(pool(), { recursive: true, encoding: "utf8" }).sort()) {
        const at = join(pool(), path);
        const stat = lstatSync(at);
        if (stat.isSymbolicLink()) files[path] = readlinkSync(at);
        else if (stat.isFile()) files[path] = stat.size;
    }
    const text = JSON.stringify({ pool: files, resources } satisfies Recording, null, 4);
    writeFileSync(join(folder, `${version}.json`), `${text.replaceAll(pool(), "{{POOL}}")}\n`);
}

const recordAs = process.env["BLOCKHOST_RECORD"];
if (recordAs !== undefined) test("records this version", () => record(recordAs));

test.each(readdirSync(folder).filter((name) => name.endsWith(".json")))(
    "what %s recorded is as it is",
    async (name) => {
        const text = readFileSync(join(folder, name), "utf8").replaceAll("{{POOL}}", pool());
        const recording = JSON.parse(text) as Recording;
        for (const [path, content] of Object.entries(recording.pool)) {
            const at = join(pool(), path);
            mkdirSync(dirname(at), { recursive: true });
            if (typeof content === "string") symlinkSync(content, at);
            else {
                writeFileSync(at, "");
                truncateSync(at, content);
            }
        }
        await expectAsRecorded(plugin, recording.resources);
        expect(existsSync(join(pool(), "data.img"))).toBe(false);
    },
);
