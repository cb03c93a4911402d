import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EmbeddedHost } from "../../../tools/embedded-host/index.mjs";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";
import { checkout } from "../../../tools/paths.mjs";
import { prepare } from "../../../tools/prepare.mjs";
import { createStack } from "../../../tools/pulumi/stack.mjs";

/** A resource of a YAML program. */
export interface YamlResource {
    readonly type: string;
    readonly properties: Readonly<Record<string, unknown>>;
    readonly options?: Readonly<Record<string, unknown>>;
}

export interface YamlProgram {
    readonly resources?: Readonly<Record<string, YamlResource>>;
    readonly variables?: Readonly<Record<string, unknown>>;
    readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface YamlStackOptions {
    readonly hosts: readonly EmbeddedHost[];
    readonly moreHosts?: Readonly<Record<string, unknown>>;
    /** More of the stack's configuration. */
    readonly config?: Readonly<Record<string, unknown>>;
    readonly name?: string;
    readonly project?: string;
}

/** A throw-away stack of a YAML program: the plugin as the engine itself talks to it, without an SDK in between. */
export async function createYamlStack(options: YamlStackOptions) {
    const { hosts, moreHosts = {}, config = {}, name = "dev", project = "e2e" } = options;
    const prepared = await prepare({ packages: true, pulumi: true, packed: true, yaml: true });
    const directory = temporaryDirectory("yaml");
    const folder = join(directory, "project");
    mkdirSync(folder);
    const write = (program: YamlProgram) => {
        const bin = join(checkout, "node_modules", "pulumi-blockhost", "bin");
        const plugins = { providers: [{ name: "blockhost", path: bin }] };
        const text = toBlock({ name: project, runtime: "yaml", plugins, ...program });
        writeFileSync(join(folder, "Pulumi.yaml"), text);
    };
    write({});
    const stack = await createStack({
        project: folder,
        directory: join(directory, "stack"),
        environment: prepared.pulumiEnvironment(join(directory, "pulumi")),
        name,
        config: {
            "blockhost:hosts": {
                ...Object.fromEntries(hosts.map((host) => [host.name, host.configuration()])),
                ...moreHosts,
            },
            ...config,
        },
    });
    const operate =
        (verb: "up" | "preview" | "refresh" | "destroy") =>
        async (program?: YamlProgram, args: readonly string[] = []) => {
            if (program !== undefined) write(program);
            const outcome = await stack[verb]({ tolerate: true, args: [...args] });
            return { ...outcome, failed: outcome.status !== 0 };
        };
    return {
        folder,
        stack,
        write,
        up: operate("up"),
        preview: operate("preview"),
        refresh: operate("refresh"),
        destroy: operate("destroy"),
        /** Any command, on this stack. */
        pulumi: (args: readonly string[], env: Record<string, string> = {}) =>
            stack.pulumi([...args], { tolerate: true, env }),
        async resources(): Promise<Record<string, StateResource>> {
            const { deployment } = (await stack.state()) as { deployment: { resources?: StateResource[] } };
            return Object.fromEntries(
                (deployment.resources ?? [])
                    .filter(({ urn }) => urn.includes("::blockhost:"))
                    .map((one) => [one.urn.slice(one.urn.lastIndexOf("::") + 2), one]),
            );
        },
        remove() {
            removeDirectory(directory);
        },
    };
}

export interface StateResource {
    readonly urn: string;
    readonly id: string;
    readonly inputs: Record<string, unknown>;
    readonly outputs: Record<string, unknown>;
    readonly protect?: boolean;
}

/** Top-level keys as YAML, their values as JSON, which is YAML too. */
function toBlock(values: object): string {
    return Object.entries(values)
        .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
        .join("");
}
