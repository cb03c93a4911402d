import { rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { packPlugin } from "../../tools/plugin.mjs";
import { createYamlStack } from "./support/yaml";

let host: EmbeddedHost;
let directory: string;
beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    directory = temporaryDirectory("plugin-archive");
});
afterAll(async () => {
    await host.stop();
    removeDirectory(directory);
});

test("the archive is installed by `pulumi plugin install --file`, and serves programs that name no path", async () => {
    const archives = await packPlugin(directory);
    expect(archives.map((path) => basename(path))).toContain(
        "pulumi-resource-blockhost-v0.1.0-linux-amd64.tar.gz",
    );
    const stack = await createYamlStack({ hosts: [host] });
    const [archive = ""] = archives;
    const installed = await stack.pulumi([
        "plugin",
        "install",
        "resource",
        "blockhost",
        "0.1.0",
        "--file",
        archive,
    ]);
    expect(installed.status, installed.output).toBe(0);
    expect((await stack.pulumi(["plugin", "ls"])).output).toMatch(/blockhost\s+resource\s+0\.1\.0/);

    const data = { type: "blockhost:Volume", properties: { host: "san1", pool: "fast", size: "4MiB" } };
    writeFileSync(
        join(stack.folder, "Pulumi.yaml"),
        `name: e2e\nruntime: yaml\nresources: ${JSON.stringify({ data })}\noutputs: { path: "\${data.path}" }\n`,
    );
    const up = await stack.up();
    expect(up).toMatchObject({ failed: false, diagnostics: [] });
    expect((await stack.stack.outputs())["path"]).toBe(join(host.poolDirectories["fast"] ?? "", "data.img"));
    expect(await stack.destroy()).toMatchObject({ failed: false });
    rmSync(archive);
    stack.remove();
});
