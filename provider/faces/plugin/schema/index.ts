import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lifecycles } from "../../../resources";
import { CONFIGURATION_ENVIRONMENT, configurationSchema } from "../../../resources/configuration";
import { functions } from "../../../resources/functions";
import type { HostFunction } from "../../../resources/functions/types";
import { listingQuery } from "../../../resources/listing";
import type { Lifecycle } from "../../../resources/types";
import { packageDirectory, version } from "../../../version";
import { hostTypes } from "./hosts";
import { type ObjectSpec, type PropertySpec, Types } from "./types";

/**
 * Pulumi's package schema, from the zod definitions of configuration, resources and functions. What no definition
 * holds, longer descriptions and examples, is in one Markdown file a resource or function beside this file.
 */
export function packageSchema(): Record<string, unknown> {
    const types = new Types(hostTypes());
    const config = types.object(configurationSchema, "Configuration");
    for (const [key, variable] of Object.entries(CONFIGURATION_ENVIRONMENT)) {
        const property = config.properties[key];
        // Generated code knows no default for an object; the provider itself looks at the variable.
        if (property?.type === "string") property.defaultInfo = { environment: [variable] };
    }
    const resources = Object.fromEntries(
        Object.values(lifecycles).map((lifecycle) => [
            `blockhost:index:${lifecycle.kind}`,
            resourceSpec(types, lifecycle),
        ]),
    );
    const functionSpecs = Object.fromEntries(
        Object.values(functions).map((one) => [`blockhost:index:${one.name}`, functionSpec(types, one)]),
    );
    return {
        name: "blockhost",
        displayName: "Blockhost",
        version,
        description:
            "Block storage on Linux hosts that you already have: volumes, snapshots and exports over SSH.",
        keywords: [
            "pulumi",
            "blockhost",
            "category/infrastructure",
            "kind/native",
            "storage",
            "iscsi",
            "nvme",
        ],
        license: "Apache-2.0",
        publisher: "blockhost",
        meta: { moduleFormat: "(.*)", supportPack: true },
        language: LANGUAGES,
        config: { variables: config.properties },
        provider: {
            description: "The storage hosts, and how they are reached.",
            inputProperties: config.properties,
        },
        types: types.specs,
        resources,
        functions: functionSpecs,
    };
}

const LANGUAGES = {
    nodejs: { packageName: "pulumi-blockhost-plugin", respectSchemaVersion: true },
    python: { packageName: "pulumi_blockhost", respectSchemaVersion: true, pyproject: { enabled: true } },
    go: {
        importBasePath: "blockhost.local/sdk/go/blockhost",
        respectSchemaVersion: true,
        generateResourceContainerTypes: true,
    },
};

function resourceSpec(types: Types, lifecycle: Lifecycle): Record<string, unknown> {
    const { kind } = lifecycle;
    // Who declares a resource is filled in by the provider.
    const inputs = types.object(lifecycle.args, kind, ["owner"]);
    const outputs =
        lifecycle.outputs === undefined
            ? ({ type: "object", properties: {} } satisfies ObjectSpec)
            : types.object(lifecycle.outputs, kind);
    const input = withSecrets(inputs.properties, lifecycle.secretOutputs);
    const recorded = Object.fromEntries(Object.entries(input).map(([key, spec]) => [key, asOutput(spec)]));
    const always = ["host", "name"].filter((key) => key in recorded);
    return {
        description: describe(kind, inputs.description ?? ""),
        properties: { ...recorded, ...withSecrets(outputs.properties, lifecycle.secretOutputs) },
        required: [...new Set([...(inputs.required ?? []), ...always, ...(outputs.required ?? [])])],
        inputProperties: input,
        ...(inputs.required === undefined ? {} : { requiredInputs: inputs.required }),
        stateInputs: {
            type: "object",
            description: `What is needed beside the id to get a ${kind} that exists.`,
            properties: { host: HOST_OF(input) },
        },
        listInputs: {
            ...types.object(listingQuery, `${kind}Query`),
            description: `What a listing of ${kind} resources may be narrowed by.`,
        },
        aliases: [{ type: `pulumi-nodejs:dynamic/blockhost:${kind}` }],
    };
}

function functionSpec(types: Types, { name, args, result }: HostFunction): Record<string, unknown> {
    const kind = name.charAt(0).toUpperCase() + name.slice(1);
    const { description, ...inputs } = types.object(args, kind);
    return {
        description: describe(name, description ?? ""),
        inputs,
        outputs: types.object(result, `${kind}Result`),
    };
}

function HOST_OF(input: Record<string, PropertySpec>): PropertySpec {
    return { ...input["host"], description: "Only where the host is given inline." };
}

/** A resource that was passed is recorded as its id. */
function asOutput(spec: PropertySpec): PropertySpec {
    const { willReplaceOnChanges: _, ...rest } = spec;
    const references = spec.oneOf?.filter(({ $ref }) => $ref?.startsWith("#/resources/") === true) ?? [];
    if (references.length === 0) return rest;
    const { oneOf: __, ...plain } = rest;
    return { ...plain, type: "string" };
}

function withSecrets(
    properties: Record<string, PropertySpec>,
    secrets: readonly string[],
): Record<string, PropertySpec> {
    return Object.fromEntries(
        Object.entries(properties).map(([key, spec]) => [
            key,
            secrets.includes(key) ? { ...spec, secret: true } : spec,
        ]),
    );
}

/** The description of a resource or function: the definition's own sentence, and its Markdown file. */
export function describe(name: string, sentence: string): string {
    const file = join(packageDirectory, "provider", "faces", "plugin", "schema", "docs", `${name}.md`);
    return existsSync(file) ? `${sentence}\n\n${readFileSync(file, "utf8").trim()}` : sentence;
}
