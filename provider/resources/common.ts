import { randomBytes } from "node:crypto";
import * as z from "zod";
import type { Wipe } from "../drivers/types";
import type { ConfiguredPool, HostConfig } from "../host/config";
import { hostProblems } from "../host/config";
import { HOST_TOOLS } from "../host/observation";
import type { HostFacts, ObjectFacts, PoolFacts } from "../host/facts";
import type { Host, Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, describeOwner, sameOwner, sameStack } from "../host/mark";
import { BlockhostError, hasCode, toBlockhostError } from "../errors";
import { HOST_NAME, type Id, formatId, nameProblem, parseId } from "../names";
import { parseSize } from "../size";
import { type Failure, UNKNOWN, formatPath, hasUnknown, suggestion } from "../validate";
import { RECORDED, recorded } from "./changes";
import { ALLOWABLE, type Change, type Context } from "./types";

/** Inputs and rules that several kinds of resource share. */

/** Who declares a resource; both faces fill it in, programs never do. */
export const ownerSchema = z
    .strictObject({
        organization: z.string(),
        project: z.string(),
        stack: z.string(),
        resource: z.string(),
        parent: z.string().optional(),
    })
    .describe(
        "Organisation, project, stack, resource name and the types of its components; filled in by the provider.",
    );

export const hostReferenceSchema = z
    .union(
        [
            z.string().regex(HOST_NAME, "must be the name of a host in `blockhost:hosts`"),
            z.looseObject({ name: z.string(), address: z.string() }).meta({ id: "InlineHost" }),
        ],
        { error: "must be the name of a host in `blockhost:hosts`, or a host given inline" },
    )
    .describe("Name of a host in `blockhost:hosts`, or a host given inline, with its `name`.");

export const nameSchema = z
    .string()
    .superRefine((value, context) => {
        const problem = nameProblem(value);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    })
    .describe("Name on the host; default: the resource's name.");

export const sizeSchema = z
    .unknown()
    .superRefine((value, context) => {
        const { problem } = parseSize(value);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    })
    .meta({ anyOf: [{ type: "string" }, { type: "number" }] })
    .describe('Size: a whole number of bytes, or a number with KiB, MiB, GiB, TiB or PiB ("10GiB").');

/** @param kinds of resources that may be passed in place of their ids */
export const idSchema = (what: string, kinds: readonly string[] = []) =>
    z
        .string()
        .superRefine((value, context) => {
            if (parseId(value) === undefined) {
                const message = `must be the id of ${what}, "<host>/<pool>/<name>", not ${JSON.stringify(value.slice(0, 80))}`;
                context.addIssue({ code: "custom", message });
            }
        })
        .meta({ resources: kinds });

export const allowSchema = z
    .array(
        z.enum(ALLOWABLE).meta({
            id: "ChangeClass",
            description: "What a change does to the running I/O of initiators, or to data.",
            values: {
                "session-drop": "Sessions end.",
                offline: "The device is taken away or exchanged for a while under an initiator that uses it.",
                "data-loss": "Data is deleted.",
            },
        }),
    )
    .optional()
    .describe("Classes of change that may be carried out: `session-drop`, `offline`, `data-loss`.");

export const onDeleteSchema = z
    .enum(["delete", "retain"])
    .meta({
        id: "OnDelete",
        description: "What becomes of the data when a resource is deleted.",
        values: {
            delete: "It is deleted.",
            retain: "Our mark is taken off, and the data stays.",
        },
    })
    .optional()
    .describe("`retain`: deleting the resource takes our mark off and leaves the data. Default `delete`.");

function conditionOutputs() {
    return {
        incomplete: z
            .boolean()
            .optional()
            .describe("Its creation or deletion was cut short; the next update finishes the creation."),
        health: z
            .array(z.string())
            .optional()
            .describe("What is wrong with it on the host when last read, and what to do."),
        mendable: z.boolean().optional().describe("The next update mends what is wrong."),
    };
}

/** Outputs that volumes and snapshots have in common. */
export const objectOutputs = {
    sizeBytes: z.number().describe("Size in bytes."),
    path: z.string().describe("Path on the host: what an export backs onto."),
    generation: z
        .string()
        .describe("New for each creation; proves the object on the host to be the one in the state."),
    poolId: z.string().describe("Identity of the pool it was made in."),
    ...conditionOutputs(),
};

export interface OwnerInput {
    readonly organization: string;
    readonly project: string;
    readonly stack: string;
    readonly resource: string;
    readonly parent?: string;
}

export function ownerOf(context: Context, owner: OwnerInput): Owner {
    const { organization, project, stack, resource, parent } = owner;
    const inside = parent === undefined ? {} : { parent };
    return { installation: context.installation, organization, project, stack, resource, ...inside };
}

/** New for each creation. */
export function newGeneration(): string {
    return randomBytes(8).toString("hex");
}

/** The name on the host: as given, as it was, or the resource's own. */
export function fillName(
    olds: { name?: unknown } | undefined,
    news: Record<string, unknown>,
): Record<string, unknown> {
    if (news["name"] !== undefined) return news;
    const owner = news["owner"] as Partial<OwnerInput> | undefined;
    const name = typeof olds?.name === "string" ? olds.name : owner?.resource;
    return name === undefined ? news : { ...news, name };
}

/** Says of a name that comes from the resource that it does. */
export function explainName(given: Record<string, unknown>, failures: readonly Failure[]): Failure[] {
    return failures.map(({ property, reason }) =>
        property === "name" && given["name"] === undefined
            ? { property, reason: `${reason}; it is the resource's own, so set \`name\`` }
            : { property, reason },
    );
}

/** Two resources of one program cannot have one name in the same place on a host. */
export function nameClashes(
    context: Context,
    host: unknown,
    place: string,
    inputs: Record<string, unknown>,
): Failure[] {
    const { name, owner } = inputs as { name?: unknown; owner?: OwnerInput };
    if (typeof name !== "string" || owner === undefined || hasUnknown([host, place, name, owner])) return [];
    // It is where its source is, and that is not known yet.
    if (host === undefined) return [];
    const holder = context.hosts.get(host as HostReference).takeName(`${place}/${name}`, resourceOf(owner));
    if (holder === undefined) return [];
    const reason = `"${name}" in "${place}" is the name of ${holder} of this program too: give one of them another \`name\``;
    return [{ property: "name", reason }];
}

/** How a resource of the program is told to users. */
export function resourceOf({ resource, parent }: OwnerInput): string {
    return `resource "${resource}"${parent === undefined ? "" : ` in ${parent}`}`;
}

/** The host is named by the id that the resource refers to; only an inline host has to be given beside it. */
export function fillHost(reference: string, inputs: Record<string, unknown>): Record<string, unknown> {
    if (inputs["host"] !== undefined) return inputs;
    const id = inputs[reference];
    if (id === UNKNOWN) return inputs;
    const parsed = typeof id === "string" ? parseId(id) : undefined;
    return parsed === undefined ? inputs : { ...inputs, host: parsed.host };
}

/** The name that ids and errors use for a host. */
export function hostName(host: HostReference | undefined): string | undefined {
    return typeof host === "string" ? host : host?.name;
}

/**
 * Ids that point to other resources must name the host that the resource itself is on: pool and name alone would be looked
 * up there, and lead to other data. What is not known yet is left for later.
 *
 * @param of the host that the id names
 */
export function elsewhereProblems(
    property: string,
    id: unknown,
    host: unknown,
    wayOut = "leave `host` out, or name the same host",
    of = typeof id === "string" ? parseId(id)?.host : undefined,
): Failure[] {
    const own = hostName((host ?? undefined) as HostReference | undefined);
    if (of === undefined || typeof own !== "string" || own === UNKNOWN || own === of) return [];
    const reason = `${JSON.stringify(id)} is on host "${of}", and this is to be on host "${own}": ${wayOut}`;
    return [{ property, reason }];
}

/**
 * What a change of an id that points to another resource comes to. `to`: the property that leads to another object than
 * the one it was made of, the reference or the host alone; `corrected`: the id is another one of the same object. Only
 * states from before {@link elsewhereProblems} come to `host` or `corrected`: their objects are where `host` says, whatever
 * the id says.
 */
export function redirected<R extends "volume" | "source">(
    reference: R,
    olds: Record<R, string> & { host: HostReference },
    news: Record<R, string> & { host: HostReference },
): { to: readonly (R | "host")[]; corrected: readonly Change[] } {
    if (hasUnknown(news[reference])) return { to: [], corrected: [] };
    const same = olds[reference] === news[reference];
    const before = hostName(olds.host) ?? "";
    const name = hostName(news.host);
    const after = name === undefined || name === UNKNOWN ? before : name;
    const on = (host: string, id: string) => formatId({ ...parseReference(id), host });
    if (on(before, olds[reference]) === on(after, news[reference]))
        return { to: [], corrected: same ? [] : [recorded(reference)] };
    return { to: [same ? "host" : reference], corrected: [] };
}

/** A host that is the same by name but given in another way: recorded, so that later calls reach it as it is now. */
export function hostChange(olds: { host: HostReference }, news: { host: HostReference }): Change[] {
    if (hasUnknown(news.host) || hostName(olds.host) !== hostName(news.host)) return [];
    if (JSON.stringify(olds.host) === JSON.stringify(news.host)) return [];
    return [{ property: "host", kind: "update", class: "none", reason: RECORDED }];
}

/** Problems of a host reference: an unknown name, or an inline configuration that is not right. */
export function hostReferenceProblems(context: Context, host: unknown): Failure[] {
    if (typeof host === "string") {
        if (host === UNKNOWN) return [];
        if (context.hosts.names().includes(host)) {
            tellReadOnly(context, host);
            return context.hosts
                .portalProblems(host)
                .map(({ property, reason }) => ({ property: "host", reason: `${property}: ${reason}` }));
        }
        const known = context.hosts.names();
        const reason =
            known.length === 0
                ? `there is no host ${JSON.stringify(host)}: blockhost:hosts in the stack's configuration is empty (docs/configuration.md; ` +
                  `\`pulumi config set --path '${formatPath([host, "address"], "blockhost:hosts")}' ADDRESS\` begins it)`
                : `there is no host ${JSON.stringify(host)} in blockhost:hosts${suggestion(host, known)}`;
        return [{ property: "host", reason }];
    }
    if (typeof host !== "object" || host === null) return [];
    const problems = hostProblems(host, "host", true);
    if (problems.length === 0 && !hasUnknown(host)) tellReadOnly(context, host as HostReference);
    return problems;
}

/** Whoever only looks at a plan shall know that it is not going to be carried out. */
function tellReadOnly(context: Context, reference: HostReference): void {
    let config: HostConfig;
    try {
        config = context.hosts.get(reference).config;
    } catch {
        // Said where it is used.
        return;
    }
    if (!config.readOnly) return;
    context.inform?.(
        `host "${config.name}" is configured as readOnly: nothing is changed there. ` +
            "A preview shows what would be; `pulumi up` fails on each change and leaves the host as it is, until `readOnly` is taken off the host's configuration",
    );
}

/** Problems of how the pool is to wipe, where host and pool are known and right. */
export function wipeProblems(context: Context, host: unknown, pool: unknown, method: unknown): Failure[] {
    if (typeof method !== "string" || typeof pool !== "string" || hasUnknown([host, pool, method])) return [];
    const configured = context.hosts.get(host as HostReference).config.pools.get(pool);
    const problem = configured?.driver.wipeProblem?.(configured.ref, method as Wipe["method"]);
    return problem === undefined ? [] : [{ property: "wipe.method", reason: problem }];
}

/** Problems of `host`, `pool` and the name of an object there together, where they are known. */
export function poolProblems(context: Context, host: unknown, pool: unknown, name: unknown): Failure[] {
    if (hasUnknown(host) || typeof pool !== "string" || hasUnknown(pool)) return [];
    let config: HostConfig;
    try {
        config = context.hosts.get(host as HostReference).config;
    } catch (error) {
        return [{ property: "host", reason: toBlockhostError(error).message }];
    }
    const configured = config.pools.get(pool);
    if (configured !== undefined) {
        if (typeof name !== "string" || hasUnknown(name)) return [];
        const problem = configured.driver.nameProblem?.(configured.ref, name);
        return problem === undefined ? [] : [{ property: "name", reason: problem }];
    }
    const known = [...config.pools.keys()];
    const none = known.length === 0 ? "; the host has no pools configured" : suggestion(pool, known);
    return [{ property: "pool", reason: `host "${config.name}" has no pool ${JSON.stringify(pool)}${none}` }];
}

/**
 * What the host says to an operation, as failures of the properties concerned. A host that cannot be reached is a
 * warning: the preview goes on without it.
 */
export async function previewFailures(
    context: Context,
    host: Host,
    operation: Operation<unknown>,
    spaceOf = "size",
): Promise<Failure[]> {
    try {
        await host.preview(operation, context);
        return [];
    } catch (error) {
        if (hasCode(error, "unreachable", "timeout", "conflict", "busy", "cancelled")) {
            warnUnasked(context, error, `${operation.doing} is not checked against it`);
            return [];
        }
        const failure = toBlockhostError(error);
        const byCode: Partial<Record<string, string>> = {
            "no-space": spaceOf,
            "not-ours": "name",
            exists: "name",
        };
        const property = failure.details.property ?? byCode[failure.code] ?? "host";
        return [{ property, reason: failure.message }];
    }
}

/** Whether a host cannot be asked anything. */
export function isUnasked(error: unknown): boolean {
    return hasCode(error, "unreachable", "timeout", "auth", "host-key");
}

/** Warns of a host that cannot be asked, of each once, and of what a resource goes without in a line of its own. */
export function warnUnasked(context: Context, error: unknown, without?: string): void {
    const failure = toBlockhostError(error);
    if (!isUnasked(failure)) {
        context.warn(`${failure.message}\n  so ${without ?? "it goes on without what is on the host"}`);
        return;
    }
    context.warn(`${failure.message}\n  so it goes on without what is on the host`, "run");
    if (without !== undefined)
        context.warn(`host "${failure.details.host ?? ""}" cannot be asked: ${without}`);
}

/** Whether an id names a volume that an operation of this run is going to take over: it carries no mark yet. */
export function isComing(host: Host, id: string | undefined): boolean {
    const parsed = id === undefined ? undefined : parseId(id);
    return parsed !== undefined && host.coming.has(`${parsed.container}/${parsed.name}`);
}

/** A pool and its driver, proven to be usable. */
export interface UsablePool extends ConfiguredPool {
    readonly facts: PoolFacts;
}

/**
 * @throws BlockhostError `invalid` (not configured), `not-found` (missing, foreign, unreadable), `unsupported` (a stock
 * tool is missing).
 */
export function usablePool(config: HostConfig, facts: HostFacts, pool: string, poolId?: string): UsablePool {
    const configured = config.pools.get(pool);
    const found = facts.pools.get(pool);
    if (configured === undefined || found === undefined) {
        throw new BlockhostError("invalid", `pool "${pool}" is not in the host's configuration`, {
            host: config.name,
            hint: `configured are: ${[...config.pools.keys()].join(", ") || "none"}`,
        });
    }
    requireTools(config, facts, { ...HOST_TOOLS, ...configured.driver.tools(configured.ref.options) });
    if (found.problem !== undefined) {
        throw new BlockhostError("not-found", found.problem.summary, {
            host: config.name,
            hint: found.problem.hint,
        });
    }
    // An empty identity: the resource was recorded before the pool could be read again.
    if (poolId !== undefined && poolId !== "" && found.id !== poolId) {
        throw new BlockhostError(
            "not-found",
            `what is configured as pool "${pool}" is another pool than the one the resource was made in (${found.id}, not ${poolId})`,
            {
                host: config.name,
                hint: "a file system may not be mounted, or the pool's configuration points elsewhere; nothing was changed",
            },
        );
    }
    return { ...configured, facts: found };
}

export function requireTools(
    config: HostConfig,
    facts: HostFacts,
    tools: Readonly<Record<string, string>>,
): void {
    const missing = Object.keys(tools).filter((tool) => !facts.tools.has(tool));
    if (missing.length === 0) return;
    const packages = [...new Set(missing.map((tool) => tools[tool] ?? tool))];
    throw new BlockhostError("unsupported", `the host lacks ${missing.join(", ")}`, {
        host: config.name,
        hint: `install there: apt-get install ${packages.join(" ")}`,
    });
}

/**
 * The object a resource may work on, or nothing if the name is free, or taken by the very thing that `adopt` names.
 *
 * @throws BlockhostError `not-ours`: the name is taken by something that this resource did not make.
 */
export function ownObject(
    pool: UsablePool,
    { name, adopt }: { readonly name: string; readonly adopt?: string },
    kind: Mark["kind"],
    owners: readonly Owner[],
): ObjectFacts | undefined {
    const found = pool.facts.objects.get(name);
    if (found === undefined) return undefined;
    if (found.mark === undefined) {
        if (adopt !== undefined && pool.driver.resolveReference(pool.ref, pool.facts, adopt) === name)
            return undefined;
        throw new BlockhostError(
            "not-ours",
            `"${name}" already exists in pool "${pool.ref.name}" and carries no owner mark`,
            {
                hint: "it is not ours and stays untouched: give the resource another `name`, or take it over with `adopt`",
            },
        );
    }
    const { mark } = found;
    refuseStranger(`"${name}" in pool "${pool.ref.name}"`, mark, owners);
    if (mark.kind !== kind) {
        throw new BlockhostError(
            "exists",
            `"${name}" in pool "${pool.ref.name}" is a ${mark.kind} of this same resource name`,
            {
                hint: `give the ${kind} another \`name\``,
            },
        );
    }
    return found;
}

/** @throws BlockhostError `not-ours`: somebody else's mark. */
export function refuseStranger(what: string, mark: Mark, owners: readonly Owner[]): void {
    if (owners.some((owner) => sameOwner(owner, mark.owner))) return;
    throw new BlockhostError("not-ours", `${what} belongs to ${describeOwner(mark.owner)}`, {
        hint: `it stays untouched: ${moved(mark.owner, owners) ?? "give this resource another `name`"}`,
    });
}

/** What to do where the object may be this resource's own, from before it was renamed or moved in the program. */
function moved(owner: Owner, owners: readonly Owner[]): string | undefined {
    if (!owners.some((one) => sameStack(one, owner))) return undefined;
    const renamed = owners.every(({ resource }) => resource !== owner.resource);
    const alias = renamed
        ? `{ name: ${JSON.stringify(owner.resource)} }`
        : owner.parent === undefined
          ? "{ parent: pulumi.rootStackResource }"
          : `{ parent: … } (it was in ${owner.parent})`;
    return `if this resource was ${renamed ? "renamed" : "moved"} in the program, say so with \`aliases: [${alias}]\`; otherwise give it another \`name\``;
}

/** The parts of an id that points to another resource; that it is of the same host, {@link elsewhereProblems} has seen to. */
export function parseReference(id: string): Id {
    const parsed = parseId(id);
    if (parsed === undefined) throw new BlockhostError("invalid", `not an id: ${JSON.stringify(id)}`);
    return parsed;
}
