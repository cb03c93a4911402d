import * as z from "zod";
import { driverNames, findDriver } from "../../../drivers/registry";
import { hostSchema, inlineHostSchema, poolSchema, targetSchema } from "../../../host/config";
import { findTarget, helperNames } from "../../../targets/registry";

/**
 * Pools and targets take options of their driver or helper, which their zod definitions leave open. In the schema, all
 * that any of them takes is there, each saying whose it is.
 */
export function hostTypes(): Record<string, z.ZodType> {
    const drivers = driverNames().map((name) => [`driver ${name}`, findDriver(name)?.options] as const);
    const helpers = (["iscsi", "nvme-tcp"] as const).flatMap((protocol) =>
        helperNames(protocol).map((name) => [`helper ${name}`, findTarget(name, protocol)?.options] as const),
    );
    return {
        HostPool: extended(poolSchema, drivers),
        HostTarget: extended(targetSchema, helpers),
        Host: hostSchema,
        InlineHost: inlineHostSchema,
    };
}

type Options = readonly (readonly [string, z.ZodType | undefined])[];

function extended(base: z.ZodObject, options: Options): z.ZodType {
    const shape: Record<string, z.ZodType> = {};
    const owners = new Map<string, string[]>();
    for (const [owner, schema] of options) {
        for (const [key, option] of Object.entries(shapeOf(schema))) {
            if (key in base.shape) continue;
            owners.set(key, [...(owners.get(key) ?? []), owner]);
            const known = shape[key];
            // Two that mean different things by one name leave its type open.
            shape[key] = known !== undefined && typeOf(known) !== typeOf(option) ? z.unknown() : option;
        }
    }
    for (const [key, option] of Object.entries(shape)) {
        const whose = (owners.get(key) ?? []).join(", ");
        shape[key] = option.optional().describe(`${option.description ?? ""} (${whose})`.trim());
    }
    return z.object({ ...base.shape, ...shape }).describe(base.description ?? "");
}

function shapeOf(schema: z.ZodType | undefined): Record<string, z.ZodType> {
    return (schema as { shape?: Record<string, z.ZodType> } | undefined)?.shape ?? {};
}

function typeOf(schema: z.ZodType): string {
    const {
        description: _,
        default: __,
        ...rest
    } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    return JSON.stringify(rest);
}
