import * as z from "zod";

/** From zod by way of JSON schema to Pulumi's own schema language. Source: pulumi's pkg/codegen/schema. */

export interface PropertySpec {
    type?: string;
    $ref?: string;
    items?: PropertySpec;
    additionalProperties?: PropertySpec;
    oneOf?: PropertySpec[];
    description?: string;
    secret?: boolean;
    willReplaceOnChanges?: boolean;
    defaultInfo?: { environment: string[] };
}

export interface ObjectSpec {
    type: "object";
    description?: string;
    properties: Record<string, PropertySpec>;
    required?: string[];
}

export interface EnumSpec {
    type: "string";
    description?: string;
    enum: { name: string; value: string; description?: string }[];
}

/** What we read of a JSON schema; `resources`, `replaces`, `secret` and `values` are metadata of our own. */
interface JsonSchema {
    readonly type?: string | readonly string[];
    readonly $ref?: string;
    readonly $defs?: Readonly<Record<string, JsonSchema>>;
    readonly description?: string;
    readonly properties?: Readonly<Record<string, JsonSchema>>;
    readonly required?: readonly string[];
    readonly items?: JsonSchema;
    readonly additionalProperties?: JsonSchema | boolean;
    readonly anyOf?: readonly JsonSchema[];
    readonly enum?: readonly string[];
    /** What each value of `enum` means. */
    readonly values?: Readonly<Record<string, string>>;
    readonly resources?: readonly string[];
    readonly replaces?: boolean;
    readonly secret?: boolean;
}

const ANY: PropertySpec = { $ref: "pulumi.json#/Any" };

/** Named types, collected while properties are converted. */
export class Types {
    readonly specs: Record<string, ObjectSpec | EnumSpec> = {};
    /** By id: what stands in the schema for an open object, whose further properties depend on what is configured. */
    private readonly whole: Readonly<Record<string, z.ZodType>>;

    constructor(whole: Readonly<Record<string, z.ZodType>>) {
        this.whole = whole;
    }

    /** @param name of the type where it has no id of its own; its properties' types are named after it */
    object(schema: z.ZodType, name: string, without: readonly string[] = []): ObjectSpec {
        return this.objectOf(toJson(schema), name, without);
    }

    private objectOf(json: JsonSchema, name: string, without: readonly string[] = []): ObjectSpec {
        for (const [id, definition] of Object.entries(json.$defs ?? {})) this.define(id, definition);
        const properties: Record<string, PropertySpec> = {};
        for (const [key, property] of Object.entries(json.properties ?? {})) {
            if (without.includes(key)) continue;
            properties[key] = this.property(property, `${name}${capital(key)}`);
        }
        const required = (json.required ?? []).filter((key) => !without.includes(key));
        return {
            type: "object",
            ...(json.description === undefined ? {} : { description: json.description }),
            properties,
            ...(required.length === 0 ? {} : { required }),
        };
    }

    private property(json: JsonSchema, name: string): PropertySpec {
        return {
            ...this.type(json, name),
            ...(json.description === undefined ? {} : { description: json.description }),
            ...(json.secret === true ? { secret: true } : {}),
            ...(json.replaces === true ? { willReplaceOnChanges: true } : {}),
        };
    }

    private type(json: JsonSchema, name: string): PropertySpec {
        if (json.$ref !== undefined) return { $ref: reference(json.$ref.slice("#/$defs/".length)) };
        if (json.enum !== undefined) {
            this.define(name, json);
            return { $ref: reference(name) };
        }
        if (json.anyOf !== undefined) return oneOf(json.anyOf.map((one) => this.type(one, name)));
        if (Array.isArray(json.type))
            return oneOf((json.type as readonly string[]).map((type) => ({ type })));
        const resources = json.resources ?? [];
        if (resources.length > 0) {
            const kinds = resources.map((kind) => ({ $ref: `#/resources/blockhost:index:${kind}` }));
            return oneOf([{ type: "string" }, ...kinds]);
        }
        switch (json.type) {
            case "string":
            case "boolean":
            case "number":
            case "integer":
                return { type: json.type };
            case "array":
                return { type: "array", items: this.type(json.items ?? {}, singular(name)) };
            case "object": {
                if (json.properties !== undefined) {
                    this.define(name, json);
                    return { $ref: reference(name) };
                }
                const values = json.additionalProperties;
                const items = typeof values === "object" ? this.type(values, singular(name)) : ANY;
                return { type: "object", additionalProperties: items };
            }
            case undefined:
            default:
                return ANY;
        }
    }

    private define(id: string, given: JsonSchema): void {
        const token = `blockhost:index:${id}`;
        if (this.specs[token] !== undefined) return;
        const whole = this.whole[id];
        const json = whole === undefined ? given : toJson(whole);
        if (json.enum !== undefined) {
            this.specs[token] = {
                type: "string",
                ...(json.description === undefined ? {} : { description: json.description }),
                enum: json.enum.map((value) => {
                    const description = json.values?.[value];
                    return { name: pascal(value), value, ...(description && { description }) };
                }),
            };
            return;
        }
        // Entered before its properties are: a type may refer to itself.
        const spec: ObjectSpec = (this.specs[token] = { type: "object", properties: {} });
        Object.assign(spec, this.objectOf(json, id));
    }
}

function toJson(schema: z.ZodType): JsonSchema {
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
    // A definition with an id of its own is only referred to.
    const own = json.$defs?.[json.$ref?.slice("#/$defs/".length) ?? ""];
    return own === undefined ? json : { ...own, $defs: json.$defs ?? {} };
}

function oneOf(types: readonly PropertySpec[]): PropertySpec {
    const distinct = new Map(types.map((type) => [JSON.stringify(type), type]));
    const [only] = distinct.values();
    return distinct.size === 1 && only !== undefined ? only : { oneOf: [...distinct.values()] };
}

function reference(id: string): string {
    return `#/types/blockhost:index:${id}`;
}

function capital(key: string): string {
    return key.charAt(0).toUpperCase() + key.slice(1);
}

/** `session-drop` → `SessionDrop`. */
function pascal(value: string): string {
    return value
        .split(/[^A-Za-z0-9]+/)
        .map(capital)
        .join("");
}

function singular(name: string): string {
    return name.replace(/s$/, "");
}
