import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import type { PlanContext, Wipe } from "../drivers/types";
import { BlockhostError } from "../errors";
import type { HostConfig } from "../host/config";
import type { HostFacts, ObjectFacts } from "../host/facts";
import type { Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, sameOwner } from "../host/mark";
import { NOTHING, type Plan, isEmpty, joinPlans } from "../host/plan";
import { type Id, SAFETY_SUFFIX, formatId, parseId } from "../names";
import { SECTOR, exactSize, formatSize, parseSize, roundUp } from "../size";
import { type Failure, UNKNOWN, distinct, hasUnknown, problemsOf } from "../validate";
import {
    COMPLETION,
    MENDING,
    OPENING,
    RECORDED,
    TAKING_OVER,
    recorded,
    refuseUnlessAllowed,
} from "./changes";
import {
    type OwnerInput,
    type UsablePool,
    allowSchema,
    elsewhereProblems,
    explainName,
    fillName,
    hostChange,
    hostName,
    hostReferenceProblems,
    hostReferenceSchema,
    idSchema,
    isComing,
    nameClashes,
    nameSchema,
    newGeneration,
    objectOutputs,
    onDeleteSchema,
    ownObject,
    ownerOf,
    ownerSchema,
    parseReference,
    poolProblems,
    previewFailures,
    sizeSchema,
    usablePool,
    wipeProblems,
} from "./common";
import { importPlace, importedObject, importedOwner, notTakenOver, ownerInput } from "./imports";
import { previewed } from "./previews";
import { performCreation } from "./creation";
import { hasClosed, openExports, refuseDependants, reopenExports, sessionsOn, usersOf } from "./dependants";
import {
    type Condition,
    completion,
    conditionOf,
    isIncomplete,
    isReleased,
    liveObject,
    lostData,
    ownedAs,
    planRemoval,
    recordedObject,
    refuseUnfinished,
    warnOfHealth,
    withoutCondition,
} from "./objects";
import type { Allowed, Change, Context, Lifecycle } from "./types";

const wipeSchema = z.strictObject({
    method: z
        .enum(["none", "zero", "discard"])
        .meta({
            id: "WipeMethod",
            description: "What is done with the data of a volume before it is deleted.",
            values: {
                none: "Nothing.",
                zero: "It is overwritten with zeros.",
                discard: "The device is told that it is of no use any more (driver lvm).",
            },
        })
        .describe(
            "`none`: just delete; `zero`: overwrite with zeros first; `discard` (lvm): tell the device first that the data is of no use any more.",
        ),
    limit: sizeSchema.optional().describe("Wipe only so much from the start; default: all."),
    ionice: z
        .union([z.literal("idle"), z.int().min(0).max(7)])
        .optional()
        .describe("I/O priority of wiping: `idle` (default), or best-effort from 0 (high) to 7."),
});

export const volumeArgs = z
    .strictObject({
        host: hostReferenceSchema.optional(),
        pool: z
            .string()
            .min(1)
            .describe("Name of a pool of the host, or a `Pool`, whose host is then the default of `host`.")
            .meta({ replaces: true, resources: ["Pool"] }),
        name: nameSchema.optional(),
        size: sizeSchema.optional(),
        source: z
            .strictObject({
                snapshot: idSchema("a snapshot", ["Snapshot"])
                    .optional()
                    .describe("Start with the content of a snapshot."),
                volume: idSchema("a volume", ["Volume"]).optional().describe("Start as a clone of a volume."),
            })
            .refine((source) => (source.snapshot === undefined) !== (source.volume === undefined), {
                message: "give exactly one of `snapshot` and `volume`",
            })
            .optional()
            .describe("What the volume starts with; counts at creation only."),
        adopt: z
            .string()
            .min(1)
            .optional()
            .describe(
                "Take over what exists in the pool under this name (file driver: a file; lvm: a logical volume).",
            ),
        wipe: wipeSchema
            .optional()
            .describe("What happens to the data when the volume is deleted. Default `none`."),
        onDelete: onDeleteSchema,
        revertTo: z
            .strictObject({
                snapshot: idSchema("a snapshot of this volume", ["Snapshot"]).describe(
                    "A snapshot of this volume.",
                ),
                token: z
                    .string()
                    .regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 letters, digits, `_`, `.` or `-`")
                    .describe("A new token asks for a new revert."),
            })
            .optional()
            .describe("Put the volume back to a snapshot, once for each token."),
        allow: allowSchema,
        owner: ownerSchema,
    })
    .describe("A volume: a block device in a pool.");

export const volumeOutputs = z.object({
    ...objectOutputs,
    revertedWith: z.string().describe("Token of the last revert; empty before the first."),
    safetySnapshot: z
        .string()
        .describe("Name of the safety snapshot of the last revert; empty where there is none."),
    grainBytes: z
        .number()
        .optional()
        .describe("Sizes in the pool are multiples of it, in bytes; absent: of a sector (512)."),
});

export interface VolumeArgs {
    readonly host: HostReference;
    readonly pool: string;
    readonly name: string;
    readonly size?: string | number;
    readonly source?: { readonly snapshot?: string; readonly volume?: string };
    readonly adopt?: string;
    readonly wipe?: {
        readonly method: "none" | "zero" | "discard";
        readonly limit?: string | number;
        readonly ionice?: "idle" | number;
    };
    readonly onDelete?: "delete" | "retain";
    readonly revertTo?: { readonly snapshot: string; readonly token: string };
    readonly allow?: readonly Allowed[];
    readonly owner: OwnerInput;
}

/** What is recorded: all inputs, and what the host made of them. */
export interface VolumeState extends VolumeArgs, Condition {
    readonly sizeBytes: number;
    /** What an export backs onto. */
    readonly path: string;
    readonly generation: string;
    readonly poolId: string;
    /** Token of the last revert; empty before the first. */
    readonly revertedWith: string;
    /** Name of the safety snapshot of the last revert; empty where there is none. */
    readonly safetySnapshot: string;
    /** Sizes in the pool are multiples of it; absent: of a sector. */
    readonly grainBytes?: number;
}

const VOLUME_STABLE = ["host", "pool", "name", "path", "generation", "poolId"];

export const volume: Lifecycle<VolumeArgs, VolumeState> = {
    kind: "Volume",
    args: volumeArgs,
    outputs: volumeOutputs,
    stable: VOLUME_STABLE,
    secretOutputs: [],

    async check(context, olds, given) {
        const inputs = fillPool(fillName(olds, given));
        const hostFailures = hostProblemsOf(context, inputs["host"]);
        const failures = distinct([
            ...explainName(given, problemsOf(volumeArgs, inputs)),
            ...hostFailures,
            ...foreignHostProblems(given),
        ]);
        if (hostFailures.length === 0)
            failures.push(...poolProblems(context, inputs["host"], inputs["pool"], inputs["name"]));
        if (failures.length === 0) {
            const { wipe } = inputs as Partial<VolumeArgs>;
            failures.push(...wipeProblems(context, inputs["host"], inputs["pool"], wipe?.method));
        }
        const { size, source, adopt, revertTo } = inputs;
        const from = source as VolumeArgs["source"];
        if (size === undefined && source === undefined && adopt === undefined && olds === undefined) {
            failures.push({ property: "size", reason: "is missing: give a size, a `source` or `adopt`" });
        }
        if (source !== undefined && adopt !== undefined) {
            failures.push({
                property: "adopt",
                reason: "cannot go with `source`: a volume starts with one of them",
            });
        }
        for (const [path, id] of [
            ["source.snapshot", from?.snapshot],
            ["source.volume", from?.volume],
            ["revertTo.snapshot", (revertTo as VolumeArgs["revertTo"])?.snapshot],
        ] as const) {
            failures.push(...foreignPoolProblems(path, id, inputs));
        }
        if (failures.length > 0) return { inputs, failures };
        failures.push(...nameClashes(context, inputs["host"], String(inputs["pool"]), inputs));
        if (failures.length > 0 || olds !== undefined || hasUnknown(inputs)) return { inputs, failures };
        const args = inputs as unknown as VolumeArgs;
        const host = context.hosts.get(args.host);
        // Made or taken over in the same run, and not there yet.
        if (host.coming.has(args.pool)) return { inputs, failures };
        if (isComing(host, args.source?.snapshot ?? args.source?.volume)) return { inputs, failures };
        const spaceOf = args.size === undefined && args.source !== undefined ? "source" : "size";
        const { operation } = creation(context, args);
        return { inputs, failures: await previewFailures(context, host, operation, spaceOf) };
    },

    async diff(context, olds, news) {
        const changes: Change[] = [];
        const doing = `update volume "${olds.name}"`;
        if (olds.generation === "") {
            changes.push(TAKING_OVER);
            context.hosts.get(olds.host).coming.add(`${olds.pool}/${olds.name}`);
        }
        const live = await liveObject(context, context.hosts.get(olds.host), olds, "volume");
        const half = live === undefined ? [] : completion("volume", live.object);
        if (half.length > 0) changes.push(...half);
        else if (olds.incomplete === true) changes.push(COMPLETION);
        else if (olds.mendable === true) changes.push(MENDING);
        else if (live !== undefined && hasClosed(live.facts, live.object)) changes.push(OPENING);
        for (const property of ["host", "pool", "name"] as const) {
            if (sameInput(property, olds, news)) continue;
            changes.push(
                replacement(property, olds, "moves to another place (migrating is not possible yet)"),
            );
        }
        for (const property of ["source", "adopt"] as const) {
            if (news[property] === undefined || isDeepStrictEqual(olds[property], news[property])) continue;
            if (hasUnknown(news[property])) continue;
            changes.push(replacement(property, olds, "counts at creation only"));
        }
        changes.push(...hostChange(olds, news));
        // What is not finished has no size or content yet that could change.
        if (olds.incomplete !== true && !(live !== undefined && isIncomplete(live.object)))
            changes.push(...sizeChange(olds, news), ...revertChange(olds, news));
        for (const property of ["wipe", "onDelete", "allow", "owner"] as const) {
            if (!isDeepStrictEqual(olds[property], news[property])) {
                changes.push(recorded(property));
            }
        }
        const { config } = context.hosts.get(olds.host);
        const classed = live === undefined ? changes : classify(config, live, changes);
        refuseUnlessAllowed(
            doing,
            classed,
            hasUnknown(news.allow) ? [] : (news.allow ?? []),
            hostName(olds.host),
        );
        const onHost = classed.some(
            ({ property, reason }) => ["size", "revertTo"].includes(property) && reason !== RECORDED,
        );
        if (live !== undefined && !hasUnknown(news)) {
            const host = context.hosts.get(olds.host);
            if (olds.generation === "")
                await host.preview(takingOver(context, olds, news).operation, context);
            else if (half.length === 0 && onHost)
                await host.preview(alteration(context, olds, news), context);
        }
        return classed;
    },

    preview(context, args, olds) {
        const { outputs, stable } = { outputs: volumeOutputs, stable: VOLUME_STABLE };
        return previewed(context, args, olds, { outputs, stable }, (host, facts) =>
            foreseen(usablePool(host.config, facts, args.pool), args, olds),
        );
    },

    async import(context, text, owner, given) {
        const { id, reference, host, facts } = await importPlace(context, text, "volume", given);
        const pool = usablePool(host.config, facts, id.container);
        const found = importedObject(pool, id.name, "volume");
        if (found === undefined) return undefined;
        const { object } = found;
        const { mark } = object;
        const adopt = found.adopt ?? mark?.extra["adopted"];
        const source = importedSource(pool, id, mark?.extra["source"]);
        const inputs = {
            host: reference,
            pool: id.container,
            name: id.name,
            size: exactSize(object.sizeBytes ?? 0),
            ...(adopt === undefined ? {} : { adopt }),
            ...(adopt !== undefined || source === undefined ? {} : { source }),
        };
        const by =
            mark === undefined
                ? ownerInput(owner)
                : importedOwner(mark, owner, `volume "${id.name}" in pool "${id.container}"`);
        const args = { ...inputs, owner: by };
        return { id: text, inputs, state: { ...args, ...observed(pool, object) } };
    },

    async create(context, args) {
        const host = context.hosts.get(args.host);
        const { operation, begun } = creation(context, args);
        return performCreation(context, host, operation, volumeId(args), (facts) =>
            incompleteState(context, facts, args, begun),
        );
    },

    async read(context, state) {
        const host = context.hosts.get(state.host);
        const facts = await host.facts(context);
        const pool = usablePool(host.config, facts, state.pool, state.poolId);
        const object = recordedObject(pool, state, "volume");
        if (object === undefined) return undefined;
        warnOfHealth(context, pool, object);
        return { id: volumeId(state), state: { ...withoutCondition(state), ...observed(pool, object) } };
    },

    async update(context, olds, news) {
        const host = context.hosts.get(news.host);
        if (olds.generation === "") {
            const { adopt, operation } = takingOver(context, olds, news);
            const state = await host.perform(operation, context);
            host.coming.delete(`${olds.pool}/${olds.name}`);
            return { ...state, ...(news.adopt === undefined ? {} : { adopt }) };
        }
        const facts = await host.facts(context);
        const found = facts.pools.get(olds.pool)?.objects.get(olds.name);
        const half = found?.mark?.generation === olds.generation ? completion("volume", found) : [];
        refuseUnlessAllowed(`update volume "${olds.name}"`, half, news.allow ?? [], hostName(news.host));
        const incomplete = olds.incomplete === true || (found !== undefined && isIncomplete(found));
        if (!incomplete) return host.perform(alteration(context, olds, news), context);
        const finished = await host.perform(
            creation(context, { ...news, owner: olds.owner }).operation,
            context,
        );
        return host.perform(alteration(context, finished, news), context, true);
    },

    async delete(context, state) {
        const host = context.hosts.get(state.host);
        if (host.config.decommissioned) return;
        const retain = state.onDelete === "retain";
        if (state.generation === "" && retain) return;
        if (state.generation === "") throw notTakenOver(`volume "${state.name}"`);
        await host.perform(
            {
                doing: `${retain ? "release" : "delete"} volume "${state.name}"`,
                effect: retain ? "change" : "delete",
                plan: (facts) => {
                    const pool = usablePool(host.config, facts, state.pool, state.poolId);
                    if (retain && isReleased(pool, state.name)) return NOTHING;
                    const object = ownedAs(
                        pool,
                        state.name,
                        [ownerOf(context, state.owner)],
                        state.generation,
                        "volume",
                    );
                    if (object?.mark === undefined) return NOTHING;
                    if (!retain) refuseDependants(facts, pool, object, `volume "${state.name}"`);
                    return planRemoval(facts, pool, object, retain ? undefined : wipeOf(state));
                },
                result: () => undefined,
            },
            context,
        );
    },
};

/** What a volume started with, as long as it is there: a program that says so shall find nothing to change. */
function importedSource(pool: UsablePool, id: Id, name: string | undefined): VolumeArgs["source"] {
    const kind = name === undefined ? undefined : pool.facts.objects.get(name)?.mark?.kind;
    if (name === undefined || (kind !== "volume" && kind !== "snapshot")) return undefined;
    return { [kind]: formatId({ ...id, name }) };
}

/** A pool may be given as the id of a `Pool`: `<host>/<name>`. */
function parsePoolId(pool: unknown): { host: string; name: string } | undefined {
    if (typeof pool !== "string") return undefined;
    const [host, name, ...rest] = pool.split("/");
    return host === undefined || name === undefined || rest.length > 0 ? undefined : { host, name };
}

function fillPool(inputs: Record<string, unknown>): Record<string, unknown> {
    const { host, pool } = inputs;
    if (pool === UNKNOWN) return host === undefined ? { ...inputs, host: UNKNOWN } : inputs;
    const id = parsePoolId(pool);
    return id === undefined ? inputs : { ...inputs, host: host ?? id.host, pool: id.name };
}

function foreignHostProblems({ host, pool }: Record<string, unknown>): Failure[] {
    return elsewhereProblems("pool", pool, host, undefined, parsePoolId(pool)?.host);
}

function hostProblemsOf(context: Context, host: unknown): Failure[] {
    if (host !== undefined) return hostReferenceProblems(context, host);
    return [{ property: "host", reason: "is missing: name a host in `blockhost:hosts`, or give one inline" }];
}

/** What an operation is going to make of the outputs. */
function foreseen(
    pool: UsablePool,
    args: VolumeArgs,
    olds: VolumeState | undefined,
): Partial<Record<string, unknown>> {
    const { revertTo } = args;
    const token = hasUnknown(revertTo) ? UNKNOWN : revertTo?.token;
    if (olds !== undefined) {
        const reverted = token !== undefined && token !== olds.revertedWith;
        const safetySnapshot = reverted ? `${olds.name}${SAFETY_SUFFIX}` : olds.safetySnapshot;
        return {
            sizeBytes: foreseenSize(pool, args) ?? olds.sizeBytes,
            revertedWith: token ?? olds.revertedWith,
            safetySnapshot,
            ...(olds.generation === "" ? { generation: UNKNOWN } : {}),
        };
    }
    const path = hasUnknown(args.name) ? undefined : pool.driver.pathOf?.(pool.ref, pool.facts, args.name);
    return {
        sizeBytes: foreseenSize(pool, args) ?? UNKNOWN,
        path: path ?? UNKNOWN,
        poolId: pool.facts.id === "new" ? UNKNOWN : pool.facts.id,
        revertedWith: token ?? "",
        safetySnapshot: "",
    };
}

function foreseenSize(pool: UsablePool, args: VolumeArgs): number | undefined {
    if (hasUnknown(args.size)) return undefined;
    if (args.size !== undefined) return wantedSize(pool, args);
    const from = args.source?.snapshot ?? args.source?.volume;
    const name =
        args.adopt !== undefined
            ? pool.driver.resolveReference(pool.ref, pool.facts, args.adopt)
            : from === undefined || hasUnknown(from)
              ? undefined
              : parseReference(from).name;
    return pool.facts.objects.get(name ?? "")?.sizeBytes;
}

/** What becomes of a volume that was imported without a mark: it is adopted under the name that it was imported by. */
function takingOver(context: Context, olds: VolumeState, news: VolumeArgs) {
    const adopt = news.adopt ?? olds.adopt ?? olds.name;
    return { adopt, operation: creation(context, { ...news, adopt }).operation };
}

/** The creation, and with which generation and in which pool it was last begun. */
function creation(
    context: Context,
    args: VolumeArgs,
): { operation: Operation<VolumeState>; begun: { generation: string; poolId: string } } {
    const generation = newGeneration();
    const owner = ownerOf(context, args.owner);
    const { config } = context.hosts.get(args.host);
    const begun = { generation, poolId: "" };
    const operation: Operation<VolumeState> = {
        doing: `create volume "${args.name}" in pool "${args.pool}"`,
        effect: "change",
        plan: (facts) => {
            const pool = usablePool(config, facts, args.pool);
            const existing = ownObject(pool, args, "volume", [owner]);
            const mark: Mark = {
                kind: "volume",
                owner,
                generation: existing?.mark?.generation ?? generation,
                phase: "ready",
                // A new volume has nothing to go back from: the token counts as used, and no later update runs it.
                extra: args.revertTo === undefined ? {} : { token: args.revertTo.token },
            };
            begun.generation = mark.generation;
            begun.poolId = pool.facts.id === "new" ? "" : pool.facts.id;
            const planContext: PlanContext = { pool: pool.ref, facts: pool.facts, host: facts };
            const leftMark = lostData(existing);
            if (leftMark !== undefined)
                return pool.driver.release(planContext, { name: args.name, mark: leftMark });
            if (args.adopt !== undefined) return planAdoption(planContext, pool, args, mark, existing);
            const from = sourceOf(config, pool, facts, args);
            const wanted = wantedSize(pool, args) ?? from?.object.sizeBytes ?? 0;
            if (from?.object.sizeBytes !== undefined && from.object.sizeBytes > wanted) {
                throw new BlockhostError(
                    "invalid",
                    `size ${formatSize(wanted)} is smaller than the source "${from.object.name}" (${formatSize(from.object.sizeBytes)})`,
                    {
                        property: "size",
                        hint: `give a \`size\` of at least ${String(from.object.sizeBytes)} bytes, or none`,
                    },
                );
            }
            return pool.driver.create(planContext, {
                name: args.name,
                mark,
                sizeBytes: wanted,
                ...(from === undefined ? {} : { from: { name: from.object.name, inUse: from.inUse } }),
            });
        },
        result: (facts) => stateOf(config, facts, args),
    };
    return { operation, begun };
}

/** What to record of a creation that failed half-way; `undefined`: nothing was made. */
function incompleteState(
    context: Context,
    facts: HostFacts | undefined,
    args: VolumeArgs,
    begun: { generation: string; poolId: string },
): VolumeState | undefined {
    const { config } = context.hosts.get(args.host);
    if (facts === undefined || facts.pools.get(args.pool)?.problem !== undefined) {
        const unknown = { sizeBytes: 0, path: "", revertedWith: "", safetySnapshot: "" };
        return { ...args, ...unknown, ...begun, incomplete: true };
    }
    const pool = usablePool(config, facts, args.pool);
    const object = pool.facts.objects.get(args.name);
    const ours = object?.mark !== undefined && sameOwner(object.mark.owner, ownerOf(context, args.owner));
    return ours ? { ...args, ...observed(pool, object) } : undefined;
}

function planAdoption(
    context: PlanContext,
    pool: UsablePool,
    args: VolumeArgs,
    mark: Mark,
    existing: ObjectFacts | undefined,
): Plan {
    const ready = existing?.mark?.phase === "ready";
    const found = ready
        ? existing.name
        : pool.driver.resolveReference(pool.ref, pool.facts, args.adopt ?? "");
    const actual = pool.facts.objects.get(found ?? "")?.sizeBytes ?? 0;
    const wanted = wantedSize(pool, args);
    if (wanted !== undefined && wanted < actual) {
        throw new BlockhostError(
            "invalid",
            `what is adopted has ${formatSize(actual)}, more than \`size\` (${formatSize(wanted)})`,
            {
                property: "size",
                hint: `leave \`size\` out, or give at least ${exactSize(actual)}; a volume never shrinks`,
            },
        );
    }
    if (!ready) {
        return pool.driver.adopt(context, { reference: args.adopt ?? "", name: args.name, mark });
    }
    if (wanted === undefined || wanted === actual || existing.mark === undefined) return NOTHING;
    return pool.driver.extend(context, { name: args.name, mark: existing.mark, sizeBytes: wanted });
}

/** Everything an update can do to a volume, one plan after the other until nothing is left. */
function alteration(context: Context, olds: VolumeState, news: VolumeArgs): Operation<VolumeState> {
    const { config } = context.hosts.get(news.host);
    const owners = [ownerOf(context, olds.owner), ownerOf(context, news.owner)];
    const doing = `update volume "${olds.name}"`;
    return {
        doing,
        effect: "change",
        plan: (facts) => {
            const pool = usablePool(config, facts, olds.pool, olds.poolId);
            const object = ownedAs(pool, olds.name, owners, olds.generation, "volume");
            if (object?.mark === undefined || object.sizeBytes === undefined) throw goneError(olds);
            const planContext: PlanContext = { pool: pool.ref, facts: pool.facts, host: facts };
            return firstOf(
                () => renaming(planContext, pool, object, ownerOf(context, news.owner)),
                () => reverting(planContext, pool, object, news, config),
                () => settling(planContext, pool, object),
                () => growing(planContext, pool, object, news, config),
                () => mending(planContext, pool, object),
                () => (hasClosed(facts, object) ? openExports(config, facts, object) : NOTHING),
            );
        },
        result: (facts) => stateOf(config, facts, news),
    };
}

function firstOf(...parts: readonly (() => Plan)[]): Plan {
    for (const part of parts) {
        const plan = part();
        if (!isEmpty(plan)) return plan;
    }
    return NOTHING;
}

function renaming(context: PlanContext, pool: UsablePool, object: ObjectFacts, owner: Owner): Plan {
    const { mark } = object;
    if (mark === undefined || sameOwner(mark.owner, owner)) return NOTHING;
    return pool.driver.remark(context, { name: object.name, from: mark, to: { ...mark, owner } });
}

function mending(context: PlanContext, pool: UsablePool, object: ObjectFacts): Plan {
    const { name, mark } = object;
    if (object.mendable !== true || mark === undefined) return NOTHING;
    return pool.driver.heal?.(context, { name, mark }) ?? NOTHING;
}

function growing(
    context: PlanContext,
    pool: UsablePool,
    object: ObjectFacts,
    news: VolumeArgs,
    config: HostConfig,
): Plan {
    const wanted = wantedSize(pool, news);
    const actual = object.sizeBytes ?? 0;
    if (wanted === undefined || wanted === actual || object.mark === undefined) return NOTHING;
    if (wanted < actual) throw shrinkError(actual, wanted);
    const change: Change = {
        property: "size",
        kind: "update",
        ...growthImpact(config, context.host, object),
    };
    refuseUnlessAllowed(`extend volume "${object.name}"`, [change], news.allow ?? [], config.name);
    const exports = reopenExports(config, context.host, object, wanted, false);
    const extend = pool.driver.extend(context, { name: object.name, mark: object.mark, sizeBytes: wanted });
    return joinPlans(exports.close, extend, exports.open);
}

/** A revert that was begun, and is not the one that is asked for. */
function settling(context: PlanContext, pool: UsablePool, object: ObjectFacts): Plan {
    const { name, mark } = object;
    if (mark?.phase !== "reverting") return NOTHING;
    return pool.driver.settleRevert(context, { name, mark });
}

function reverting(
    context: PlanContext,
    pool: UsablePool,
    object: ObjectFacts,
    news: VolumeArgs,
    config: HostConfig,
): Plan {
    const { mark } = object;
    if (news.revertTo === undefined || mark === undefined) return NOTHING;
    const { snapshot: id, token } = news.revertTo;
    if (mark.extra["token"] === token) return NOTHING;
    const snapshot = pool.facts.objects.get(parseReference(id).name);
    if (snapshot?.mark?.kind !== "snapshot" || snapshot.sizeBytes === undefined) {
        throw new BlockhostError("not-found", `there is no snapshot "${id}" to revert to`, {
            hint: "take `revertTo` off, or name a snapshot of this volume that exists",
        });
    }
    if (snapshot.mark.extra["origin"] !== object.name) {
        throw new BlockhostError(
            "invalid",
            `"${id}" is a snapshot of volume "${snapshot.mark.extra["origin"] ?? "?"}", not of this one`,
            {
                hint: "a volume can only be reverted to a snapshot of its own; to start from another's, create a volume with `source`",
            },
        );
    }
    const change: Change = {
        property: "revertTo",
        kind: "update",
        ...revertImpact(config, context.host, object),
    };
    refuseUnlessAllowed(`revert volume "${object.name}"`, [change], news.allow ?? [], config.name);
    const exports = reopenExports(config, context.host, object, object.sizeBytes ?? 0, true);
    const to: Mark = { ...mark, phase: "ready", extra: { ...mark.extra, token } };
    const revert = pool.driver.revert(context, { name: object.name, mark: to, snapshot: snapshot.name });
    return joinPlans(exports.close, revert, exports.open);
}

function sizeChange(olds: VolumeState, news: VolumeArgs): Change[] {
    if (news.size === undefined || hasUnknown(news.size)) return [];
    const wanted = parseSize(news.size).bytes ?? 0;
    const rounded = roundUp(wanted, olds.grainBytes ?? SECTOR);
    if (rounded === olds.sizeBytes) {
        return isDeepStrictEqual(olds.size, news.size)
            ? []
            : [{ property: "size", kind: "update", class: "none", reason: RECORDED }];
    }
    if (rounded < olds.sizeBytes)
        throw shrinkError(olds.sizeBytes, wanted).with({
            doing: `update volume "${olds.name}"`,
            host: hostName(olds.host),
        });
    return [{ property: "size", kind: "update", class: "none", reason: `grows to ${formatSize(rounded)}` }];
}

function revertChange(olds: VolumeState, news: VolumeArgs): Change[] {
    if (isDeepStrictEqual(olds.revertTo, news.revertTo)) return [];
    if (
        news.revertTo === undefined ||
        hasUnknown(news.revertTo) ||
        news.revertTo.token === olds.revertedWith
    ) {
        return [{ property: "revertTo", kind: "update", class: "none", reason: RECORDED }];
    }
    return [
        {
            property: "revertTo",
            kind: "update",
            class: "none",
            reason: `goes back to ${news.revertTo.snapshot}`,
        },
    ];
}

/** The class of a change depends on who uses the volume just now. */
function classify(
    config: HostConfig,
    { facts, object }: { facts: HostFacts; object: ObjectFacts },
    changes: readonly Change[],
): Change[] {
    return changes.map((change) => {
        if (change.kind === "replace" || change.reason === RECORDED) return change;
        if (change.property === "size") return { ...change, ...growthImpact(config, facts, object) };
        if (change.property === "revertTo") return { ...change, ...revertImpact(config, facts, object) };
        return change;
    });
}

type Impact = Pick<Change, "class" | "reason" | "wayOut">;

function growthImpact(config: HostConfig, facts: HostFacts, object: ObjectFacts): Impact {
    const cut = sessionsOn(config, facts, object, "growth");
    if (cut.length === 0) return { class: "none", reason: "grows; no initiator notices" };
    return {
        class: "offline",
        reason: `growing sets the export up anew while ${cut.join(", ")} uses it`,
        wayOut: "detach the volume from its clients first",
    };
}

function revertImpact(config: HostConfig, facts: HostFacts, object: ObjectFacts): Impact {
    const users = usersOf(config, facts, object);
    if (users.length === 0) return { class: "none", reason: "goes back to a snapshot; nobody uses it" };
    return {
        class: "offline",
        reason: `its content is exchanged while ${users.join(", ")} uses it`,
        wayOut: "detach the volume from its clients first",
    };
}

function replacement(property: string, olds: VolumeState, why: string): Change {
    if (olds.incomplete === true) {
        return { property, kind: "replace", class: "none", reason: `${why}; it was never finished` };
    }
    return {
        property,
        kind: "replace",
        class: "data-loss",
        reason: `${why}, so volume "${olds.name}" would be deleted with its data and made anew`,
        wayOut: `put \`${property}\` back, or declare a second volume and copy the data`,
    };
}

function shrinkError(actual: number, wanted: number): BlockhostError {
    return new BlockhostError(
        "invalid",
        `size: a volume never shrinks: it has ${formatSize(actual)}, and ${formatSize(wanted)} is asked for`,
        {
            properties: ["size"],
            hint: `set \`size\` to ${exactSize(actual)} or more; to get a smaller one, create a second volume and copy the data`,
        },
    );
}

function goneError(olds: VolumeState): BlockhostError {
    return new BlockhostError("not-found", `volume "${olds.name}" is no longer in pool "${olds.pool}"`, {
        hint: "somebody deleted it on the host; `pulumi refresh` takes it out of the state, and the next `pulumi up` makes a new, empty one",
    });
}

/** The source's facts, checked. */
function sourceOf(
    config: HostConfig,
    pool: UsablePool,
    facts: HostFacts,
    args: VolumeArgs,
): { object: ObjectFacts; inUse: boolean } | undefined {
    const id = args.source?.snapshot ?? args.source?.volume;
    if (id === undefined) return undefined;
    const kind = args.source?.snapshot === undefined ? "volume" : "snapshot";
    const object = pool.facts.objects.get(parseReference(id).name);
    if (object?.mark === undefined || object.sizeBytes === undefined) {
        throw new BlockhostError("not-found", `there is no ${kind} "${id}" to start from`, {
            property: `source.${kind}`,
            hint: "name one that exists on the same host and in the same pool",
        });
    }
    if (object.mark.kind !== kind) {
        throw new BlockhostError("invalid", `source "${id}" is a ${object.mark.kind}, not a ${kind}`, {
            property: `source.${kind}`,
            hint: `name a ${kind}`,
        });
    }
    refuseUnfinished(`source "${id}"`, object, `source.${kind}`);
    return { object, inUse: usersOf(config, facts, object).length > 0 };
}

function foreignPoolProblems(path: string, id: unknown, inputs: Record<string, unknown>): Failure[] {
    if (typeof id !== "string" || hasUnknown([id, inputs["host"], inputs["pool"]])) return [];
    const own = hostName(inputs["host"] as HostReference | undefined);
    const parsed = parseId(id);
    if (own === undefined || parsed === undefined) return [];
    const pool = `${own}/${String(inputs["pool"])}`;
    const wayOut = `name one in pool "${pool}"; copying between pools is not possible yet`;
    const elsewhere = elsewhereProblems(path, id, own, wayOut);
    if (elsewhere.length > 0 || parsed.container === inputs["pool"]) return elsewhere;
    const reason = `"${id}" is not in pool "${pool}"; copying between pools is not possible yet`;
    return [{ property: path, reason }];
}

function wantedSize(pool: UsablePool, args: VolumeArgs): number | undefined {
    if (args.size === undefined) return undefined;
    const { bytes, problem } = parseSize(args.size);
    if (bytes === undefined) throw new BlockhostError("invalid", `size: ${problem}`);
    return roundUp(bytes, pool.driver.grain(pool.ref, pool.facts));
}

function wipeOf(state: VolumeState): Wipe {
    const { method = "none", limit, ionice = "idle" } = state.wipe ?? {};
    return { method, limitBytes: limit === undefined ? 0 : (parseSize(limit).bytes ?? 0), ionice };
}

function stateOf(config: HostConfig, facts: HostFacts, args: VolumeArgs): VolumeState {
    const pool = usablePool(config, facts, args.pool);
    const object = pool.facts.objects.get(args.name);
    if (object === undefined)
        throw new BlockhostError("conflict", `volume "${args.name}" was not there when it was read back`);
    return { ...args, ...observed(pool, object) };
}

function observed(pool: UsablePool, object: ObjectFacts) {
    const safety = `${object.name}${SAFETY_SUFFIX}`;
    const grain = pool.driver.grain(pool.ref, pool.facts);
    return {
        sizeBytes: object.sizeBytes ?? 0,
        path: object.path,
        generation: object.mark?.generation ?? "",
        poolId: pool.facts.id,
        revertedWith: object.mark?.extra["token"] ?? "",
        safetySnapshot: pool.facts.objects.has(safety) ? safety : "",
        ...(grain === SECTOR ? {} : { grainBytes: grain }),
        ...conditionOf(object),
    };
}

function sameInput(property: "host" | "pool" | "name", olds: VolumeArgs, news: VolumeArgs): boolean {
    if (hasUnknown(news[property])) return true;
    if (property === "host") return hostName(olds.host) === hostName(news.host);
    return olds[property] === news[property];
}

function volumeId(args: VolumeArgs): string {
    return formatId({ host: hostName(args.host) ?? "", container: args.pool, name: args.name });
}
