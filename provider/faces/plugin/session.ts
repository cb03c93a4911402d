import { Hosts } from "../../host/hosts";
import type { OwnerInput } from "../../resources/common";
import { BlockhostError } from "../../errors";
import { type Configuration, readConfiguration } from "../../resources/configuration";
import type { Context } from "../../resources/types";
import { parseId } from "../../names";
import { type EngineLog, createEngineLog } from "./engine";
import { ownerFrom } from "../urn";
import type { Values } from "./values";

/** What one process serves: one run of Pulumi, with one configuration. */
export class Session {
    private configuration: Configuration = { hosts: {}, installation: "default", organization: undefined };
    private hosts = new Hosts({});
    private readonly said = new Set<string>();
    private readonly cancelled = new AbortController();
    private underway = 0;
    private closing: Promise<void> | undefined;
    log: EngineLog;

    /** What the program of this run declares: it has a Check before its Diff; in a refresh nothing has. */
    readonly declared = new Set<string>();

    /** Hosts given inline by resources of this run, by name. */
    private readonly inline = new Map<string, unknown>();

    constructor(engineAddress: string | undefined) {
        this.log = createEngineLog(engineAddress);
    }

    configure(given: Values): void {
        this.configuration = readConfiguration(given);
        this.hosts = new Hosts(this.configuration.hosts);
    }

    /**
     * Who declares a resource. The organisation is not told to a plugin: it is what was configured, or what the state
     * has already (of a stack that had the dynamic face).
     */
    owner(urn: string, olds?: Values): OwnerInput {
        const before = (olds?.["owner"] as Partial<OwnerInput> | undefined)?.organization;
        const organization = this.configuration.organization ?? before ?? "organization";
        return ownerFrom(urn, organization);
    }

    /**
     * Inputs with the inline host of the resource that they refer to, as classes of the dynamic face have it: what is
     * passed to a plugin in place of a resource is only its id.
     */
    withInlineHost(inputs: Values): Values {
        const given = inputs["host"];
        if (typeof given === "object" && given !== null) {
            const { name } = given as { name?: unknown };
            if (typeof name === "string") this.inline.set(name, given);
        }
        if (given !== undefined) return inputs;
        for (const value of Object.values(inputs)) {
            const host = typeof value === "string" ? parseId(value)?.host : undefined;
            if (host === undefined || this.hosts.names().includes(host)) continue;
            const inline = this.inline.get(host);
            if (inline !== undefined) return { ...inputs, host: inline };
        }
        return inputs;
    }

    get installation(): string {
        return this.configuration.installation;
    }

    /** Runs one call, which a cancel of Pulumi's and the resource's time-out (seconds; 0: none) end. */
    async call<T>(urn: string, timeout: number, what: (context: Context) => Promise<T>): Promise<T> {
        const late = new AbortController();
        const timer =
            timeout > 0
                ? setTimeout(() => {
                      late.abort(timeoutError(timeout));
                  }, timeout * 1000)
                : undefined;
        this.underway++;
        try {
            return await what({
                hosts: this.hosts,
                installation: this.configuration.installation,
                signal: AbortSignal.any([this.cancelled.signal, late.signal]),
                warn: (message, of) => {
                    if (this.isNew(message)) this.log.warn(message, of === "run" ? "" : urn);
                },
                inform: (message) => {
                    if (this.isNew(message)) this.log.info(message, "");
                },
                progress: (message) => {
                    this.log.status(message, urn);
                },
            });
        } finally {
            clearTimeout(timer);
            this.underway--;
            await this.log.flush();
        }
    }

    private isNew(message: string): boolean {
        const said = this.said.has(message);
        this.said.add(message);
        return !said;
    }

    /**
     * The engine's Cancel. It comes at the end of every run, too: then nothing is under way, and only connections are
     * left to be closed.
     */
    async cancel(): Promise<void> {
        this.cancelled.abort();
        if (this.underway === 0) await this.close();
    }

    async close(): Promise<void> {
        this.closing ??= this.end();
        await this.closing;
    }

    private async end(): Promise<void> {
        const file = process.env["BLOCKHOST_STATS_FILE"];
        if (file !== undefined && file !== "") this.hosts.report(file);
        await this.hosts.close();
    }
}

function timeoutError(seconds: number): BlockhostError {
    return new BlockhostError(
        "timeout",
        `it took longer than the resource's time-out, ${String(seconds)} s`,
        {
            hint: "give it more time by the option `customTimeouts`; the next `pulumi up` goes on from where it ended",
        },
    );
}
