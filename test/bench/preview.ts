import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { FACES } from "../e2e/support/package";
import { TestStack } from "../e2e/support/stack";

/**
 * What a `pulumi preview` of many unchanged volumes takes, by face: seconds of the whole command, remote runs and
 * connections. `tsx test/bench/preview.ts [NUMBER]`, 1,000 by default.
 */
const count = Number(process.argv[2] ?? 1000);
const directory = temporaryDirectory("bench-preview");
const statsFile = join(directory, "stats.jsonl");

async function main(): Promise<void> {
    for (const { face, blockhost } of FACES) {
        const host = await startEmbeddedHost({ name: "san1", tgt: false });
        const stack = await TestStack.create({
            hosts: [host],
            environment: { BLOCKHOST_STATS_FILE: statsFile },
        });
        const program = async () => {
            for (let i = 0; i < count; i++)
                new blockhost.Volume(`data-${String(i)}`, { host: "san1", pool: "fast", size: "1MiB" });
        };
        const up = await stack.up(program, { parallel: 64 });
        if (up.failed) throw new Error(up.output.slice(-2000));
        writeFileSync(statsFile, "");
        const preview = await stack.preview(program, { parallel: 64 });
        const [stats] = readFileSync(statsFile, "utf8").trim().split("\n");
        console.log(
            JSON.stringify({
                face,
                count,
                upSeconds: up.seconds,
                previewSeconds: preview.seconds,
                changes: Object.keys(preview.changes).length,
                stats: JSON.parse(stats ?? "null") as unknown,
            }),
        );
        await host.stop();
        stack.remove();
    }
    removeDirectory(directory);
}

void main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
