import * as z from "zod";
import { BlockhostError } from "../errors";
import { hostProblems, hostSchema } from "../host/config";
import { HOST_NAME } from "../names";
import { type Failure, UNKNOWN, formatPath, problemsOf } from "../validate";

/** The provider's own configuration, `blockhost:…` of a stack: the same for both faces. */

const owner = (what: string) => z.string().min(1).max(100).describe(what).optional();

export const configurationSchema = z.strictObject({
    hosts: z
        .record(z.string(), hostSchema)
        .optional()
        .describe("Storage hosts by name. An object; as a string, its JSON."),
    installation: owner(
        "Tells apart two Pulumi back ends that use the same names of projects and stacks; goes into owner marks. Default `default`.",
    ),
    organization: owner(
        "Organisation for owner marks. A plugin is not told the stack's: set it where stacks of several organisations share a host. Default `organization`, as Pulumi's own back ends in files have it.",
    ),
});

/** Environment variables that give a value where the stack's configuration has none. */
export const CONFIGURATION_ENVIRONMENT: Readonly<Record<string, string>> = {
    hosts: "BLOCKHOST_HOSTS",
    installation: "BLOCKHOST_INSTALLATION",
    organization: "BLOCKHOST_ORGANIZATION",
};

export interface Configuration {
    readonly hosts: Readonly<Record<string, unknown>>;
    readonly installation: string;
    /** `undefined`: not configured. */
    readonly organization: string | undefined;
}

/**
 * @param given values by key, objects also as JSON text
 * @throws BlockhostError `invalid`: `hosts` is no object.
 */
export function readConfiguration(given: Readonly<Record<string, unknown>>): Configuration {
    const text = (key: string) => {
        const value = given[key] ?? process.env[CONFIGURATION_ENVIRONMENT[key] ?? ""];
        return typeof value === "string" && value !== "" ? value : undefined;
    };
    return {
        hosts: readHosts(given["hosts"] ?? process.env[CONFIGURATION_ENVIRONMENT["hosts"] ?? ""]),
        installation: text("installation") ?? "default",
        organization: text("organization"),
    };
}

function readHosts(given: unknown): Record<string, unknown> {
    if (given === undefined || given === "" || given === UNKNOWN) return {};
    const hosts = structured(given);
    if (typeof hosts === "object" && hosts !== null && !Array.isArray(hosts))
        return hosts as Record<string, unknown>;
    throw new BlockhostError("invalid", "blockhost:hosts is not an object of hosts by name", {
        hint: "give hosts by name, as docs/configuration.md shows",
    });
}

/** Everything wrong with the configuration, each with its path below `blockhost:`. */
export function configurationProblems(given: Readonly<Record<string, unknown>>): Failure[] {
    const { hosts, ...rest } = given;
    const failures = problemsOf(configurationSchema, rest);
    if (hosts === undefined || hosts === UNKNOWN) return failures;
    const byName = structured(hosts);
    if (typeof byName !== "object" || byName === null || Array.isArray(byName)) {
        return [...failures, { property: "hosts", reason: "must be an object of hosts by name" }];
    }
    for (const [name, host] of Object.entries(byName)) {
        const at = formatPath(["hosts", name]);
        if (HOST_NAME.test(name)) failures.push(...hostProblems(host, at, false));
        else
            failures.push({
                property: at,
                reason: "a host's name holds only letters, digits, `_`, `.`, `-`",
            });
    }
    return failures;
}

function structured(given: unknown): unknown {
    if (typeof given !== "string") return given;
    try {
        return JSON.parse(given) as unknown;
    } catch {
        return undefined;
    }
}
