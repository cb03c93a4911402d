import { existsSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { BlockhostError } from "../errors";
import { Hosts } from "../host/hosts";
import { readConfiguration } from "../resources/configuration";
import type { Context } from "../resources/types";
import { contextOfStack } from "./configuration";

/** Where a command takes the hosts from. */
export interface ConfigurationSource {
    /** A stack's file, `Pulumi.<stack>.yaml`. */
    readonly config?: string | undefined;
    readonly stack?: string | undefined;
}

/**
 * The configuration of a stack, read from its file where that is there, so that neither Pulumi nor a passphrase is
 * needed (hosts hold no secrets); else from what `pulumi config` says, or from the environment.
 *
 * @throws BlockhostError `invalid`
 */
export async function contextOf({ config, stack }: ConfigurationSource): Promise<Context> {
    const file = config ?? (stack === undefined ? undefined : `Pulumi.${stack.replace(/^.*\//, "")}.yaml`);
    if (file === undefined || (config === undefined && !existsSync(file))) return contextOfStack(stack);
    const configured = readConfiguration(readStackFile(file));
    return {
        hosts: new Hosts(configured.hosts),
        installation: configured.installation,
        warn: (message) => void process.stderr.write(`warning: ${message}\n`),
    };
}

/** `blockhost:…` of a stack's file; what is encrypted stays out. */
export function readStackFile(file: string): Record<string, unknown> {
    let parsed: unknown;
    try {
        parsed = parse(readFileSync(file, "utf8"));
    } catch (error) {
        throw new BlockhostError("invalid", `${file} could not be read: ${String(error)}`, {
            hint: "name a stack's file, Pulumi.<stack>.yaml",
        });
    }
    const config = (parsed as { config?: Record<string, unknown> } | null)?.config ?? {};
    const found: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(config)) {
        const name = /^blockhost:(.+)$/.exec(key)?.[1];
        if (name !== undefined && !isSecret(value)) found[name] = value;
    }
    if (found["hosts"] !== undefined) return found;
    throw new BlockhostError("invalid", `${file} has no blockhost:hosts`, {
        hint: "name the file of a stack that has it under `config`",
    });
}

function isSecret(value: unknown): boolean {
    return typeof value === "object" && value !== null && "secure" in value;
}
