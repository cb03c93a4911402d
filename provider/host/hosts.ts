import { appendFileSync } from "node:fs";
import { BlockhostError } from "../errors";
import { createTransport } from "../transport";
import type { Protocol } from "../targets/types";
import type { Transport, TransportConfig } from "../transport/types";
import { type Failure, formatPath, suggestion } from "../validate";
import { portalProblems, resolveHost } from "./config";
import type { HostFacts } from "./facts";
import { Host } from "./host";
import { CountingSink } from "./sink";

/** How a resource names its host: by its name in the configuration, or inline with everything. */
export type HostReference = string | ({ readonly name: string } & Readonly<Record<string, unknown>>);

/** All storage hosts of one process; each has one {@link Host}, and that one connection. */
export class Hosts {
    private readonly configured: Readonly<Record<string, unknown>>;
    private readonly makeTransport: (config: TransportConfig) => Transport;
    private readonly open = new Map<string, { host: Host; sink: CountingSink }>();

    /**
     * @param configured `blockhost:hosts`: hosts by name.
     * @param makeTransport for tests of the core alone.
     */
    constructor(configured: Readonly<Record<string, unknown>>, makeTransport = createTransport) {
        this.configured = configured;
        this.makeTransport = makeTransport;
    }

    /** Names of the hosts in the configuration. */
    names(): string[] {
        return Object.keys(this.configured);
    }

    /** What is wrong with portals of a host of the configuration; the rest is told by {@link get}. */
    portalProblems(name: string): Failure[] {
        return portalProblems(this.configured[name], formatPath([name], "blockhost:hosts"));
    }

    /** Names of those that serve a protocol. What is wrong with the configuration of others is told to those that use them. */
    serving(protocol: Protocol): string[] {
        return this.names().filter((name) => {
            try {
                return resolveHost(name, this.configured[name], false).targets.has(protocol);
            } catch {
                return false;
            }
        });
    }

    /** A resource of this process has named its host inline. */
    anyInline = false;

    /**
     * @throws BlockhostError `invalid`: no such host, or its configuration is not right.
     */
    get(reference: HostReference): Host {
        const inline = typeof reference !== "string";
        const name = inline ? reference.name : reference;
        this.anyInline ||= inline;
        // Two inline hosts may share a name in two resources; what they say decides whether they are the same.
        const key = inline ? JSON.stringify(reference) : name;
        const known = this.open.get(key);
        if (known !== undefined) return known.host;
        const input = inline ? reference : this.configured[name];
        if (input === undefined) {
            throw new BlockhostError(
                "invalid",
                `there is no host "${name}" in the configuration${suggestion(name, this.names())}`,
                {
                    hint:
                        `add it under blockhost:hosts in the stack's configuration, e.g. \`pulumi config set --path '${formatPath([name, "address"], "blockhost:hosts")}' 10.0.0.5\`; ` +
                        "if it is there: of the plugin, `pulumi refresh`, `destroy` and `import` still have the configuration of the last `pulumi up`, so run that first",
                },
            );
        }
        const config = resolveHost(name, input, inline);
        const sink = new CountingSink();
        const host = new Host(config, this.makeTransport(config.transport), sink);
        this.open.set(key, { host, sink });
        return host;
    }

    /** Hosts that resources of this process are on. */
    opened(): Host[] {
        return [...this.open.values()].map(({ host }) => host);
    }

    /** Hosts of which this process knows something already, but this one and whatever else is the same machine. */
    knownBeside(name: string, { epoch }: HostFacts): { name: string; facts: HostFacts }[] {
        return this.opened().flatMap(({ known: facts, config }) => {
            if (facts === undefined || config.name === name || facts.epoch.boot === epoch.boot) return [];
            return [{ name: config.name, facts }];
        });
    }

    /** What this process has cost so far, by host. */
    statistics(): {
        host: string;
        connections: number;
        remoteRuns: number;
        operations: number;
        shells: number;
    }[] {
        return [...this.open.values()].map(({ host, sink }) => ({
            host: host.config.name,
            connections: host.counters.connections,
            remoteRuns: host.counters.runs,
            operations: sink.counters.plans,
            shells: host.counters.shells,
        }));
    }

    /** Appends {@link statistics} to a file, one JSON line a host. */
    report(file: string): void {
        for (const line of this.statistics()) appendFileSync(file, `${JSON.stringify(line)}\n`);
    }

    /** Drops what is known of every host, for a process that sees others change them. */
    forget(): void {
        for (const { host } of this.open.values()) host.forget();
    }

    async close(): Promise<void> {
        await Promise.all([...this.open.values()].map(({ host }) => host.close()));
    }
}
