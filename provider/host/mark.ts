import { BlockhostError } from "../errors";

/**
 * The owner mark: which declaration an object on a host belongs to. It is one line in an alphabet that LVM tags,
 * file names, symbolic links and comments can all carry, and starts with the version of its format.
 *
 *     blockhost:1&kind:volume&owner:default/acme/shop/prod/pg-data&gen:9f3a…&phase:ready
 */

export const MARK_FORMAT = 1;
/** LVM's limit for a tag; the same everywhere, so that a volume can move between drivers. */
export const MARK_MAX_LENGTH = 1024;

/** Who declares an object. */
export interface Owner {
    /** Tells apart two Pulumi back ends that use the same names (`blockhost:installation`). */
    readonly installation: string;
    readonly organization: string;
    readonly project: string;
    readonly stack: string;
    /** The Pulumi resource's name. */
    readonly resource: string;
    /**
     * Types of the components that it is in, outermost first, as its URN has them (`acme:db:Cluster$acme:db:Node`);
     * absent: in none. Two components may each have a resource of the same name.
     */
    readonly parent?: string;
}

export type MarkKind = "pool" | "volume" | "snapshot" | "safety" | "export" | "attachment";
/** `ready` unless a creation, revert or deletion of several steps is under way. */
export type Phase = "creating" | "ready" | "reverting" | "deleting";

export interface Mark {
    readonly kind: MarkKind;
    readonly owner: Owner;
    /** New for each creation: 16 hexadecimal digits. */
    readonly generation: string;
    readonly phase: Phase;
    /** What a driver or target has to remember with it: `origin` of a snapshot, `token` of a revert … */
    readonly extra: Readonly<Record<string, string>>;
}

const RESERVED = new Set(["blockhost", "kind", "owner", "gen", "phase"]);

export function encodeMark(mark: Mark): string {
    const { owner } = mark;
    const { installation, organization, project, stack, resource, parent } = owner;
    const parts = [installation, organization, project, stack, resource];
    if (parent !== undefined) parts.push(parent);
    const fields: [string, string][] = [
        ["blockhost", String(MARK_FORMAT)],
        ["kind", mark.kind],
        ["owner", parts.map(encodeField).join("/")],
        ["gen", mark.generation],
        ["phase", mark.phase],
    ];
    for (const key of Object.keys(mark.extra).sort()) {
        if (RESERVED.has(key) || !/^[a-z][A-Za-z0-9]*$/.test(key))
            throw new TypeError(`not a mark field: ${key}`);
        fields.push([key, encodeField(mark.extra[key] ?? "")]);
    }
    const text = fields.map(([key, value]) => `${key}:${value}`).join("&");
    if (text.length > MARK_MAX_LENGTH) {
        throw new BlockhostError("invalid", `the owner mark would take ${String(text.length)} characters`, {
            hint: `organisation, project, stack and resource name together must fit ${String(MARK_MAX_LENGTH)} characters`,
        });
    }
    return text;
}

/**
 * Reads a mark. `undefined`: this is no mark of ours.
 *
 * @throws BlockhostError `unsupported` for a mark of a newer format, which this version must not touch.
 */
export function decodeMark(text: string): Mark | undefined {
    if (!text.startsWith("blockhost:")) return undefined;
    const fields = new Map(
        text.split("&").map((field) => {
            const colon = field.indexOf(":");
            return [field.slice(0, colon), field.slice(colon + 1)] as const;
        }),
    );
    const format = Number(fields.get("blockhost"));
    if (!Number.isInteger(format)) return undefined;
    if (format > MARK_FORMAT) {
        throw new BlockhostError("unsupported", `an owner mark has format ${String(format)}`, {
            hint: "it was written by a newer version of pulumi-blockhost: use that version or a later one",
        });
    }
    const kind = fields.get("kind") as MarkKind | undefined;
    const generation = fields.get("gen");
    const phase = (fields.get("phase") ?? "ready") as Phase;
    const owner = (fields.get("owner") ?? "").split("/").map(decodeField);
    if (kind === undefined || generation === undefined || owner.length < 5 || owner.length > 6)
        return undefined;
    const [installation = "", organization = "", project = "", stack = "", resource = "", parent] = owner;
    const extra: Record<string, string> = {};
    for (const [key, value] of fields) if (!RESERVED.has(key)) extra[key] = decodeField(value);
    return {
        kind,
        owner: {
            installation,
            organization,
            project,
            stack,
            resource,
            ...(parent === undefined ? {} : { parent }),
        },
        generation,
        phase,
        extra,
    };
}

/** Same declaration: only then may an object be changed. */
export function sameOwner(a: Owner, b: Owner): boolean {
    return sameStack(a, b) && a.resource === b.resource && a.parent === b.parent;
}

/** Same stack; the resource may have been renamed by an alias. */
export function sameStack(a: Owner, b: Owner): boolean {
    return (
        a.installation === b.installation &&
        a.organization === b.organization &&
        a.project === b.project &&
        a.stack === b.stack
    );
}

export function describeOwner(owner: Owner): string {
    const installation = owner.installation === "default" ? "" : ` of installation "${owner.installation}"`;
    const inside = owner.parent === undefined ? "" : ` in component ${owner.parent.replaceAll("$", " / ")}`;
    return `resource "${owner.resource}"${inside} of stack ${owner.organization}/${owner.project}/${owner.stack}${installation}`;
}

/** Letters, digits, `_`, `.`, `-` stay; every other byte of the UTF-8 form becomes `=XX`. */
export function encodeField(text: string): string {
    return [...Buffer.from(text, "utf8")]
        .map((byte) => {
            const char = String.fromCharCode(byte);
            return /[A-Za-z0-9_.-]/.test(char)
                ? char
                : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
        })
        .join("");
}

export function decodeField(text: string): string {
    const bytes: number[] = [];
    for (let i = 0; i < text.length; i++) {
        const hex = /^=([0-9A-F]{2})/.exec(text.slice(i, i + 3));
        if (hex?.[1] !== undefined) {
            bytes.push(Number.parseInt(hex[1], 16));
            i += 2;
        } else {
            bytes.push(text.charCodeAt(i));
        }
    }
    return Buffer.from(bytes).toString("utf8");
}
