import { closest, distance } from "fastest-levenshtein";
import type * as z from "zod";

/** One thing wrong with an input, as Pulumi shows it: the property's path, and why. */
export interface Failure {
    readonly property: string;
    readonly reason: string;
}

/**
 * Pulumi's stand-in for a value that is not known before another resource exists.
 * Source: `rpc.unknownValue` of the Node.js SDK.
 */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** True when a value, or anything inside it, is not known yet. */
export function hasUnknown(value: unknown): boolean {
    return unknownPaths(value).length > 0;
}

type Path = readonly PropertyKey[];

function unknownPaths(value: unknown, at: Path = []): Path[] {
    if (value === UNKNOWN) return [at];
    if (Array.isArray(value)) return value.flatMap((item, i) => unknownPaths(item, [...at, i]));
    if (typeof value === "object" && value !== null) {
        return Object.entries(value).flatMap(([key, item]) => unknownPaths(item, [...at, key]));
    }
    return [];
}

/**
 * Everything that is wrong with a value, at once. What depends on a value that is not known yet is left for later.
 *
 * @param under path of the value itself, put before every property: `blockhost:hosts.san1`
 */
export function problemsOf(schema: z.ZodType, value: unknown, under = ""): Failure[] {
    const result = schema.safeParse(value);
    if (result.success) return [];
    const unknown = unknownPaths(value);
    return result.error.issues
        .flatMap((issue) => flatten(issue, value))
        .filter((issue) => !unknown.some((path) => startsWith(issue.path, path)))
        .flatMap((issue) => toFailures(issue, value, under, schema));
}

/** A union's issue hides what is wrong in the branch that was meant: that is the one of the value's own type. */
function flatten(issue: z.core.$ZodIssue, value: unknown): z.core.$ZodIssue[] {
    if (issue.code !== "invalid_union") return [issue];
    const branches = issue.errors.filter(
        (branch) => !branch.some((inner) => inner.code === "invalid_type" && inner.path.length === 0),
    );
    const best = branches.sort((a, b) => a.length - b.length)[0];
    if (best === undefined) return [issue];
    return best
        .map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
        .flatMap((inner) => flatten(inner, value));
}

function toFailures(issue: z.core.$ZodIssue, value: unknown, under: string, schema: z.ZodType): Failure[] {
    const at = (path: Path) => formatPath(path, under);
    if (issue.code === "unrecognized_keys") {
        // Who declares a resource is for the provider to fill in.
        const known = keysAt(schema, issue.path).filter((key) => key !== "owner");
        return issue.keys.map((key) => ({
            property: at([...issue.path, key]),
            reason: `there is no such property${suggestion(key, known)}`,
        }));
    }
    if (issue.code === "invalid_type" && valueAt(value, issue.path) === undefined) {
        return [{ property: at(issue.path), reason: `is missing: give ${article(issue.expected)}` }];
    }
    if (issue.code === "invalid_type") {
        const given = valueAt(value, issue.path);
        const is = given === null ? "null" : article(Array.isArray(given) ? "array" : typeof given);
        return [{ property: at(issue.path), reason: `must be ${article(issue.expected)}, not ${is}` }];
    }
    if ((issue.code === "too_big" || issue.code === "too_small") && issue.origin !== "string") {
        const big = issue.code === "too_big";
        const limit = String(big ? issue.maximum : issue.minimum);
        const what =
            issue.origin === "array" ? `have ${limit} ${limit === "1" ? "entry" : "entries"}` : `be ${limit}`;
        return [{ property: at(issue.path), reason: `must ${what} ${big ? "at most" : "at least"}` }];
    }
    if (issue.code === "invalid_value" && issue.values.length > 1) {
        const values = issue.values.map(String);
        const listed = values.map((one) => `"${one}"`).join(", ");
        const given = valueAt(value, issue.path);
        const best = typeof given === "string" ? closeTo(given, values) : undefined;
        const reason = `must be one of ${listed}${best === undefined ? "" : `; did you mean "${best}"?`}`;
        return [{ property: at(issue.path), reason }];
    }
    if (issue.code === "too_small" && issue.origin === "string" && issue.minimum === 1) {
        return [{ property: at(issue.path), reason: "must not be empty" }];
    }
    return [{ property: at(issue.path), reason: issue.message.replace(/^Invalid input: /, "") }];
}

/** A type as people call it: `a list`. */
function article(type: string): string {
    const names: Record<string, string> = { array: "list", record: "object", int: "whole number" };
    const name = names[type] ?? type;
    return `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`;
}

/** Failures without those that say of a property what another has said already. */
export function distinct(failures: readonly Failure[]): Failure[] {
    const said = new Set<string>();
    return failures.filter(({ property, reason }) => {
        const key = JSON.stringify([property, reason]);
        return !said.has(key) && said.add(key);
    });
}

/** `; did you mean "size"?` for a name close to a known one, else the list of those there are. */
export function suggestion(given: string, known: readonly string[]): string {
    if (known.length === 0) return "";
    const best = closeTo(given, known);
    if (best !== undefined) return `; did you mean "${best}"?`;
    return `; known are ${known.map((name) => `"${name}"`).join(", ")}`;
}

/** The known name that was probably meant. */
function closeTo(given: string, known: readonly string[]): string | undefined {
    const best = closest(given, [...known]);
    const near =
        distance(given.toLowerCase(), best.toLowerCase()) <= Math.max(2, Math.floor(best.length / 3));
    return near ? best : undefined;
}

/**
 * A property's path as Pulumi writes and reads it, also in `pulumi config set --path`: `initiators[0].chap.password`,
 * `hosts["san1.example.com"].address`. Source: `PropertyPath` of pulumi's sdk/go/property.
 */
export function formatPath(path: Path, under = ""): string {
    let text = under;
    for (const part of path) {
        if (typeof part === "number") text += `[${String(part)}]`;
        else if (!/^[A-Za-z_$][A-Za-z0-9_$-]*$/.test(String(part))) text += `[${JSON.stringify(part)}]`;
        else text += text === "" ? String(part) : `.${String(part)}`;
    }
    return text;
}

function startsWith(path: Path, prefix: Path): boolean {
    return prefix.every((part, i) => path[i] === part);
}

function valueAt(value: unknown, path: Path): unknown {
    return path.reduce<unknown>(
        (at, key) =>
            typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined,
        value,
    );
}

/** Property names that a schema knows at a path, found through wrappers; none where it cannot be told. */
function keysAt(schema: z.ZodType, path: Path): string[] {
    const [head, ...rest] = path;
    const def = (schema as unknown as { def: Record<string, unknown> }).def;
    if (def["innerType"] !== undefined) return keysAt(def["innerType"] as z.ZodType, path);
    if (Array.isArray(def["options"])) {
        return [...new Set((def["options"] as z.ZodType[]).flatMap((option) => keysAt(option, path)))];
    }
    const shape = def["shape"] as Record<string, z.ZodType> | undefined;
    if (shape !== undefined) {
        if (head === undefined) return Object.keys(shape);
        const inner = shape[String(head)];
        return inner === undefined ? [] : keysAt(inner, rest);
    }
    const element = (def["element"] ?? def["valueType"]) as z.ZodType | undefined;
    return element === undefined || head === undefined ? [] : keysAt(element, rest);
}
