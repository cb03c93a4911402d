import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { checkout } from "../../tools/paths.mjs";
import { type YamlProgram, type YamlResource, createYamlStack } from "./support/yaml";

/** A stack that lost its state, or moves to another back end, gets all of it back by one import file. */

type YamlStack = Awaited<ReturnType<typeof createYamlStack>>;
let host: EmbeddedHost;
let before: YamlStack;
let after: YamlStack;
beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    before = await createYamlStack({ hosts: [host] });
    after = await createYamlStack({ hosts: [host] });
});
afterAll(async () => {
    await host.stop();
    before.remove();
    after.remove();
});

const names = Array.from({ length: 8 }, (_, i) => `data-${String(i)}`);
const place = { host: "san1", pool: "fast" };

/** Eight volumes, half of them adopted, six snapshots and six exports. */
function program(): YamlProgram {
    const resources: Record<string, YamlResource> = {};
    for (const [i, name] of names.entries()) {
        const from = i % 2 === 0 ? { adopt: `old-${String(i)}.raw` } : { size: "2MiB" };
        resources[name] = { type: "blockhost:Volume", properties: { ...place, name, ...from } };
        if (i >= 6) continue;
        const number = String(i);
        resources[`before-${number}`] = {
            type: "blockhost:Snapshot",
            properties: { volume: `\${${name}}`, name: `before-${number}` },
        };
        resources[`lun-${number}`] = {
            type: "blockhost:Export",
            properties: {
                source: `\${${i < 3 ? name : `before-${number}`}}`,
                protocol: "iscsi",
                name: `lun-${number}`,
                initiators: [{ iqn: `iqn.2024-01.com.example:db${number}` }],
            },
        };
    }
    return { resources };
}

test("20 adopted and made objects come back by `blockhost import-file` and `pulumi import --file`, without a change", async () => {
    // The first volume makes the directory a pool; only then may there be files of others in it.
    const first = { "data-1": program().resources?.["data-1"] as YamlResource };
    expect(await before.up({ resources: first })).toMatchObject({ failed: false, diagnostics: [] });
    for (const i of [0, 2, 4, 6]) {
        writeFileSync(
            join(host.poolDirectories["fast"] ?? "", `old-${String(i)}.raw`),
            Buffer.alloc(2 * 2 ** 20, i),
        );
    }
    expect(await before.up(program())).toMatchObject({
        failed: false,
        diagnostics: [],
        changes: { create: 19, same: 2 },
    });
    const made = await before.resources();
    expect(Object.keys(made)).toHaveLength(20);

    const file = join(after.folder, "import.json");
    // The host is in this process: it must not wait.
    await promisify(execFile)(
        process.execPath,
        [
            join(checkout, "node_modules/pulumi-blockhost/bin/blockhost"),
            ...["import-file", "san1", "--of", "organization/e2e/dev", "--out", file],
        ],
        { env: { ...process.env, BLOCKHOST_HOSTS: JSON.stringify({ san1: host.configuration() }) } },
    );
    const { resources } = JSON.parse(readFileSync(file, "utf8")) as {
        resources: { type: string; name: string; id: string }[];
    };
    expect(resources).toHaveLength(20);

    const where = ["--stack", "dev", "--config-file", after.stack.configFile];
    const imported = await after.pulumi([
        "import",
        ...where,
        ...["--file", file, "--yes", "--skip-preview", "--protect=false"],
        ...["--generate-resources", join(after.folder, "generated.json")],
        "--generate-code=false",
    ]);
    expect(imported.status, imported.output).toBe(0);
    expect(Object.keys(await after.resources()).sort()).toEqual(Object.keys(made).sort());

    // The program that the stack had, and no difference to what was imported.
    const preview = await after.preview(program());
    expect(preview).toMatchObject({ failed: false, diagnostics: [], changes: { same: 21 } });
    expect((await after.up(program())).changes).toEqual({ same: 21 });
    for (const [name, { id, outputs }] of Object.entries(await after.resources())) {
        expect(id).toBe(made[name]?.id);
        expect(outputs["generation"]).toBe(made[name]?.outputs["generation"]);
    }
    expect(await after.destroy()).toMatchObject({ failed: false, diagnostics: [] });
});
