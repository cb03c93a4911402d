import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { UNKNOWN } from "../../validate";

/**
 * Property values on the wire and as plain values. Secrets, outputs and references to resources are objects with a
 * signature there; a lifecycle knows none of them. What was secret is remembered by its path.
 * Source: `sdk/nodejs/runtime/rpc.ts` and `pkg/resource/plugin/rpc.go` of pulumi/pulumi.
 */

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e";

/** Stand-ins for unknown booleans, numbers, lists, assets, archives and objects: all the same to us. */
const UNKNOWNS = new Set([
    UNKNOWN,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

export type Values = Record<string, unknown>;
export type Path = readonly (string | number)[];

export interface Decoded {
    readonly values: Values;
    /** Paths of what was secret. */
    readonly secrets: readonly Path[];
}

/** Plain values: secrets bare, references to resources as their ids, nulls left out. */
export function decode(struct: Struct | undefined): Decoded {
    const secrets: Path[] = [];
    const values = (struct?.toJavaScript() ?? {}) as Values;
    return { values: plain(values, [], secrets) as Values, secrets };
}

function plain(value: unknown, at: Path, secrets: Path[]): unknown {
    if (typeof value === "string") return UNKNOWNS.has(value) ? UNKNOWN : value;
    if (Array.isArray(value)) return value.map((item, i) => plain(item, [...at, i], secrets));
    if (typeof value !== "object" || value === null) return value;
    const object = value as Values;
    switch (object[SIGNATURE]) {
        case SECRET:
            secrets.push(at);
            return plain(object["value"], at, secrets);
        case OUTPUT:
            if (object["secret"] === true) secrets.push(at);
            return "value" in object ? plain(object["value"], at, secrets) : UNKNOWN;
        case RESOURCE: {
            const id = plain(object["id"], at, []);
            return typeof id === "string" && id !== "" ? id : UNKNOWN;
        }
    }
    // Maps come in any order; lifecycles compare what they are given as JSON.
    return Object.fromEntries(
        Object.entries(object)
            .filter(([, item]) => item !== null && item !== undefined)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, item]) => [key, plain(item, [...at, key], secrets)]),
    );
}

/**
 * Values for the wire, secret where they were. A list that had a secret anywhere is secret as a whole: its items may
 * have moved.
 */
export function encode(values: Values, secrets: readonly Path[]): Struct {
    let sealed: unknown = bare(values);
    for (const path of secrets) {
        const list = path.findIndex((part) => typeof part === "number");
        sealed = seal(sealed, list === -1 ? path : path.slice(0, list));
    }
    return Struct.fromJavaScript(sealed as Record<string, JavaScriptValue>);
}

function seal(value: unknown, [key, ...rest]: Path): unknown {
    if (value === undefined || isSecret(value)) return value;
    if (key === undefined) return { [SIGNATURE]: SECRET, value };
    if (typeof value !== "object" || value === null || !(key in value)) return value;
    return { ...value, [key]: seal((value as Values)[key], rest) };
}

function isSecret(value: unknown): boolean {
    return typeof value === "object" && value !== null && (value as Values)[SIGNATURE] === SECRET;
}

/** Without what is undefined, which the wire cannot carry. */
function bare(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : bare(item)));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
        Object.entries(value)
            .filter(([, item]) => item !== undefined)
            .map(([key, item]) => [key, bare(item)]),
    );
}
