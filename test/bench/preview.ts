import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { readStats } from "../../tools/stats.mjs";
import { FACES } from "../e2e/support/package";
import { TestStack } from "../e2e/support/stack";

export interface PreviewBench {
    /** How many volumes. */
    readonly volumes: number;
    /** Of the whole command `pulumi up` that has made them. */
    readonly upSeconds: number;
    /** Of the whole command `pulumi preview` that finds nothing to change. */
    readonly previewSeconds: number;
    /** On the host, for that preview. */
    readonly remoteRuns: number;
    readonly connections: number;
}

/** What a `pulumi preview` of many unchanged volumes of one host takes, by face: the real engine, 64 at once. */
export async function benchPreview(volumes: number): Promise<Record<string, PreviewBench>> {
    const results: Record<string, PreviewBench> = {};
    for (const { face, blockhost } of FACES) results[face] = await ofFace(blockhost, volumes);
    return results;
}

async function ofFace(
    blockhost: (typeof FACES)[number]["blockhost"],
    volumes: number,
): Promise<PreviewBench> {
    const directory = temporaryDirectory("bench-preview");
    const statsFile = join(directory, "stats.jsonl");
    const host = await startEmbeddedHost({ name: "san1", tgt: false });
    const environment = { BLOCKHOST_STATS_FILE: statsFile };
    const stack = await TestStack.create({ hosts: [host], environment });
    const program = async () => {
        for (let i = 0; i < volumes; i++)
            new blockhost.Volume(`data-${String(i)}`, { host: "san1", pool: "fast", size: "1MiB" });
    };
    try {
        const up = await stack.up(program, { parallel: 64 });
        if (up.failed) throw new Error(up.output.slice(-2000));
        writeFileSync(statsFile, "");
        const preview = await stack.preview(program, { parallel: 64 });
        const { same = 0 } = preview.summary;
        // The stack itself, and for the plugin its provider.
        if (preview.failed || Object.keys(preview.changes).length > 0 || same < volumes)
            throw new Error(`the preview found changes:\n${preview.output.slice(-2000)}`);
        const { processes, remoteRuns, connections } = readStats(statsFile);
        if (processes === 0) throw new Error("the preview has counted nothing");
        return { volumes, upSeconds: up.seconds, previewSeconds: preview.seconds, remoteRuns, connections };
    } finally {
        await host.stop();
        stack.remove();
        removeDirectory(directory);
    }
}
