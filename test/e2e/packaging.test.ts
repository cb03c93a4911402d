import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
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

    // Installed, it also serves `pulumi do`, which knows types and functions from the schema alone.
    const pulumiDo = async (command: readonly string[], inputs?: Record<string, string>) => {
        const file = join(stack.folder, "inputs.pcl");
        const lines = Object.entries(inputs ?? {}).map(([key, value]) => `${key} = "${value}"\n`);
        writeFileSync(file, lines.join(""));
        const given = inputs === undefined ? [] : ["--input", "pcl", "--input-file", file];
        const done = await stack.pulumi(["do", ...command, ...given], {
            BLOCKHOST_HOSTS: JSON.stringify({ san1: host.configuration() }),
        });
        expect(done.status, done.output).toBe(0);
        return done.output;
    };
    const place = { host: "san1", pool: "fast" };
    const type = "blockhost:index:Volume";
    const image = join(host.poolDirectories["fast"] ?? "", "by-hand.img");
    expect(await pulumiDo(["blockhost:index:getPool"], place)).toMatch(/"driver": "file"/);
    const inputs = { ...place, name: "by-hand", size: "4MiB" };
    await pulumiDo([type, "create", "--stateless", "--yes"], inputs);
    expect(statSync(image).size).toBe(4 * 2 ** 20);
    expect(await pulumiDo([type, "list"])).toContain('"san1/fast/by-hand"');
    const change = [type, "patch", "san1/fast/by-hand", "--stateless", "--yes"];
    expect(await pulumiDo(change, { size: "8MiB" })).toMatch(/~ size: "4MiB" => "8MiB"/);
    expect(await pulumiDo([type, "read", "san1/fast/by-hand"])).toMatch(/sizeBytes\s*: 8388608/);
    await pulumiDo([type, "delete", "san1/fast/by-hand", "--stateless", "--yes"]);
    expect(existsSync(image)).toBe(false);
    rmSync(archive);
    stack.remove();
});
