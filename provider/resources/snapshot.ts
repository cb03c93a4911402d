import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import type { PlanContext } from "../drivers/types";
import { BlockhostError } from "../errors";
import type { HostConfig } from "../host/config";
import type { HostFacts, ObjectFacts } from "../host/facts";
import type { Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, sameOwner } from "../host/mark";
import { NOTHING } from "../host/plan";
import { formatId } from "../names";
import { UNKNOWN, distinct, hasUnknown, problemsOf } from "../validate";
import { COMPLETION, MENDING, recorded, refuseUnlessAllowed } from "./changes";
import {
    type OwnerInput,
    type UsablePool,
    allowSchema,
    elsewhereProblems,
    explainName,
    fillHost,
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
    redirected,
    usablePool,
} from "./common";
import { importPlace, importedObject, importedOwner } from "./imports";
import { previewed } from "./previews";
import { performCreation } from "./creation";
import { refuseDependants, usersOf } from "./dependants";
import {
    type Condition,
    completion,
    conditionOf,
    isReleased,
    liveObject,
    lostData,
    ownedAs,
    planRemoval,
    readObject,
    warnOfHealth,
    withoutCondition,
} from "./objects";
import type { Allowed, Change, Context, Lifecycle } from "./types";

export const snapshotArgs = z
    .strictObject({
        volume: idSchema("a volume", ["Volume"])
            .describe("The volume: a `Volume`, or its id.")
            .meta({ replaces: true }),
        host: hostReferenceSchema.optional().describe("Only where the volume's host is given inline."),
        name: nameSchema.optional(),
        adopt: z.string().min(1).optional().describe("Take over what exists in the pool under this name."),
        onDelete: onDeleteSchema,
        allow: allowSchema,
        owner: ownerSchema,
    })
    .describe("A point-in-time copy of a volume, in the same pool.");

export const snapshotOutputs = z.object({
    pool: z.string().describe("Pool of the volume."),
    ...objectOutputs,
});

export interface SnapshotArgs {
    readonly volume: string;
    readonly host: HostReference;
    readonly name: string;
    readonly adopt?: string;
    readonly onDelete?: "delete" | "retain";
    readonly allow?: readonly Allowed[];
    readonly owner: OwnerInput;
}

export interface SnapshotState extends SnapshotArgs, Condition {
    readonly pool: string;
    readonly sizeBytes: number;
    readonly path: string;
    readonly generation: string;
    readonly poolId: string;
}

const SNAPSHOT_STABLE = ["host", "volume", "pool", "name", "sizeBytes", "path", "generation", "poolId"];

export const snapshot: Lifecycle<SnapshotArgs, SnapshotState> = {
    kind: "Snapshot",
    args: snapshotArgs,
    outputs: snapshotOutputs,
    stable: SNAPSHOT_STABLE,
    secretOutputs: [],

    async check(context, olds, given) {
        const inputs = fillHost("volume", fillName(olds, given));
        const failures = distinct([
            ...explainName(given, problemsOf(snapshotArgs, inputs)),
            ...hostReferenceProblems(context, inputs["host"]),
            ...elsewhereProblems("volume", inputs["volume"], inputs["host"]),
        ]);
        if (failures.length > 0 || hasUnknown(inputs)) return { inputs, failures };
        const args = inputs as unknown as SnapshotArgs;
        failures.push(...nameClashes(context, args.host, parseReference(args.volume).container, inputs));
        failures.push(...poolProblems(context, args.host, parseReference(args.volume).container, args.name));
        if (failures.length > 0 || olds !== undefined) return { inputs, failures };
        const host = context.hosts.get(args.host);
        if (isComing(host, args.volume)) return { inputs, failures };
        const { operation } = creation(context, args);
        return { inputs, failures: await previewFailures(context, host, operation, "volume") };
    },

    async diff(context, olds, news) {
        const changes: Change[] = hostChange(olds, news);
        const live = await liveObject(context, context.hosts.get(olds.host), olds, "snapshot");
        const half = live === undefined ? [] : completion("snapshot", live.object);
        if (half.length > 0) changes.push(...half);
        else if (olds.incomplete === true) changes.push(COMPLETION);
        else if (olds.mendable === true) changes.push(MENDING);
        const { to, corrected } = redirected("volume", olds, news);
        changes.push(...corrected);
        const renamed = !hasUnknown(news.name) && olds.name !== news.name;
        for (const property of [...to, ...(renamed ? ["name"] : [])]) {
            changes.push({
                property,
                kind: "replace",
                class: olds.incomplete === true ? "none" : "data-loss",
                reason: `snapshot "${olds.name}" would be deleted and a new one taken of what the volume holds now`,
                wayOut: `put \`${property}\` back, or declare a second snapshot`,
            });
        }
        if (news.adopt !== undefined && news.adopt !== olds.adopt) {
            changes.push({
                property: "adopt",
                kind: "update",
                class: "none",
                reason: "counts at creation only",
            });
        }
        for (const property of ["onDelete", "allow", "owner"] as const) {
            if (!isDeepStrictEqual(olds[property], news[property])) {
                changes.push(recorded(property));
            }
        }
        const allow = hasUnknown(news.allow) ? [] : (news.allow ?? []);
        refuseUnlessAllowed(`update snapshot "${olds.name}"`, changes, allow, hostName(olds.host));
        return changes;
    },

    preview(context, args, olds) {
        const about = { outputs: snapshotOutputs, stable: SNAPSHOT_STABLE };
        return previewed(context, args, olds, about, (host, facts) => {
            if (olds !== undefined || hasUnknown(args.volume)) return {};
            const of = parseReference(args.volume);
            const pool = usablePool(host.config, facts, of.container);
            return {
                pool: of.container,
                sizeBytes: pool.facts.objects.get(of.name)?.sizeBytes ?? UNKNOWN,
                path: pool.driver.pathOf?.(pool.ref, pool.facts, args.name) ?? UNKNOWN,
                poolId: pool.facts.id === "new" ? UNKNOWN : pool.facts.id,
            };
        });
    },

    async import(context, text, owner, given) {
        const { id, reference, host, facts } = await importPlace(context, text, "snapshot", given);
        const pool = usablePool(host.config, facts, id.container);
        const object = importedObject(pool, id.name, "snapshot")?.object;
        if (object === undefined) return undefined;
        if (object.mark === undefined) {
            throw new BlockhostError("invalid", `"${id.name}" carries no owner mark`, {
                hint: "of which volume it is a snapshot only a person can tell: declare it with `volume` and `adopt`",
            });
        }
        const volume = formatId({ ...id, name: object.mark.extra["origin"] ?? "" });
        const adopt = object.mark.extra["adopted"];
        const inputs = {
            volume,
            host: reference,
            name: id.name,
            ...(adopt === undefined ? {} : { adopt }),
        };
        const by = importedOwner(object.mark, owner, `snapshot "${id.name}" in pool "${id.container}"`);
        const state = { ...inputs, owner: by, pool: id.container, ...observed(pool, object) };
        return { id: text, inputs, state };
    },

    async create(context, args) {
        const host = context.hosts.get(args.host);
        const { operation, begun } = creation(context, args);
        return performCreation(context, host, operation, snapshotId(args), (facts) =>
            incompleteState(context, facts, args, begun),
        );
    },

    async read(context, state) {
        const host = context.hosts.get(state.host);
        const facts = await host.facts(context);
        const pool = usablePool(host.config, facts, state.pool, state.poolId);
        const object = readObject(pool, state.name, state.generation, "snapshot");
        if (object === undefined) return undefined;
        warnOfHealth(context, pool, object);
        return { id: snapshotId(state), state: { ...withoutCondition(state), ...observed(pool, object) } };
    },

    async update(context, before, news) {
        const host = context.hosts.get(news.host);
        const facts = await host.facts(context);
        const found = facts.pools.get(before.pool)?.objects.get(before.name);
        const half = found?.mark?.generation === before.generation ? completion("snapshot", found) : [];
        refuseUnlessAllowed(`update snapshot "${before.name}"`, half, news.allow ?? [], hostName(news.host));
        const olds =
            before.incomplete === true || half.length > 0
                ? await host.perform(creation(context, { ...news, owner: before.owner }).operation, context)
                : before;
        const owners = [ownerOf(context, olds.owner), ownerOf(context, news.owner)];
        return host.perform(
            {
                doing: `update snapshot "${olds.name}"`,
                effect: "change",
                plan: (facts) => {
                    const pool = usablePool(host.config, facts, olds.pool, olds.poolId);
                    const object = ownedAs(pool, olds.name, owners, olds.generation, "snapshot");
                    const owner = ownerOf(context, news.owner);
                    const { mark } = object ?? {};
                    if (mark === undefined) {
                        throw new BlockhostError(
                            "not-found",
                            `snapshot "${olds.name}" is no longer in pool "${olds.pool}"`,
                            {
                                hint: "somebody deleted it on the host; `pulumi refresh` takes it out of the state",
                            },
                        );
                    }
                    const planContext: PlanContext = { pool: pool.ref, facts: pool.facts, host: facts };
                    if (sameOwner(mark.owner, owner)) {
                        if (object?.mendable !== true) return NOTHING;
                        return pool.driver.heal?.(planContext, { name: olds.name, mark }) ?? NOTHING;
                    }
                    return pool.driver.remark(planContext, {
                        name: olds.name,
                        from: mark,
                        to: { ...mark, owner },
                    });
                },
                result: (facts) => stateOf(host.config, facts, news),
            },
            context,
            olds !== before,
        );
    },

    async delete(context, state) {
        const host = context.hosts.get(state.host);
        if (host.config.decommissioned) return;
        const retain = state.onDelete === "retain";
        await host.perform(
            {
                doing: `${retain ? "release" : "delete"} snapshot "${state.name}"`,
                effect: retain ? "change" : "delete",
                plan: (facts) => {
                    const pool = usablePool(host.config, facts, state.pool, state.poolId);
                    if (retain && isReleased(pool, state.name)) return NOTHING;
                    const object = ownedAs(
                        pool,
                        state.name,
                        [ownerOf(context, state.owner)],
                        state.generation,
                        "snapshot",
                    );
                    if (object === undefined) return NOTHING;
                    if (!retain) refuseDependants(facts, pool, object, `snapshot "${state.name}"`);
                    return planRemoval(
                        facts,
                        pool,
                        object,
                        retain ? undefined : { method: "none", limitBytes: 0, ionice: "idle" },
                    );
                },
                result: () => undefined,
            },
            context,
        );
    },
};

/** The creation, and with which generation and in which pool it was last begun. */
function creation(
    context: Context,
    args: SnapshotArgs,
): { operation: Operation<SnapshotState>; begun: { generation: string; poolId: string } } {
    const { config } = context.hosts.get(args.host);
    const owner = ownerOf(context, args.owner);
    const generation = newGeneration();
    const of = parseReference(args.volume);
    const begun = { generation, poolId: "" };
    const operation: Operation<SnapshotState> = {
        doing: `create snapshot "${args.name}" of volume "${of.name}"`,
        effect: "change",
        plan: (facts) => {
            const pool = usablePool(config, facts, of.container);
            const existing = ownObject(pool, args, "snapshot", [owner]);
            const origin = pool.facts.objects.get(of.name);
            const ready = existing?.mark?.phase === "ready" && existing.sizeBytes !== undefined;
            if (!ready && (origin?.mark?.kind !== "volume" || origin.sizeBytes === undefined)) {
                throw new BlockhostError(
                    "not-found",
                    `there is no volume "${args.volume}" to take a snapshot of`,
                    {
                        property: "volume",
                        hint: "name a volume that blockhost made or adopted on the same host",
                    },
                );
            }
            const mark: Mark = {
                kind: "snapshot",
                owner,
                generation: existing?.mark?.generation ?? generation,
                phase: "ready",
                extra: { origin: of.name, origingen: origin?.mark?.generation ?? "" },
            };
            begun.generation = mark.generation;
            begun.poolId = pool.facts.id;
            const planContext: PlanContext = { pool: pool.ref, facts: pool.facts, host: facts };
            const leftMark = lostData(existing);
            if (leftMark !== undefined)
                return pool.driver.release(planContext, { name: args.name, mark: leftMark });
            if (args.adopt !== undefined) {
                return ready
                    ? NOTHING
                    : pool.driver.adopt(planContext, { reference: args.adopt, name: args.name, mark });
            }
            if (ready) {
                if (existing.mark?.extra["origin"] === of.name) return NOTHING;
                throw new BlockhostError(
                    "exists",
                    `snapshot "${args.name}" already exists, of volume "${existing.mark?.extra["origin"] ?? "?"}"`,
                    {
                        hint: "give the snapshot another `name`",
                    },
                );
            }
            const inUse = origin !== undefined && usersOf(config, facts, origin).length > 0;
            return pool.driver.snapshot(planContext, { name: args.name, mark, volume: of.name, inUse });
        },
        result: (facts) => stateOf(config, facts, args),
    };
    return { operation, begun };
}

/** What to record of a creation that failed half-way; `undefined`: nothing was made. */
function incompleteState(
    context: Context,
    facts: HostFacts | undefined,
    args: SnapshotArgs,
    begun: { generation: string; poolId: string },
): SnapshotState | undefined {
    const { config } = context.hosts.get(args.host);
    const { container } = parseReference(args.volume);
    if (facts === undefined || facts.pools.get(container)?.problem !== undefined) {
        return { ...args, pool: container, sizeBytes: 0, path: "", ...begun, incomplete: true };
    }
    const pool = usablePool(config, facts, container);
    const object = pool.facts.objects.get(args.name);
    const ours = object?.mark !== undefined && sameOwner(object.mark.owner, ownerOf(context, args.owner));
    return ours ? { ...args, pool: container, ...observed(pool, object) } : undefined;
}

function stateOf(config: HostConfig, facts: HostFacts, args: SnapshotArgs): SnapshotState {
    const { container } = parseReference(args.volume);
    const pool = usablePool(config, facts, container);
    const object = pool.facts.objects.get(args.name);
    if (object === undefined)
        throw new BlockhostError("conflict", `snapshot "${args.name}" was not there when it was read back`);
    return { ...args, pool: container, ...observed(pool, object) };
}

function observed(pool: UsablePool, object: ObjectFacts) {
    return {
        sizeBytes: object.sizeBytes ?? 0,
        path: object.path,
        generation: object.mark?.generation ?? "",
        poolId: pool.facts.id,
        ...conditionOf(object),
    };
}

function snapshotId({ host, volume, name }: SnapshotArgs): string {
    return formatId({ host: hostName(host) ?? "", container: parseReference(volume).container, name });
}
