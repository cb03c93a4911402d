import { mkdirSync, readFileSync, readlinkSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { checkout } from "../../tools/paths.mjs";
import { prepare } from "../../tools/prepare.mjs";
import { createStack } from "../../tools/pulumi/stack.mjs";

/** That a leg of the tests runs what it says: the Node.js and the Pulumi SDK of every process that has a part in it. */

let host: EmbeddedHost;
let directory: string;
beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1", tgt: false });
    directory = temporaryDirectory("versions");
});
afterAll(async () => {
    await host.stop();
    removeDirectory(directory);
});

const program = `
const dynamic = require("pulumi-blockhost");
const plugin = require("pulumi-blockhost/plugin");
const place = { host: "san1", pool: "fast", size: "1MiB" };
exports.ids = [new dynamic.Volume("by-dynamic", place).id, new plugin.Volume("by-plugin", place).id];
`;

/** Loaded into every Node.js that the engine starts: says which SDK that has loaded, once it has. */
const witness = (log: string) => `
const { appendFileSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const folder = join("node_modules", "@pulumi", "pulumi");
setInterval(function look() {
    const loaded = Object.keys(require.cache).find((path) => path.includes(folder));
    if (loaded === undefined) return;
    clearInterval(this);
    const root = loaded.slice(0, loaded.indexOf(folder) + folder.length);
    const sdk = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
    const line = { script: process.argv[1], node: process.version, executable: process.execPath, sdk };
    appendFileSync(${JSON.stringify(log)}, JSON.stringify(line) + "\\n");
}, 20).unref();
`;

/** The part that a process has, by its script. */
const PARTS = {
    "language host": /language-host\.mjs$/,
    program: /@pulumi\/pulumi\/cmd\/run(\/index\.js)?$/,
    "dynamic provider": /@pulumi\/pulumi\/cmd\/dynamic-provider(\/index\.js)?$/,
    plugin: /pulumi-blockhost\/bin\/pulumi-resource-blockhost$/,
};

interface Witnessed {
    readonly script: string;
    readonly node: string;
    readonly executable: string;
    readonly sdk: string;
}

test("program, language host, plugin and dynamic provider run on the Node.js and with the SDK of this leg", async () => {
    const node = process.env["BLOCKHOST_NODE_VERSION"] ?? process.version;
    const { devDependencies } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
        devDependencies: Record<string, string>;
    };
    const sdk = devDependencies["@pulumi/pulumi"];
    expect(process.version).toBe(node);

    const { pulumiEnvironment } = await prepare({ packages: true, pulumi: true, packed: true });
    const project = join(directory, "project");
    mkdirSync(project);
    symlinkSync(join(checkout, "node_modules"), join(project, "node_modules"));
    const log = join(directory, "witnessed.jsonl");
    const hook = join(directory, "witness.cjs");
    writeFileSync(hook, witness(log));
    writeFileSync(join(project, "index.js"), program);
    const bin = join(checkout, "node_modules", "pulumi-blockhost", "bin");
    writeFileSync(
        join(project, "Pulumi.yaml"),
        `name: versions\nruntime: nodejs\nplugins: ${JSON.stringify({ providers: [{ name: "blockhost", path: bin }] })}\n`,
    );
    const stack = await createStack({
        project,
        directory: join(directory, "stack"),
        environment: {
            ...pulumiEnvironment(join(directory, "pulumi")),
            NODE_OPTIONS: `--require=${hook}`,
        },
        config: { "blockhost:hosts": { san1: host.configuration() } },
    });
    expect((await stack.up()).changes).toMatchObject({ create: 3 });
    expect((await stack.outputs())["ids"]).toEqual(["san1/fast/by-dynamic", "san1/fast/by-plugin"]);

    const witnessed = readFileSync(log, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Witnessed);
    const executable = realpathSync(readlinkSync("/proc/self/exe"));
    for (const [part, script] of Object.entries(PARTS)) {
        const all = witnessed.filter((one) => script.test(one.script));
        expect(all.length, `${part}: ${JSON.stringify(witnessed)}`).toBeGreaterThan(0);
        for (const one of all) expect(one, part).toMatchObject({ node, executable, sdk });
    }
    expect((await stack.destroy()).diagnostics).toEqual([]);
});
