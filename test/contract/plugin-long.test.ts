import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogSeverity, type LogRequest } from "@pulumi/pulumi/proto/engine_pb";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Filesystem, mountFilesystem } from "../../tools/embedded-host/filesystems.mjs";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { PluginClient, detailOf, values } from "../support/plugin";

/** What the engine is told of work that takes long, that is cancelled, and that ends half-way. */

const MiB = 2 ** 20;
const SIZE = 512 * MiB;
let disk: Filesystem;
let host: EmbeddedHost;
let engine: grpc.Server;
let engineAddress: string;
let plugin: PluginClient;
const opened: PluginClient[] = [];
let pool: string;
let told: { message: string; urn: string; severity: number; ephemeral: boolean }[];
beforeEach(async () => {
    // Copies byte by byte, so that there is a middle.
    disk = await mountFilesystem({ type: "tmpfs", sizeMiB: 1536 });
    pool = join(disk.directory, "fast");
    mkdirSync(pool);
    host = await startEmbeddedHost({ name: "san1", poolDirectories: { fast: pool }, tgt: false });
    told = [];
    engine = new grpc.Server();
    engine.addService(EngineService, {
        log: ({ request }: { request: LogRequest }, callback: grpc.sendUnaryData<Empty>) => {
            told.push({
                message: request.getMessage(),
                urn: request.getUrn(),
                severity: request.getSeverity(),
                ephemeral: request.getEphemeral(),
            });
            callback(null, new Empty());
        },
    });
    engineAddress = await listening(engine);
    await nextRun();
});
afterEach(async () => {
    for (const one of opened.splice(0)) await one.stop();
    engine.forceShutdown();
    await host.stop();
    await disk.close();
});

/** Another process of the plugin, as far as the engine can tell. */
async function nextRun(): Promise<void> {
    plugin = await PluginClient.start(engineAddress);
    opened.push(plugin);
    await plugin.configure({ hosts: { san1: host.configuration() } });
}

function listening(server: grpc.Server): Promise<string> {
    return new Promise((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
            if (error === null) resolve(`127.0.0.1:${String(port)}`);
            else reject(error);
        });
    });
}

const place = { host: "san1", pool: "fast" };

/** A volume that is full, large enough to be asked about while it is copied; and the inputs of a copy of it. */
async function original(): Promise<Record<string, unknown>> {
    const { inputs } = await plugin.check("Volume", "data", { ...place, size: SIZE });
    const { id } = await plugin.create("Volume", "data", inputs);
    writeFileSync(join(pool, "data.img"), Buffer.alloc(SIZE, 3), { flag: "r+" });
    // This run has seen an empty volume, which is copied without being asked about.
    await nextRun();
    const copy = await plugin.check("Volume", "copy", { ...place, source: { volume: id } });
    expect(copy.failures).toEqual([]);
    return copy.inputs;
}

function halfMade(error: unknown) {
    const detail = detailOf(error);
    expect(detail?.type).toBe("pulumirpc.ErrorResourceInitFailed");
    const failed = ErrorResourceInitFailed.deserializeBinary(detail?.bytes ?? new Uint8Array());
    return {
        id: failed.getId(),
        reasons: failed.getReasonsList(),
        state: values(failed.getProperties()),
        inputs: values(failed.getInputs()),
    };
}

test("progress is shown on the resource's status line, and nowhere else", async () => {
    const inputs = await original();
    await plugin.create("Volume", "copy", inputs);
    expect(told.length).toBeGreaterThan(0);
    for (const { message, urn, severity, ephemeral } of told) {
        expect(message).toMatch(/volume "copy".*: \d+ %$/);
        expect(urn).toBe(plugin.urn("Volume", "copy"));
        expect([severity, ephemeral]).toEqual([LogSeverity.INFO, true]);
    }
});

test("what ends half-way is recorded with its inputs, and the next update finishes it", async () => {
    const inputs = await original();
    const hog = join(disk.directory, "hog");
    writeFileSync(hog, Buffer.alloc(768 * MiB, 1));
    const error: unknown = await plugin.create("Volume", "copy", inputs).catch((e: unknown) => e);
    const { id, reasons, state, inputs: recorded } = halfMade(error);
    expect(id).toBe("san1/fast/copy");
    expect(reasons).toEqual([expect.stringContaining("no-space") as string]);
    expect(state).toMatchObject({ incomplete: true, pool: "fast", name: "copy" });
    expect(recorded).toEqual(inputs);

    rmSync(hog);
    await nextRun();
    const diff = await plugin.diff("Volume", "copy", { id, olds: state, oldInputs: inputs, news: inputs });
    expect(diff).toMatchObject({ changes: true, replaces: [] });
    const after = await plugin.update("Volume", "copy", { id, olds: state, news: inputs });
    expect(after["incomplete"]).toBeUndefined();
    expect(readFileSync(join(pool, "copy.img")).equals(Buffer.alloc(SIZE, 3))).toBe(true);
});

test("a cancel ends what is under way on the host, and it is recorded", async () => {
    const inputs = await original();
    const creation = plugin.create("Volume", "copy", inputs).catch((e: unknown) => e);
    await vi.waitFor(() => expect(told).not.toEqual([]), { timeout: 60_000, interval: 5 });
    await plugin.cancel();
    const { id, state } = halfMade(await creation);
    expect(id).toBe("san1/fast/copy");
    expect(state).toMatchObject({ incomplete: true });
});

test("a time-out of the resource's own does, too, and says so; the next update goes on", async () => {
    const inputs = await original();
    // Long enough to begin, too short for half a gigabyte.
    let error: unknown;
    for (let seconds = 0.1; error === undefined; seconds *= 1.5) {
        const ended: unknown = await plugin
            .create("Volume", "copy", inputs, { timeout: seconds })
            .catch((e: unknown) => e);
        if (!(ended instanceof Error)) expect.fail(`it was made within ${String(seconds)} s`);
        if (detailOf(ended) !== undefined) error = ended;
    }
    const { id, reasons, state } = halfMade(error);
    expect(reasons).toEqual([
        expect.stringMatching(/longer than the resource's time-out, [\d.]+ s.*customTimeouts/s) as string,
    ]);
    expect(state).toMatchObject({ incomplete: true });
    await nextRun();
    const after = await plugin.update("Volume", "copy", { id, olds: state, news: inputs });
    expect(after["incomplete"]).toBeUndefined();
});
