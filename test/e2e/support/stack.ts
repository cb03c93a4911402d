import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as automation from "@pulumi/pulumi/automation/index.js";
import type { EmbeddedHost } from "../../../tools/embedded-host/index.mjs";
import { processesMarked } from "../../../tools/embedded-host/processes.mjs";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";
import { checkout } from "../../../tools/paths.mjs";
import { prepare } from "../../../tools/prepare.mjs";

type Verb = "up" | "preview" | "refresh" | "destroy";
export type Program = automation.PulumiFn;

/** What one run of the engine did. */
export interface Outcome {
    readonly failed: boolean;
    /** All that the CLI printed. */
    readonly output: string;
    /** Warnings and errors, by the resource's name; without one, by the empty name. */
    readonly diagnostics: readonly { readonly resource: string; readonly message: string }[];
    /** The operations by resource, but for those that stay the same: `{ data: "create" }`. */
    readonly changes: Readonly<Record<string, string>>;
    /** How many resources stayed the same, were updated, …; a refresh counts what it found. */
    readonly summary: Readonly<Record<string, number>>;
    readonly seconds: number;
}

export interface StackOptions {
    readonly name?: string;
    readonly project?: string;
    readonly hosts: readonly EmbeddedHost[];
    /** More of `blockhost:hosts`, or in place of a host's own entry. */
    readonly moreHosts?: Readonly<Record<string, unknown>>;
    /** More environment variables of the engine. */
    readonly environment?: Readonly<Record<string, string>>;
}

export interface Resource {
    readonly urn: string;
    readonly id: string;
    readonly inputs: Record<string, unknown>;
    readonly outputs: Record<string, unknown>;
}

/**
 * A throw-away stack: the real engine, inline programs, a back end in a temporary directory. What the program imports as
 * `pulumi-blockhost` is the packed package, as users have it.
 */
export class TestStack {
    private constructor(
        private readonly stack: automation.Stack,
        private readonly directory: string,
    ) {}

    static async create({
        name = "dev",
        project = "e2e",
        hosts,
        moreHosts = {},
        environment: more = {},
    }: StackOptions) {
        const { pulumiEnvironment } = await prepare({ packages: true, pulumi: true, packed: true });
        const directory = temporaryDirectory("e2e");
        const workDir = join(directory, "program");
        mkdirSync(workDir);
        // The provider of dynamic resources finds packages from here.
        symlinkSync(join(checkout, "node_modules"), join(workDir, "node_modules"));
        const configuration = {
            ...Object.fromEntries(hosts.map((host) => [host.name, host.configuration()])),
            ...moreHosts,
        };
        const environment = { ...pulumiEnvironment(directory), ...more };
        // The Automation API looks for the CLI on this process's own path.
        process.env["PATH"] = environment["PATH"];
        process.env["PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK"] = "true";
        writeFileSync(join(workDir, "Pulumi.yaml"), `name: ${project}\nruntime: nodejs\n${PLUGIN}`);
        const stack = await automation.LocalWorkspace.createOrSelectStack(
            { stackName: name, projectName: project, program: async () => undefined },
            { workDir, envVars: environment },
        );
        const made = new TestStack(stack, directory);
        await stack.setAllConfig({ "blockhost:hosts": { value: JSON.stringify(configuration) } });
        return made;
    }

    up(program: Program, options: Options = {}): Promise<Outcome> {
        return this.run("up", program, options);
    }

    preview(program: Program, options: Options = {}): Promise<Outcome> {
        return this.run("preview", program, options);
    }

    refresh(options: Options = {}): Promise<Outcome> {
        return this.run("refresh", undefined, options);
    }

    destroy(options: Options = {}): Promise<Outcome> {
        return this.run("destroy", undefined, options);
    }

    /** The stack's resources of our kinds by name, as `pulumi stack export --show-secrets` does. */
    async resources(): Promise<Record<string, Resource>> {
        const all = (await this.export()).resources ?? [];
        return Object.fromEntries(
            all
                .filter(({ urn }) => isOurs(urn))
                .map((one) => [one.urn.slice(one.urn.lastIndexOf("::") + 2), one]),
        );
    }

    private async export(): Promise<{ resources?: Resource[] }> {
        return ((await this.stack.exportStack()) as { deployment: { resources?: Resource[] } }).deployment;
    }

    /** All that the back end has stored: state, history, back-ups. */
    stored(): string {
        const state = join(this.directory, "state");
        return readdirSync(state, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
            .join("\n");
    }

    async setConfig(key: string, value: string, secret = false): Promise<void> {
        await this.stack.setConfig(key, { value, secret });
    }

    /** Processes of Pulumi's at work on this stack whose command line has a text in it. */
    processes(text: string): number[] {
        return processesMarked(join(this.directory, "home"), "PULUMI_HOME").filter((pid) => {
            try {
                return readFileSync(`/proc/${String(pid)}/cmdline`, "latin1").includes(text);
            } catch {
                return false;
            }
        });
    }

    /** What has to be done after Pulumi was killed: its lock outlives it. */
    async unlock(): Promise<void> {
        await this.stack.cancel();
    }

    remove(): void {
        removeDirectory(this.directory);
    }

    private async run(verb: Verb, program: Program | undefined, options: Options): Promise<Outcome> {
        const started = performance.now();
        const events: automation.EngineEvent[] = [];
        let output = "";
        const { onStep, ...passed } = options;
        const common = {
            ...passed,
            color: "never" as const,
            suppressProgress: true,
            onOutput: (text: string) => void (output += text),
            onError: (text: string) => void (output += text),
            onEvent: (event: automation.EngineEvent) => {
                events.push(event);
                const { op, urn } = event.resourcePreEvent?.metadata ?? {};
                if (op !== undefined && urn !== undefined) onStep?.(op, nameIn(urn));
            },
        };
        let failed = false;
        try {
            if (verb === "up" || verb === "preview") {
                await this.stack[verb]({ ...common, ...(program && { program }) });
            } else {
                await this.stack[verb](common);
            }
        } catch (error) {
            if (!(error instanceof automation.CommandError)) throw error;
            failed = true;
            output += error.message;
        }
        return {
            failed,
            output,
            ...summarise(events),
            seconds: Math.round(performance.now() - started) / 1000,
        };
    }
}

/** Where the plugin is; programs of the dynamic face do not ask for it. */
const PLUGIN = `plugins:
    providers:
        - name: blockhost
          path: ${join(checkout, "node_modules", "pulumi-blockhost", "bin")}
`;

interface Options {
    readonly parallel?: number;
    /** As Ctrl-C does. */
    readonly signal?: AbortSignal;
    /** Told of every operation on a resource as it begins. */
    readonly onStep?: (operation: string, resource: string) => void;
}

function summarise(events: readonly automation.EngineEvent[]) {
    const diagnostics: { resource: string; message: string }[] = [];
    const changes: Record<string, string> = {};
    let summary: Record<string, number> = {};
    for (const { diagnosticEvent, resourcePreEvent, summaryEvent } of events) {
        if (diagnosticEvent !== undefined && /warning|error/.test(diagnosticEvent.severity)) {
            const { urn, message } = diagnosticEvent;
            diagnostics.push({ resource: nameIn(urn ?? ""), message: message.trim() });
        }
        if (summaryEvent !== undefined) summary = summaryEvent.resourceChanges ?? {};
        const metadata = resourcePreEvent?.metadata;
        if (metadata === undefined || metadata.op === "same" || !isOurs(metadata.urn)) continue;
        changes[nameIn(metadata.urn)] = metadata.op;
    }
    return { diagnostics, changes, summary };
}

/** A resource of either face; not a provider. */
function isOurs(urn: string): boolean {
    return urn.includes("blockhost:") && !urn.includes("::pulumi:providers:");
}

function nameIn(urn: string): string {
    return urn.slice(urn.lastIndexOf("::") + 2);
}
