import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { freePort } from "../../tools/embedded-host/ports.mjs";
import { type YamlProgram, createYamlStack } from "./support/yaml";

/** What only the plugin can show or be asked, by YAML programs: there is no SDK in between. */

type YamlStack = Awaited<ReturnType<typeof createYamlStack>>;
let host: EmbeddedHost;
let stack: YamlStack;
beforeAll(async () => {
    host = await startEmbeddedHost({ name: "san1" });
    const gone = { ...host.configuration(), port: await freePort(), targets: undefined };
    stack = await createYamlStack({ hosts: [host], moreHosts: { gone } });
});
afterAll(async () => {
    await host.stop();
    stack.remove();
});

const place = { host: "san1", pool: "fast" };
const volume = (properties: Record<string, unknown> = {}, options: Record<string, unknown> = {}) => ({
    type: "blockhost:Volume",
    properties: { ...place, size: "4MiB", ...properties },
    options,
});
const file = (name: string) => join(host.poolDirectories["fast"] ?? "", `${name}.img`);

test("a preview shows sizes and paths that are to come, and that an unreachable host hides them", async () => {
    const program: YamlProgram = {
        resources: {
            data: volume({ size: 4_194_304 }),
            far: volume({ host: "gone" }),
            farther: volume({ host: "gone" }),
        },
        outputs: {
            path: "${data.path}",
            size: "${data.sizeBytes}",
            far: "${far.path}",
            made: "${data.generation}",
        },
    };
    const preview = await stack.preview(program);
    expect(preview).toMatchObject({ failed: false, changes: { create: 4 } });
    expect(preview.output).toContain(file("data"));
    expect(preview.output).toMatch(/size\s*: 4194304/);
    expect(preview.output).toMatch(/far\s*: \[unknown\]/);
    expect(preview.output).toMatch(/made\s*: \[unknown\]/);
    // Of the host once, and of each resource in a line.
    expect([...preview.diagnostics].sort()).toEqual([
        'host "gone" cannot be asked: create volume "far" in pool "fast" is not checked against it',
        'host "gone" cannot be asked: create volume "farther" in pool "fast" is not checked against it',
        expect.stringMatching(/^observe on host "gone": .* cannot be reached/),
    ]);
    expect(existsSync(file("data"))).toBe(false);
});

test("a preview tells the target names of exports that are to come, which are new for each making", async () => {
    const initiators = [{ iqn: "iqn.2024-01.com.example:db1" }];
    const program = (...kept: readonly string[]): YamlProgram => {
        const all: YamlProgram["resources"] = {
            lun: volume(),
            before: { type: "blockhost:Snapshot", properties: { volume: "${lun}" } },
            live: {
                type: "blockhost:Export",
                properties: { source: "${lun}", protocol: "iscsi", initiators },
            },
            old: {
                type: "blockhost:Export",
                properties: { source: "${before}", protocol: "iscsi", initiators },
            },
        };
        const resources = Object.fromEntries(Object.entries(all).filter(([name]) => kept.includes(name)));
        const exports = ["live", "old"].filter((name) => kept.includes(name));
        const outputs = exports.map((name) => [name, `\${${name}.targetName}`]);
        return { resources, outputs: Object.fromEntries(outputs) as Record<string, string> };
    };
    const everything = program("lun", "before", "live", "old");
    const told = ({ output }: { readonly output: string }) =>
        [...output.matchAll(/(live|old)\s*: "(iqn\.[^"]+)"/g)].map(
            ([, name, text]) => `${name ?? ""} ${text ?? ""}`,
        );
    const made = async () => {
        const resources = await stack.resources();
        return ["live", "old"].map((name) => {
            return `${name} ${String(resources[name]?.outputs["targetName"])}`;
        });
    };
    const first = told(await stack.preview(everything));
    expect(first).toHaveLength(2);
    expect(await stack.up(everything)).toMatchObject({ failed: false });
    expect(await made()).toEqual(first);

    expect(await stack.up(program("lun", "before"))).toMatchObject({ failed: false });
    const second = told(await stack.preview(everything));
    expect(second).toHaveLength(2);
    expect(second.filter((line) => first.includes(line))).toEqual([]);
    expect(await stack.up(everything)).toMatchObject({ failed: false });
    expect(await made()).toEqual(second);
    expect(await stack.up({ resources: {} })).toMatchObject({ failed: false });
});

test("automatic naming: a stack's pattern makes names with the engine's random seed", async () => {
    const named = await createYamlStack({
        hosts: [host],
        project: "naming",
        config: { "pulumi:autonaming": { pattern: "${name}-${hex(6)}" } },
    });
    try {
        const program = { resources: { auto: volume(), given: volume({ name: "mine" }) } };
        expect(await named.up(program)).toMatchObject({ failed: false, changes: { create: 3 } });
        const names = async () => {
            const { auto, given } = await named.resources();
            return [auto?.outputs["name"], given?.outputs["name"]];
        };
        const first = await names();
        expect(first).toEqual([expect.stringMatching(/^auto-[0-9a-f]{6}$/), "mine"]);
        // A name stays for as long as the resource does.
        expect(await named.up(program)).toMatchObject({ failed: false, changes: { same: 3 } });
        expect(await names()).toEqual(first);
    } finally {
        await named.destroy();
        named.remove();
    }
});

test("a change is shown property by property", async () => {
    const wipe = { method: "zero", limit: "1MiB" };
    expect(await stack.up({ resources: { data: volume({ wipe }) } })).toMatchObject({ failed: false });
    const changed = { resources: { data: volume({ size: "8MiB", wipe: { method: "none" } }) } };
    const preview = await stack.preview(changed, ["--diff"]);
    expect(preview).toMatchObject({ failed: false, changes: { same: 1, update: 1 } });
    expect(preview.output).toMatch(/~ size\s*: "4MiB" => "8MiB"/);
    expect(preview.output).toMatch(/~ method\s*: "zero" => "none"/);
    expect(preview.output).toMatch(/- limit\s*: "1MiB"/);
    const ignored = { resources: { data: volume({ size: "8MiB", wipe }, { ignoreChanges: ["size"] }) } };
    expect((await stack.preview(ignored)).changes).toEqual({ same: 2 });
});

test("a replacement that is allowed deletes first", async () => {
    const allowed = { allow: ["data-loss"] };
    const replaced = { resources: { data: volume({ name: "other", ...allowed }) } };
    const refused = await stack.preview({ resources: { data: volume({ name: "other" }) } });
    expect(refused.failed).toBe(true);
    expect(refused.diagnostics.join("\n")).toMatch(/data-loss.*allow: \["data-loss"\]/s);
    const preview = await stack.preview(replaced);
    expect(preview.changes).toMatchObject({ replace: 1 });
    expect(await stack.up(replaced)).toMatchObject({ failed: false, diagnostics: [] });
    expect([existsSync(file("data")), existsSync(file("other"))]).toEqual([false, true]);
    expect(await stack.destroy()).toMatchObject({ failed: false });
});

test("what cannot be is refused where it stands, with what to do", async () => {
    const wrong = await stack.preview({ resources: { data: volume({ sise: "4MiB" }) } });
    expect(wrong.failed).toBe(true);
    expect(wrong.output).toMatch(/sise/);
    const type = await stack.preview({ resources: { data: volume({ allow: "offline" }) } });
    expect(type.failed).toBe(true);
    expect(type.output).toMatch(/allow/);
    const token = await stack.preview({
        resources: { data: { type: "blockhost:Volumes", properties: place } },
    });
    expect(token.failed).toBe(true);
    expect(token.output).toMatch(/blockhost:(index:)?Volumes/);
    const malformed = await stack.pulumi([
        ...["import", "--stack", "dev", "--config-file", stack.stack.configFile],
        ...["--yes", "--skip-preview", "--generate-code=false", "blockhost:index:Volume", "x", "fast/x"],
    ]);
    expect(malformed.status).not.toBe(0);
    expect(malformed.output).toMatch(/"fast\/x" is not the id of a volume/);
    expect(malformed.output).toMatch(/<host>\/<pool>\/<name>/);
});

test("configuration that is not right is told by its path, and what is missing with the command that sets it", async () => {
    const broken = await createYamlStack({
        hosts: [],
        moreHosts: { san1: { address: "10.0.0.5", prot: 22 } },
        config: { "blockhost:colour": "red" },
    });
    const preview = await broken.preview({ resources: { data: volume() } });
    expect(preview.failed).toBe(true);
    const said = preview.diagnostics.join("\n");
    expect(said).toContain(
        "has a problem: blockhost:hosts.san1.prot: there is no such property; did you mean",
    );
    expect(said).toContain("has a problem: blockhost:colour: there is no such property; known are");
    expect(preview.output).not.toContain("nil");
    broken.remove();
    const missing = await createYamlStack({ hosts: [], moreHosts: { san1: { user: "root" } } });
    const told = await missing.preview({ resources: { data: volume() } });
    expect(told.failed).toBe(true);
    expect(told.output).toContain("pulumi config set --path 'blockhost:hosts.san1.address' <value>");
    missing.remove();
});

test("a preview on a read-only host shows the whole plan, and sends nothing that changes anything", async () => {
    const snapshot = (of: string) => ({ type: "blockhost:Snapshot", properties: { volume: `\${${of}}` } });
    const lun = {
        type: "blockhost:Export",
        properties: {
            source: "${data}",
            protocol: "iscsi",
            initiators: [{ iqn: "iqn.2024-01.com.example:db1" }],
        },
    };
    const there = { data: volume(), gone: volume(), moved: volume(), old: snapshot("data") };
    expect(await stack.up({ resources: there })).toMatchObject({ failed: false, diagnostics: [] });

    const hosts = (more: Record<string, unknown> = {}) =>
        stack.stack.setConfig("blockhost:hosts", JSON.stringify({ san1: host.configuration(more) }));
    await hosts({ readOnly: true });
    const sent: string[] = [];
    const listen = () =>
        host.setTap(({ direction, chunk }) => {
            if (direction === "in") sent.push(chunk.toString("latin1"));
        });
    listen();
    const before = treeOf(host.directory);
    const program = {
        resources: {
            data: volume({ size: "8MiB" }),
            moved: volume({ name: "elsewhere", allow: ["data-loss"] }),
            old: snapshot("data"),
            fresh: volume(),
            before: snapshot("fresh"),
            lun,
        },
    };
    const preview = await stack.preview(program);
    host.setTap(undefined);
    expect(preview).toMatchObject({
        failed: false,
        diagnostics: [],
        changes: { create: 3, update: 1, replace: 1, delete: 1 },
    });
    const [, told = ""] = preview.output.split("Diagnostics:");
    expect(told.match(/host "san1" is configured as readOnly: nothing is changed there/g)).toHaveLength(1);
    expect(told).toContain("`pulumi up` fails on each change and leaves the host as it is");
    // All that was sent: scripts that read. Whatever changes anything runs under the host's lock.
    expect(sent.join("")).toContain("/proc/sys/kernel/osrelease");
    expect(sent.join("")).not.toContain("flock -w");
    expect(treeOf(host.directory)).toEqual(before);

    const up = await stack.up(program);
    expect(up.failed).toBe(true);
    expect(up.diagnostics.join("\n")).toMatch(/readOnly/);
    expect(treeOf(host.directory)).toEqual(before);
    await hosts();
    // The same scripts are seen where they are meant to be sent: what is looked for is what there is.
    listen();
    expect(await stack.up(program)).toMatchObject({ failed: false, diagnostics: [] });
    host.setTap(undefined);
    expect(sent.join("")).toContain("flock -w");
    await stack.destroy();
});

test("functions answer programs", async () => {
    const preview = await stack.preview({
        variables: { pool: { "fn::invoke": { function: "blockhost:getPool", arguments: place } } },
        outputs: { driver: "${pool.driver}" },
    });
    expect(preview).toMatchObject({ failed: false });
    expect(preview.output).toMatch(/driver\s*: "file"/);
});

/** Every file below a directory, with when it was last changed. */
function treeOf(directory: string): [string, number][] {
    return readdirSync(directory, { recursive: true, encoding: "utf8" })
        .filter((name) => !name.endsWith(".log"))
        .map((name): [string, number] => [name, lstatSync(join(directory, name)).mtimeMs])
        .sort();
}
