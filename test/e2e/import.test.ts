import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { checkout } from "../../tools/paths.mjs";
import { type YamlProgram, type YamlResource, createYamlStack } from "./support/yaml";

/** What others have made is taken over by import and by `adopt`; a stack that lost its state gets all of it back. */

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

const MiB = 2 ** 20;
const place = { host: "san1", pool: "fast" };
const numbered = (name: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${name}-${String(i)}`);
/** Made by hand, imported by a file, and taken over by the update after it. */
const legacy = numbered("legacy", 12);
/** Made by hand, and adopted by a program. */
const disks = numbered("disk", 4);
const copies = numbered("copy", 8);
const luns = numbered("lun", 8);

/** Its being made makes the directory a pool; only then may there be files of others in it. */
const first: Record<string, YamlResource> = {
    first: { type: "blockhost:Volume", properties: { ...place, name: "first", size: "2MiB" } },
};

/** As somebody declares what was imported: by its size, which may be written in any way. */
const imported: Record<string, YamlResource> = Object.fromEntries(
    legacy.map((name) => [name, { type: "blockhost:Volume", properties: { ...place, name, size: "2MiB" } }]),
);

/** Volumes that are adopted, snapshots that are (of imported and adopted volumes), and exports of all three. */
const adopted: Record<string, YamlResource> = {
    ...Object.fromEntries(
        disks.map((name) => [
            name,
            { type: "blockhost:Volume", properties: { ...place, name, adopt: `${name}.raw` } },
        ]),
    ),
    ...Object.fromEntries(
        copies.map((name, i) => [
            name,
            {
                type: "blockhost:Snapshot",
                properties: { volume: `\${${originOf(i)}}`, name, adopt: `${name}.raw` },
            },
        ]),
    ),
    ...Object.fromEntries(
        luns.map((name, i) => [
            name,
            {
                type: "blockhost:Export",
                properties: {
                    source: `\${${i < 3 ? legacy[i] : i < 5 ? disks[i - 3] : copies[i]}}`,
                    protocol: "iscsi",
                    name,
                    initiators: [{ iqn: `iqn.2024-01.com.example:db${String(i)}` }],
                },
            },
        ]),
    ),
};

function originOf(copy: number): string {
    return (copy % 2 === 0 ? legacy : disks)[copy % disks.length] ?? "";
}

const path = (file: string) => join(host.poolDirectories["fast"] ?? "", file);
const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** Writes an import file with hosts from the stack's own file, and imports it; gives what was in it. */
async function importAll(stack: YamlStack, ...options: string[]) {
    const file = join(stack.folder, "import.json");
    // The host is in this process: it must not wait.
    await promisify(execFile)(process.execPath, [
        join(checkout, "node_modules/pulumi-blockhost/bin/blockhost"),
        ...["import-file", "san1", "--config", stack.stack.configFile, "--out", file, ...options],
    ]);
    const { status, output } = await stack.pulumi([
        "import",
        ...["--stack", "dev", "--config-file", stack.stack.configFile],
        ...["--file", file, "--yes", "--skip-preview", "--protect=false"],
        ...["--generate-resources", join(stack.folder, "generated.json"), "--generate-code=false"],
    ]);
    expect(status, output).toBe(0);
    const { resources } = JSON.parse(readFileSync(file, "utf8")) as {
        resources: { type: string; name: string; id: string }[];
    };
    return resources.map(({ type, name }) => `${type.replace(/.*:/, "")} ${name}`).sort();
}

const fine = { failed: false, diagnostics: [] };

test("what others have made is taken over: volumes by an import file, and by `adopt`, as snapshots are", async () => {
    expect(await before.up({ resources: first })).toMatchObject(fine);
    for (const [i, name] of legacy.entries())
        writeFileSync(path(`${name}.img`), Buffer.alloc(2 * MiB, 1 + i));
    const contents = legacy.map((name) => digest(path(`${name}.img`)));

    const listed = await importAll(before, "--of", "organization/e2e/another", "--unmanaged");
    expect(listed).toEqual(legacy.map((name) => `Volume ${name}`).sort());

    // An import has changed nothing: the next update takes them over, and that is all it does.
    const taken = { resources: { ...first, ...imported } };
    const shown = await before.preview(taken, ["--diff"]);
    expect(shown).toMatchObject({ ...fine, changes: { update: 12, same: 2 } });
    expect(shown.output).toContain(
        'Volume "legacy-0", generation: it is taken over: it gets an owner mark, and its data stays as it is',
    );
    // For a refresh that is no difference, and what is made of them can be previewed in the same program.
    expect((await before.refresh()).changes).toEqual({ same: 14 });
    const dependants = {
        snapshot: { type: "blockhost:Snapshot", properties: { volume: "${legacy-0}" } },
        clone: { type: "blockhost:Volume", properties: { ...place, source: { volume: "${legacy-0}" } } },
        lun: {
            type: "blockhost:Export",
            properties: {
                source: "${legacy-0}",
                protocol: "iscsi",
                initiators: [{ iqn: "iqn.2024-01.com.example:db1" }],
            },
        },
    };
    expect(await before.preview({ resources: { ...taken.resources, ...dependants } })).toMatchObject({
        ...fine,
        changes: { update: 12, create: 3, same: 2 },
    });
    expect(await before.up(taken)).toMatchObject({ ...fine, changes: { update: 12, same: 2 } });
    expect(await before.preview(taken)).toMatchObject({ ...fine, changes: { same: 14 } });
    expect(legacy.map((name) => digest(path(`${name}.img`)))).toEqual(contents);

    for (const [i, name] of disks.entries())
        writeFileSync(path(`${name}.raw`), Buffer.alloc(2 * MiB, 65 + i));
    for (const [i, name] of copies.entries()) {
        const origin = originOf(i);
        copyFileSync(
            path(origin.startsWith("disk") ? `${origin}.raw` : `${origin}.img`),
            path(`${name}.raw`),
        );
    }
    expect(await before.up(whole)).toMatchObject({ ...fine, changes: { create: 20, same: 14 } });
    expect(await before.preview(whole)).toMatchObject({ ...fine, changes: { same: 34 } });
});

/** Sixteen volumes and eight snapshots that were taken over, eight exports, and the one volume that was made. */
const whole: YamlProgram = { resources: { ...first, ...imported, ...adopted } };

test("all of it comes back by `blockhost import-file` and `pulumi import --file`, without a change", async () => {
    const made = await before.resources();
    const all = Object.entries(whole.resources ?? {}).map(
        ([name, { type }]) => `${type.replace(/.*:/, "")} ${name}`,
    );
    expect(all).toHaveLength(33);
    expect(await importAll(after, "--of", "organization/e2e/dev")).toEqual(all.sort());

    // The program that the stack had, and no difference to what was imported.
    expect(await after.preview(whole)).toMatchObject({ ...fine, changes: { same: 34 } });
    expect((await after.up(whole)).changes).toEqual({ same: 34 });
    const back = await after.resources();
    expect(Object.keys(back).sort()).toEqual(Object.keys(made).sort());
    for (const [name, { id, outputs }] of Object.entries(back)) {
        expect(id).toBe(made[name]?.id);
        expect(outputs["generation"]).toBe(made[name]?.outputs["generation"]);
    }
    expect(await after.destroy()).toMatchObject(fine);
});
