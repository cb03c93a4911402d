import { Hosts } from "../host/hosts";
import { BlockhostError } from "../errors";
import { CONFIGURATION_ENVIRONMENT, readConfiguration } from "../resources/configuration";
import type { Context } from "../resources/types";

/**
 * The stack's configuration, for commands outside of Pulumi's engine: what `pulumi config` says in this folder, or the
 * environment ({@link CONFIGURATION_ENVIRONMENT}).
 *
 * @param stack default: the one that is selected
 */
export async function contextOfStack(stack: string | undefined): Promise<Context> {
    const configured = readConfiguration(await stackConfiguration(stack));
    return {
        hosts: new Hosts(configured.hosts),
        installation: configured.installation,
        warn: (message) => void process.stderr.write(`warning: ${message}\n`),
    };
}

async function stackConfiguration(stack: string | undefined): Promise<Record<string, unknown>> {
    if (process.env[CONFIGURATION_ENVIRONMENT["hosts"] ?? ""] !== undefined) return {};
    const { execa } = await import("execa");
    const which = stack === undefined ? [] : ["--stack", stack];
    const { failed, stdout, stderr, message } = await execa("pulumi", ["config", "--json", ...which], {
        reject: false,
    }).catch((error: unknown) => ({ failed: true, stdout: "", stderr: String(error), message: "" }));
    if (failed) {
        throw new BlockhostError(
            "invalid",
            `the stack's configuration could not be read: ${stderr || message}`,
            {
                hint: "run this in the project's folder (with `--stack NAME`), or put blockhost:hosts as JSON into BLOCKHOST_HOSTS",
            },
        );
    }
    const all = JSON.parse(stdout) as Record<string, { value?: string; objectValue?: unknown }>;
    const found: Record<string, unknown> = {};
    for (const [key, { value, objectValue }] of Object.entries(all)) {
        const name = /^blockhost:(.+)$/.exec(key)?.[1];
        if (name !== undefined) found[name] = objectValue ?? value;
    }
    return found;
}
