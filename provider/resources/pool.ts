import * as z from "zod";
import type { MadePool, PoolContext, PoolMaker, WantedPool } from "../drivers/poolMaker";
import { BlockhostError, hasCode } from "../errors";
import type { ConfiguredPool, HostConfig } from "../host/config";
import type { ContainerFacts, HostFacts } from "../host/facts";
import type { Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, describeOwner, sameOwner } from "../host/mark";
import { NOTHING, isEmpty } from "../host/plan";
import { HOST_TOOLS } from "../host/observation";
import { parseSize } from "../size";
import { UNKNOWN, hasUnknown, problemsOf } from "../validate";
import { COMPLETION, TAKING_OVER, recorded, refuseUnlessAllowed } from "./changes";
import {
    type OwnerInput,
    allowSchema,
    fillName,
    hostChange,
    hostName,
    hostReferenceProblems,
    hostReferenceSchema,
    newGeneration,
    onDeleteSchema,
    ownerOf,
    ownerSchema,
    poolProblems,
    previewFailures,
    requireTools,
    sizeSchema,
    warnUnasked,
} from "./common";
import { performCreation } from "./creation";
import { importedOwner, notTakenOver, ownerInput } from "./imports";
import { previewed } from "./previews";
import { STABLE_DISK, unstableDiskFailures } from "./disks";
import type { Allowed, Change, Context, Lifecycle } from "./types";

const diskSchema = z
    .string()
    .regex(STABLE_DISK, "must be a name that stays: /dev/disk/by-id/… (or /dev/disk/by-partuuid/…)");

const percent = (least: number, most: number) => z.int().min(least).max(most);

export const poolArgs = z
    .strictObject({
        host: hostReferenceSchema,
        name: z
            .string()
            .min(1)
            .optional()
            .describe("Name of the pool in the host's configuration; default: the resource's name."),
        disks: z
            .array(diskSchema)
            .min(1)
            .refine((disks) => new Set(disks).size === disks.length, "names a disk twice")
            .optional()
            .describe(
                "Disks that the pool is made of, by names that stay (`/dev/disk/by-id/…`). One that is added is taken in, one that is taken off is evacuated and given back.",
            ),
        overwrite: z
            .record(z.string(), z.array(z.string().regex(/^[A-Za-z0-9_.-]+$/)).min(1))
            .optional()
            .describe(
                "By disk: what it may carry and lose, as `wipefs` calls it (`ext4`, `gpt`, `LVM2_member`). A disk that carries anything else is refused.",
            ),
        size: sizeSchema
            .optional()
            .describe(
                "Size of the thin pool, at least. Default: all there is, less its metadata, the spare of it, and room for one automatic extension.",
            ),
        chunkSize: sizeSchema
            .optional()
            .describe(
                "Chunk of the thin pool: what a write takes at once, and what snapshots share. Default: 64KiB, or as much more as keeps the metadata below 1GiB.",
            ),
        metadataSize: sizeSchema
            .optional()
            .describe("Size of the thin pool's metadata, at least. Default: 128 bytes for each chunk."),
        monitoring: z
            .boolean()
            .optional()
            .describe("dmeventd watches the thin pool, and extends it. Default true."),
        autoExtend: z
            .union([
                z.literal(false),
                z
                    .strictObject({
                        threshold: percent(50, 99).describe(
                            "Percent of data or metadata in use from which it is extended.",
                        ),
                        percent: percent(1, 100).describe("By how many percent of its size."),
                    })
                    .describe("When, and by how much, a thin pool is extended."),
            ])
            .optional()
            .describe(
                "How the thin pool is extended out of what is free in the volume group; `false`: not at all. Default: at 80 by 20 percent.",
            ),
        whenFull: z
            .enum(["error", "queue"])
            .meta({
                id: "WhenFull",
                description: "What a write gets when a thin pool is full.",
                values: {
                    error: "An error at once.",
                    queue: "It waits for a minute for the pool to be extended.",
                },
            })
            .optional()
            .describe(
                "What a write gets when the thin pool is full: an error at once, or it waits for a minute for the pool to be extended. Default `queue`.",
            ),
        adopt: z
            .boolean()
            .optional()
            .describe(
                "Take over a volume group (and thin pool) that exists. It gets our mark, and nothing that is not declared is changed.",
            ),
        onDelete: onDeleteSchema,
        allow: allowSchema,
        owner: ownerSchema,
    })
    .describe(
        "A pool of a host made real: a volume group, and a thin pool, on named disks, with guard rails.",
    );

export const poolOutputs = z.object({
    containerId: z.string().describe("Identity on the host: the volume group's UUID."),
    generation: z.string().describe("New for each creation; proves the pool to be the one in the state."),
    sizeBytes: z.number().describe("Size in bytes of all disks together."),
    members: z
        .record(z.string(), z.string())
        .describe("By disk: its identity within the pool (the physical volume's UUID)."),
    thinPool: z
        .object({
            sizeBytes: z.number().describe("Size of its data in bytes."),
            metadataBytes: z.number().describe("Size of its metadata in bytes."),
            chunkBytes: z.number().describe("Size of a chunk in bytes."),
        })
        .meta({ id: "ThinPool", description: "A thin pool as it is on the host." })
        .optional()
        .describe("The thin pool; nothing where volumes are thick."),
    drift: z
        .array(z.string())
        .optional()
        .describe("In what it differed from what is declared when last read; the next update mends it."),
    incomplete: z
        .boolean()
        .optional()
        .describe("Its creation or deletion was cut short; the next update finishes the creation."),
});

export interface PoolArgs {
    readonly host: HostReference;
    readonly name: string;
    readonly disks?: readonly string[];
    readonly overwrite?: Readonly<Record<string, readonly string[]>>;
    readonly size?: string | number;
    readonly chunkSize?: string | number;
    readonly metadataSize?: string | number;
    readonly monitoring?: boolean;
    readonly autoExtend?: false | { readonly threshold: number; readonly percent: number };
    readonly whenFull?: "error" | "queue";
    readonly adopt?: boolean;
    readonly onDelete?: "delete" | "retain";
    readonly allow?: readonly Allowed[];
    readonly owner: OwnerInput;
}

export interface PoolState extends PoolArgs, MadePool {
    /** In what it differed from what is declared when it was read last. */
    readonly drift?: readonly string[];
    /** Its creation or deletion was cut short. */
    readonly incomplete?: true;
}

const POLICY = ["disks", "size", "metadataSize", "monitoring", "autoExtend", "whenFull"] as const;
const RECORDED = ["overwrite", "adopt", "onDelete", "allow", "owner"] as const;

const POOL_STABLE = ["host", "name", "containerId", "generation"];

export const pool: Lifecycle<PoolArgs, PoolState> = {
    kind: "Pool",
    args: poolArgs,
    outputs: poolOutputs,
    stable: POOL_STABLE,
    secretOutputs: [],

    async check(context, olds, given) {
        const inputs = fillName(olds, given);
        const failures = [...problemsOf(poolArgs, inputs), ...hostReferenceProblems(context, inputs["host"])];
        if (inputs["disks"] === undefined && inputs["adopt"] !== true)
            failures.push({ property: "disks", reason: "is missing: name the pool's disks, or set `adopt`" });
        const known = !hasUnknown(inputs);
        const placed = poolProblems(context, inputs["host"], inputs["name"], undefined).map((failure) =>
            failure.property === "pool" ? { ...failure, property: "name" } : failure,
        );
        const elsewhere = failures.some(({ property }) => property.startsWith("host"));
        if (!elsewhere) failures.push(...placed);
        if (!known || placed.length > 0 || elsewhere) return { inputs, failures };
        const args = inputs as unknown as PoolArgs;
        const host = context.hosts.get(args.host);
        if (failures.length > 0)
            return {
                inputs,
                failures: await unstableDiskFailures(context, host, args.name, args.disks, failures),
            };
        const configured = host.config.pools.get(args.name);
        const maker = configured?.driver.pools;
        if (configured === undefined || maker === undefined) {
            const reason = `pools of driver "${configured?.driver.name ?? ""}" are not made of disks`;
            return { inputs, failures: [{ property: "name", reason }] };
        }
        for (const { path, reason } of maker.check(configured.ref, policyOf(args)))
            failures.push({ property: path, reason });
        if (failures.length > 0 || olds !== undefined) return { inputs, failures };
        const { operation } = creation(context, args);
        failures.push(...(await previewFailures(context, host, operation)));
        if (failures.length === 0) await announce(context, args);
        return { inputs, failures };
    },

    async diff(context, olds, news) {
        const changes: Change[] = hostChange(olds, news);
        const doing = `update pool "${olds.name}"`;
        if (olds.generation === "") changes.push(TAKING_OVER);
        if (olds.incomplete === true) changes.push(COMPLETION);
        if (olds.drift !== undefined && olds.drift.length > 0)
            changes.push({ property: "drift", kind: "update", class: "none", reason: olds.drift.join("; ") });
        changes.push(...replacements(olds, news));
        for (const property of POLICY) {
            if (hasUnknown(news[property]) || same(olds[property], news[property])) continue;
            changes.push({
                property,
                kind: "update",
                class: "none",
                reason: "is carried out without a pause",
            });
        }
        for (const property of RECORDED) {
            if (!same(olds[property], news[property])) changes.push(recorded(property));
        }
        refuseShrinking(olds, news, doing);
        const allow = hasUnknown(news.allow) ? [] : (news.allow ?? []);
        refuseUnlessAllowed(doing, changes, allow, hostName(olds.host));
        const asks = changes.some(({ kind, property }) => kind === "update" && includes(POLICY, property));
        if (asks && olds.incomplete !== true && !hasUnknown(news)) await previewChange(context, olds, news);
        return changes;
    },

    preview(context, args, olds) {
        const about = { outputs: poolOutputs, stable: POOL_STABLE };
        return previewed(context, args, olds, about, () => {
            if (olds === undefined || POLICY.every((property) => same(olds[property], args[property])))
                return {};
            return { sizeBytes: UNKNOWN, members: UNKNOWN, thinPool: UNKNOWN };
        });
    },

    async import(context, text, owner, given) {
        const [at = "", name = "", ...rest] = text.split("/");
        if (at === "" || name === "" || rest.length > 0) {
            throw new BlockhostError(
                "invalid",
                `${JSON.stringify(text.slice(0, 120))} is not the id of a pool`,
                {
                    hint: "an id is <host>/<pool>, with the names that they have in blockhost:hosts: san1/fast",
                },
            );
        }
        const inline = given["host"] as HostReference | undefined;
        const reference = typeof inline === "object" && inline.name === at ? inline : at;
        const host = context.hosts.get(reference);
        const facts = await host.facts(context, { [name]: [] });
        const place = usableContainer(host.config, facts, name);
        if (place.facts.id === "") return undefined;
        const { mark } = place.facts;
        if (mark !== undefined && mark.phase !== "ready")
            throw new BlockhostError("conflict", `pool "${name}" is half-made or half-deleted`);
        // Which names the user has for its disks cannot be told: what it has stays as it is.
        const inputs = { host: reference, name, adopt: true };
        const by = mark === undefined ? ownerInput(owner) : importedOwner(mark, owner, `pool "${name}"`);
        const state = stateOf(place, { ...inputs, owner: by }, mark ?? newMark(owner, ""), {});
        return { id: text, inputs, state };
    },

    async create(context, args) {
        const host = context.hosts.get(args.host);
        const { operation, begun } = creation(context, args);
        const created = await performCreation(context, host, operation, poolId(args), (facts) =>
            incompleteState(context, facts, args, begun.generation),
        );
        host.coming.delete(args.name);
        return created;
    },

    async read(context, state) {
        const host = context.hosts.get(state.host);
        const facts = await host.facts(context, containersOf(state));
        const place = usableContainer(host.config, facts, state.name);
        if (place.facts.id === "") {
            if (place.maker.gone(place.context, state)) return undefined;
            return { id: poolId(state), state: { ...state, incomplete: true } };
        }
        requireSame(place, state);
        const { mark } = place.facts;
        if (state.generation === "")
            return {
                id: poolId(state),
                state: stateOf(place, state, newMark(ownerOf(context, state.owner), ""), state.members),
            };
        if (mark === undefined) throw unmarked(place.ref.name);
        if (mark.generation !== state.generation || mark.kind !== "pool") return undefined;
        for (const one of facts.pools.get(state.name)?.health ?? [])
            context.warn(`pool "${state.name}": ${one}`);
        return { id: poolId(state), state: stateOf(place, state, mark, state.members) };
    },

    async update(context, before, news) {
        const host = context.hosts.get(news.host);
        const olds =
            before.incomplete === true || before.generation === ""
                ? await host.perform(creation(context, firstOf(before, news)).operation, context)
                : before;
        return host.perform(alteration(context, olds, news), context, olds !== before);
    },

    async delete(context, state) {
        const host = context.hosts.get(state.host);
        if (host.config.decommissioned) return;
        if (state.generation === "" && state.onDelete === "retain") return;
        if (state.generation === "") throw notTakenOver(`pool "${state.name}"`);
        await host.perform(deletion(context, state), context);
    },
};

/** What has to be carried out before an update: a creation that was cut short, or taking over what was imported. */
function firstOf(before: PoolState, news: PoolArgs): PoolArgs {
    if (before.generation !== "") return { ...news, owner: before.owner };
    return { host: news.host, name: before.name, adopt: true, owner: news.owner };
}

/** A pool as configured and as found. */
interface Place extends ConfiguredPool {
    readonly maker: PoolMaker;
    readonly facts: ContainerFacts;
    readonly context: PoolContext;
}

/**
 * @throws BlockhostError `invalid` (not configured), `unsupported` (driver or tools), `not-found` (partial, ambiguous,
 * unreadable).
 */
function usableContainer(config: HostConfig, host: HostFacts, name: string): Place {
    const configured = config.pools.get(name);
    const facts = host.containers?.get(name);
    const maker = configured?.driver.pools;
    if (configured === undefined || maker === undefined) {
        throw new BlockhostError("invalid", `pool "${name}" is not in the host's configuration`, {
            host: config.name,
        });
    }
    if (facts === undefined) throw new BlockhostError("conflict", `pool "${name}" has to be read again`);
    requireTools(config, host, {
        ...HOST_TOOLS,
        ...configured.driver.tools(configured.ref.options),
        ...maker.tools,
    });
    if (facts.problem !== undefined) {
        throw new BlockhostError("not-found", facts.problem.summary, { hint: facts.problem.hint });
    }
    return { ...configured, maker, facts, context: { pool: configured.ref, facts, host } };
}

/** @throws BlockhostError `not-found`: what has the name is another one. */
function requireSame({ ref, facts }: Place, state: PoolState): void {
    if (facts.id === state.containerId || state.containerId === "") return;
    throw new BlockhostError(
        "not-found",
        `what is configured as pool "${ref.name}" is another one than the resource's (${facts.id}, not ${state.containerId})`,
        {
            hint: "nothing was changed. See `vgs -o +vg_uuid` on the host: rename the one that is not meant, or mend the configuration",
        },
    );
}

function unmarked(name: string): BlockhostError {
    return new BlockhostError("not-ours", `pool "${name}" no longer carries our mark`, {
        hint: "it stays untouched. If it was released on purpose, take it out of the state with `pulumi state delete`; to have it back, declare it with `adopt`",
    });
}

/** @throws BlockhostError `not-ours` */
function requireOwned({ facts, ref }: Place, owners: readonly Owner[], generation: string): Mark {
    const { mark } = facts;
    if (mark === undefined) throw unmarked(ref.name);
    if (mark.generation === generation && owners.some((owner) => sameOwner(owner, mark.owner))) return mark;
    throw new BlockhostError("not-ours", `pool "${ref.name}" belongs to ${describeOwner(mark.owner)}`, {
        hint: "it is not the pool in the state and stays untouched; `pulumi refresh` brings the state up to date",
    });
}

function creation(
    context: Context,
    args: PoolArgs,
): { operation: Operation<PoolState>; begun: { generation: string } } {
    const { config } = context.hosts.get(args.host);
    const owner = ownerOf(context, args.owner);
    const begun = { generation: newGeneration() };
    const operation: Operation<PoolState> = {
        doing: `${args.adopt === true ? "adopt" : "make"} pool "${args.name}"`,
        effect: "change",
        containers: containersOf(args),
        plan: (facts) => {
            const place = usableContainer(config, facts, args.name);
            const { mark } = place.facts;
            const there = place.facts.id !== "";
            if (mark !== undefined && !sameOwner(mark.owner, owner)) {
                throw new BlockhostError(
                    "not-ours",
                    `pool "${args.name}" exists, and belongs to ${describeOwner(mark.owner)}`,
                    {
                        hint: "it stays untouched: declare it in one program only",
                    },
                );
            }
            if (there && mark === undefined && args.adopt !== true) {
                throw new BlockhostError(
                    "not-ours",
                    `what pool "${args.name}" is to be made of exists already, and carries no owner mark`,
                    {
                        hint: "it is not ours and stays untouched: take it over with `adopt: true`, or name another in the host's configuration",
                    },
                );
            }
            begun.generation = mark?.generation ?? begun.generation;
            const want = wanted(args, newMark(owner, begun.generation));
            if (args.adopt !== true) return place.maker.create(place.context, want);
            const adopted = place.maker.adopt(place.context, want);
            return isEmpty(adopted) ? place.maker.alter(place.context, want) : adopted;
        },
        result: (facts) => {
            const place = usableContainer(config, facts, args.name);
            return stateOf(place, args, place.facts.mark ?? newMark(owner, begun.generation), {});
        },
    };
    return { operation, begun };
}

/** Until it is made, nothing can be said about what is to live in it. */
async function announce(context: Context, args: PoolArgs): Promise<void> {
    const host = context.hosts.get(args.host);
    const facts = await host.facts(context, containersOf(args)).catch(() => undefined);
    const container = facts?.containers?.get(args.name);
    if (container?.mark?.phase !== "ready" && args.adopt !== true) host.coming.add(args.name);
}

function incompleteState(
    context: Context,
    facts: HostFacts | undefined,
    args: PoolArgs,
    generation: string,
): PoolState | undefined {
    const { config } = context.hosts.get(args.host);
    const unknown: PoolState = {
        ...args,
        containerId: "",
        generation,
        sizeBytes: 0,
        members: {},
        incomplete: true,
    };
    if (
        facts?.containers?.get(args.name) === undefined ||
        facts.containers.get(args.name)?.problem !== undefined
    )
        return unknown;
    const place = usableContainer(config, facts, args.name);
    const owner = ownerOf(context, args.owner);
    const { mark } = place.facts;
    if (mark !== undefined && !sameOwner(mark.owner, owner)) return undefined;
    const state = {
        ...stateOf(place, args, mark ?? newMark(owner, generation), {}),
        incomplete: true as const,
    };
    return mark === undefined && Object.keys(state.members).length === 0
        ? undefined
        : { ...state, generation };
}

function alteration(context: Context, olds: PoolState, news: PoolArgs): Operation<PoolState> {
    const { config } = context.hosts.get(news.host);
    const owners = [ownerOf(context, olds.owner), ownerOf(context, news.owner)];
    return {
        doing: `update pool "${olds.name}"`,
        effect: "change",
        containers: containersOf(olds, news),
        plan: (facts) => {
            const place = usableContainer(config, facts, olds.name);
            if (place.facts.id === "") {
                place.maker.gone(place.context, olds);
                throw new BlockhostError("not-found", `pool "${olds.name}" is no longer there`, {
                    hint: "somebody deleted it on the host; `pulumi refresh` takes it out of the state",
                });
            }
            requireSame(place, olds);
            const mark = requireOwned(place, owners, olds.generation);
            const want = wanted(
                news,
                { ...mark, owner: ownerOf(context, news.owner), phase: "ready" },
                olds.members,
            );
            refuseEmptyThinPool(place, want, olds, news);
            return place.maker.alter(place.context, want);
        },
        result: (facts) => {
            const place = usableContainer(config, facts, news.name);
            return stateOf(
                place,
                news,
                place.facts.mark ?? newMark(ownerOf(context, news.owner), olds.generation),
                {},
            );
        },
    };
}

/** A thin pool that was there and is not: a new, empty one in its place would make what LVM can restore unrestorable. */
function refuseEmptyThinPool(place: Place, want: WantedPool, olds: PoolState, news: PoolArgs): void {
    if (olds.thinPool === undefined || place.maker.made(place.context, want).thinPool !== undefined) return;
    const change: Change = {
        property: "thinPool",
        kind: "update",
        class: "data-loss",
        reason: "the thin pool is gone from the host, and an empty one would be made in its place",
        wayOut: "rename it back, or restore the volume group's metadata (vgcfgrestore(8))",
    };
    refuseUnlessAllowed(`update pool "${olds.name}"`, [change], news.allow ?? [], hostName(olds.host));
}

async function previewChange(context: Context, olds: PoolState, news: PoolArgs): Promise<void> {
    const host = context.hosts.get(news.host);
    try {
        await host.preview(alteration(context, olds, news), context);
    } catch (error) {
        if (!hasCode(error, "unreachable", "timeout", "conflict", "busy", "cancelled")) throw error;
        warnUnasked(context, error, `the change of pool "${olds.name}" is not checked against it`);
    }
}

function deletion(context: Context, state: PoolState): Operation<undefined> {
    const { config } = context.hosts.get(state.host);
    const retain = state.onDelete === "retain";
    return {
        doing: `${retain ? "release" : "delete"} pool "${state.name}"`,
        effect: retain ? "change" : "delete",
        containers: containersOf(state),
        plan: (facts) => {
            const place = usableContainer(config, facts, state.name);
            const owner = ownerOf(context, state.owner);
            if (place.facts.id === "") {
                if (!retain && place.maker.gone(place.context, state)) return NOTHING;
                const mark = newMark(owner, state.generation);
                return retain ? NOTHING : place.maker.remove(place.context, { mark, made: state });
            }
            requireSame(place, state);
            if (retain && place.facts.mark === undefined) return NOTHING;
            const mark = requireOwned(place, [owner], state.generation);
            return retain
                ? place.maker.release(place.context, { mark })
                : place.maker.remove(place.context, { mark, made: state });
        },
        result: () => undefined,
    };
}

function newMark(owner: Owner, generation: string): Mark {
    return { kind: "pool", owner, generation, phase: "ready", extra: {} };
}

function wanted(args: PoolArgs, mark: Mark, former: Readonly<Record<string, string>> = {}): WantedPool {
    return {
        ...policyOf(args),
        mark,
        disks: args.disks,
        overwrite: args.overwrite ?? {},
        adopted: args.adopt === true,
        former,
    };
}

function policyOf(args: PoolArgs) {
    const bytes = (size: string | number | undefined) =>
        size === undefined ? undefined : parseSize(size).bytes;
    const sizeBytes = bytes(args.size);
    const chunkBytes = bytes(args.chunkSize);
    const metadataBytes = bytes(args.metadataSize);
    return {
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
        ...(chunkBytes === undefined ? {} : { chunkBytes }),
        ...(metadataBytes === undefined ? {} : { metadataBytes }),
        ...(args.monitoring === undefined ? {} : { monitoring: args.monitoring }),
        ...(args.autoExtend === undefined ? {} : { autoExtend: args.autoExtend }),
        ...(args.whenFull === undefined ? {} : { whenFull: args.whenFull }),
    };
}

/** Inputs, and what was found; nothing of a former state. */
function stateOf(
    place: Place,
    args: PoolArgs & Partial<PoolState>,
    mark: Mark,
    former: Readonly<Record<string, string>>,
): PoolState {
    const { drift: _1, incomplete: _2, thinPool: _3, ...inputs } = args;
    const want = wanted(args, mark, former);
    const drift = place.maker.drift(place.context, want);
    const phase = place.facts.mark?.phase;
    return {
        ...inputs,
        ...place.maker.made(place.context, want),
        ...(drift.length === 0 ? {} : { drift }),
        ...(phase === "creating" || phase === "deleting" ? { incomplete: true as const } : {}),
    };
}

/** The pool's container, with all disks that matter. */
function containersOf(...all: readonly (PoolArgs & Partial<PoolState>)[]): Record<string, string[]> {
    const disks = all.flatMap((args) => [...(args.disks ?? []), ...Object.keys(args.members ?? {})]);
    return { [all[0]?.name ?? ""]: [...new Set(disks)] };
}

function replacements(olds: PoolState, news: PoolArgs): Change[] {
    const changes: Change[] = [];
    const replace = (property: string, why: string) => {
        changes.push({
            property,
            kind: "replace",
            class: olds.incomplete === true ? "none" : "data-loss",
            reason: `${why}, so pool "${olds.name}" would be deleted and made anew`,
            wayOut: `put \`${property}\` back, or declare a second pool`,
        });
    };
    if (!hasUnknown(news.host) && hostName(olds.host) !== hostName(news.host))
        replace("host", "is another place");
    if (!hasUnknown(news.name) && olds.name !== news.name) replace("name", "is another pool");
    const chunk =
        news.chunkSize === undefined || hasUnknown(news.chunkSize)
            ? undefined
            : parseSize(news.chunkSize).bytes;
    if (chunk !== undefined && olds.thinPool !== undefined && chunk !== olds.thinPool.chunkBytes)
        replace(
            "chunkSize",
            `it is ${String(olds.thinPool.chunkBytes)} bytes and cannot be changed in place`,
        );
    return changes;
}

function refuseShrinking(olds: PoolState, news: PoolArgs, doing: string): void {
    if (olds.size === undefined || news.size === undefined || hasUnknown(news.size)) return;
    if ((parseSize(news.size).bytes ?? 0) >= (parseSize(olds.size).bytes ?? 0)) return;
    throw new BlockhostError("invalid", "size: a thin pool never shrinks", {
        doing,
        host: hostName(olds.host),
        hint: `set \`size\` to ${String(olds.size)} or more`,
    });
}

function same(a: unknown, b: unknown): boolean {
    return JSON.stringify(a) === JSON.stringify(b);
}

function includes(list: readonly string[], value: string): boolean {
    return list.includes(value);
}

function poolId({ host, name }: PoolArgs): string {
    return `${hostName(host) ?? ""}/${name}`;
}
