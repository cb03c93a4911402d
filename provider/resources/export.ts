import { isDeepStrictEqual } from "node:util";
import { ConstantBackoff, handleWhenResult, retry } from "cockatiel";
import * as z from "zod";
import { BlockhostError, toBlockhostError } from "../errors";
import type { ConfiguredTarget, HostConfig } from "../host/config";
import { GENERATION_DIGITS } from "../host/epoch";
import type { HostFacts, ObjectFacts } from "../host/facts";
import type { Host, Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, sameOwner } from "../host/mark";
import { NOTHING, isEmpty } from "../host/plan";
import { HOST_TOOLS } from "../host/observation";
import { formatId } from "../names";
import { Secret } from "../sh";
import type {
    ConnectionProperties,
    ExportFacts,
    ExportWanted,
    Initiator,
    Protocol,
    Session,
    TargetContext,
    TargetFacts,
} from "../targets/types";
import { refuseUnreadable } from "../targets/boot";
import { attachable } from "../targets/attachable";
import { differencesOf } from "../targets/bootUnit";
import { CHAP_SECRET_MAX_LENGTH, CHAP_USERNAME, CHAP_USERNAME_RULE, chapProblems } from "../targets/chap";
import { dhchapKeyProblem } from "../targets/dhchap";
import { foretold } from "../targets/foretold";
import { iscsiNameProblem } from "../targets/iqn";
import { nqnProblem } from "../targets/nqn";
import { type Failure, UNKNOWN, distinct, hasUnknown, problemsOf } from "../validate";
import { recorded, refuseUnlessAllowed } from "./changes";
import { importPlace, importedOwner } from "./imports";
import { previewed } from "./previews";
import { performCreation } from "./creation";
import { departed } from "./departed";
import {
    type OwnerInput,
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
    ownerOf,
    ownerSchema,
    parseReference,
    previewFailures,
    redirected,
    refuseStranger,
    requireTools,
    resourceOf,
    usablePool,
    warnUnasked,
} from "./common";
import { refuseUnfinished } from "./objects";
import type { Allowed, Change, Context, Lifecycle } from "./types";

const chapSchema = z
    .strictObject({
        username: z.string().regex(CHAP_USERNAME, CHAP_USERNAME_RULE).describe("User name."),
        password: z.string().describe("Secret; 12 bytes at least.").meta({ secret: true }),
    })
    .meta({ id: "Chap", description: "CHAP credentials." });

const dhchapKey = z.string().superRefine((value, context) => {
    const problem = value === UNKNOWN ? undefined : dhchapKeyProblem(value);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

const dhchapSchema = z
    .strictObject({
        key: dhchapKey
            .describe("Secret; what the host has to prove: `DHHC-1:…:`, from `nvme gen-dhchap-key`.")
            .meta({ secret: true }),
        controllerKey: dhchapKey
            .optional()
            .describe("Secret; what the controller proves to the host (bidirectional).")
            .meta({ secret: true }),
    })
    .meta({ id: "Dhchap", description: "Keys of NVMe in-band authentication." });

const initiatorSchema = z
    .strictObject({
        iqn: z.string().optional().describe("iSCSI qualified name of the initiator."),
        nqn: z.string().optional().describe("NVMe qualified name of the host, for `nvme-tcp`."),
        chap: chapSchema.optional().describe("What the initiator has to prove to be let in."),
        mutualChap: chapSchema.optional().describe("What the target proves to the initiator (mutual CHAP)."),
        dhchap: dhchapSchema.optional().describe("NVMe in-band authentication, for `nvme-tcp`."),
    })
    .meta({ id: "Initiator", description: "An initiator that may log in." });

export const exportArgs = z
    .strictObject({
        source: idSchema("a volume or snapshot", ["Volume", "Snapshot"])
            .describe("What is exported: a `Volume` or `Snapshot`, or its id.")
            .meta({ replaces: true }),
        protocol: z
            .enum(["iscsi", "nvme-tcp"])
            .meta({
                id: "Protocol",
                description: "How initiators reach an export.",
                values: { iscsi: "iSCSI.", "nvme-tcp": "NVMe over TCP." },
            })
            .describe("How initiators reach it.")
            .meta({ replaces: true }),
        host: hostReferenceSchema
            .optional()
            .describe(
                "Only where the host is given inline; or, where several hosts serve the protocol, to have all told in the preview of an export of what is only going to be made.",
            ),
        name: nameSchema.optional(),
        initiators: z.array(initiatorSchema).describe("Who may log in."),
        addresses: z
            .array(z.string())
            .optional()
            .describe(
                "Addresses or networks from which anybody may log in; with tgt only, in place of `initiators`.",
            ),
        portals: z.array(z.string()).optional().describe("Which of the host's portals; default: all."),
        readOnly: z.boolean().optional().describe("Initiators cannot write. Always so for snapshots."),
        discard: z
            .boolean()
            .optional()
            .describe("Offer discard (UNMAP). Default true, false where read-only."),
        allow: allowSchema,
        owner: ownerSchema,
    })
    .describe("A volume or snapshot made reachable for initiators.");

export const connectionSchema = z
    .object({
        driver_volume_type: z.string().describe("`iscsi` or `nvmeof`."),
        data: z.record(z.string(), z.unknown()).describe("What a connector needs to attach it."),
    })
    .meta({ id: "Connection", description: "What attaches an export, in os-brick's form." });

export const exportOutputs = z.object({
    targetName: z.string().describe("IQN or NQN of the target."),
    serial: z.string().describe("Serial number of the unit."),
    devicePath: z.string().describe("Path on the host that is exported."),
    generation: z
        .string()
        .describe("New for each creation; proves the export on the host to be the one in the state."),
    drift: z
        .array(z.string())
        .describe(
            "In what the live export differed from what is declared when last read; the next update heals it.",
        ),
    poolId: z.string().describe("Identity of the pool of its source."),
    connection: connectionSchema.describe("Connection properties in os-brick's form; secret."),
});

interface ChapInput {
    readonly username: string;
    readonly password: string;
}

interface DhchapInput {
    readonly key: string;
    readonly controllerKey?: string;
}

export interface ExportArgs {
    readonly source: string;
    readonly protocol: Protocol;
    readonly host: HostReference;
    readonly name: string;
    readonly initiators: readonly {
        readonly iqn?: string;
        readonly nqn?: string;
        readonly chap?: ChapInput;
        readonly mutualChap?: ChapInput;
        readonly dhchap?: DhchapInput;
    }[];
    readonly addresses?: readonly string[];
    readonly portals?: readonly string[];
    readonly readOnly?: boolean;
    readonly discard?: boolean;
    readonly allow?: readonly Allowed[];
    readonly owner: OwnerInput;
}

export interface ExportState extends ExportArgs {
    /** IQN or NQN of the target. */
    readonly targetName: string;
    readonly serial: string;
    readonly devicePath: string;
    readonly generation: string;
    /** Identity of the pool of its source. */
    readonly poolId: string;
    /** In what the live export differs from what is declared, found by a refresh; healed by the next update. */
    readonly drift: readonly string[];
    readonly connection: ConnectionProperties;
}

const EXPORT_STABLE = ["host", "source", "protocol", "name", "targetName", "serial", "generation"];
/** Inputs that make a difference to connection properties. */
const CONNECTING = ["initiators", "portals", "readOnly", "discard"] as const;

export const exportLifecycle: Lifecycle<ExportArgs, ExportState> = {
    kind: "Export",
    args: exportArgs,
    outputs: exportOutputs,
    stable: EXPORT_STABLE,
    secretOutputs: ["connection", "initiators"],

    async check(context, olds, given) {
        const inputs = fillServer(context, olds, fillHost("source", fillName(olds, given)));
        const hostFailures = hostReferenceProblems(context, inputs["host"]);
        const failures = [
            ...explainName(given, problemsOf(exportArgs, inputs)),
            ...hostFailures,
            ...elsewhereProblems("source", inputs["source"], inputs["host"]),
        ];
        if (hostFailures.length === 0) failures.push(...targetProblems(context, inputs));
        if (failures.length > 0) return { inputs, failures: distinct(failures) };
        failures.push(...nameClashes(context, inputs["host"], String(inputs["protocol"]), inputs));
        failures.push(...disagreements(context, inputs));
        if (failures.length > 0 || olds !== undefined) return { inputs, failures };
        const declared = { ...inputs, source: hasUnknown(inputs["source"]) ? "" : inputs["source"] };
        // Without a `host` of its own, an export is where its source is.
        if (hasUnknown(declared) || inputs["host"] === undefined) return { inputs, failures };
        const args = declared as unknown as ExportArgs;
        const host = context.hosts.get(args.host);
        const operation =
            args.source === "" || isComing(host, args.source)
                ? ensuringUnmade(context, args)
                : ensuring(context, args, { generation: newGeneration() });
        failures.push(...(await previewFailures(context, host, operation)));
        return { inputs, failures };
    },

    async diff(context, olds, news) {
        const changes: Change[] = hostChange(olds, news);
        const host = context.hosts.get(olds.host);
        const doing = `update export "${olds.name}"`;
        const live = await liveFacts(context, olds);
        const { to, corrected } = redirected("source", olds, news);
        changes.push(...corrected);
        const others = (["protocol", "name"] as const).filter(
            (property) => !hasUnknown(news[property]) && olds[property] !== news[property],
        );
        for (const property of [...to, ...others]) {
            const sessions = live?.sessions.length ?? 0;
            changes.push({
                property,
                kind: "replace",
                class: sessions > 0 ? "session-drop" : "none",
                reason: `the export is removed and made anew${sessions > 0 ? `, with ${String(sessions)} session(s) logged in` : ""}`,
                wayOut: "log the initiators out first",
            });
        }
        for (const property of ["initiators", "addresses", "portals", "readOnly", "discard"] as const) {
            if (isDeepStrictEqual(olds[property], news[property])) continue;
            changes.push({ property, kind: "update", class: "none", reason: "is changed in place" });
        }
        for (const property of ["allow", "owner"] as const) {
            if (isDeepStrictEqual(olds[property], news[property])) continue;
            changes.push(recorded(property));
        }
        const replaced = changes.some(({ kind }) => kind === "replace");
        if (replaced) host.epochEnds = true;
        if (!replaced && !hasUnknown(news)) changes.push(...(await impact(context, olds, news, changes)));
        const allow = hasUnknown(news.allow) ? [] : (news.allow ?? []);
        refuseUnlessAllowed(doing, changes, allow, host.config.name);
        return changes;
    },

    preview(context, args, olds) {
        const about = { outputs: exportOutputs, stable: EXPORT_STABLE };
        return previewed(context, args, olds, about, (host, facts) => {
            if (olds !== undefined) {
                const same = CONNECTING.every(
                    (key) => JSON.stringify(olds[key]) === JSON.stringify(args[key]),
                );
                return { drift: [], connection: same ? olds.connection : UNKNOWN };
            }
            // The rest of the generation is drawn by whoever makes it, and with it the serial number.
            const targetName = foreseenTarget(host, facts, args);
            if (hasUnknown(args.source)) return { drift: [], targetName };
            const { container, name } = parseReference(args.source);
            const object = facts.pools.get(container)?.objects.get(name);
            const poolId = facts.pools.get(container)?.id ?? "";
            return {
                drift: [],
                targetName,
                devicePath: object?.path ?? UNKNOWN,
                poolId: poolId === "" || poolId === "new" ? UNKNOWN : poolId,
            };
        });
    },

    async import(context, text, owner, given) {
        const { id, reference, host, facts } = await importPlace(context, text, "export", given);
        const protocol = id.container as Protocol;
        const { target, found } = usableTarget(host.config, facts, protocol, {});
        const one = found.exports.get(id.name);
        if (one === undefined) return undefined;
        const by = importedOwner(one.mark, owner, `export "${id.container}/${id.name}"`);
        const { args, secrets } = declaredArgs(target, facts, one, id.host);
        const inputs = { ...args, protocol, host: reference, name: id.name };
        const state = { ...inputs, owner: by };
        if (secrets) {
            context.warn(
                `export "${id.name}": passwords cannot be read back. Give each in the program before the next update, which will then find nothing else to change`,
            );
        }
        return {
            id: text,
            inputs,
            state: { ...state, ...observed(target, found, state, one), poolId: poolIdOf(facts, state) },
        };
    },

    async create(context, args) {
        const host = context.hosts.get(args.host);
        const begun = { generation: newGeneration() };
        const operation = ensuring(context, args, begun);
        return performCreation(context, host, operation, exportId(args), (facts) =>
            incompleteState(context, facts, args, begun.generation),
        );
    },

    async read(context, state) {
        const host = context.hosts.get(state.host);
        const facts = await host.facts(context);
        const { target, found } = withOrphan(
            context,
            facts,
            usableTarget(host.config, facts, state.protocol, { evenIfDown: true }),
            state,
        );
        const one = found.exports.get(state.name);
        if (one === undefined) {
            // Without an answer it may well be served still.
            if (found.problem !== undefined) throw problemError(host.config, found);
            refuseUnreadable(found, state.name, host.config.stateDirectory);
            return undefined;
        }
        if (one.mark.generation !== state.generation) return undefined;
        return { id: exportId(state), state: { ...state, ...observed(target, found, state, one) } };
    },

    async update(context, olds, news) {
        const host = context.hosts.get(news.host);
        return host.perform(ensuring(context, news, { generation: olds.generation }, olds), context);
    },

    async delete(context, state) {
        const host = context.hosts.get(state.host);
        if (host.config.decommissioned) return;
        const hasGone = await whoHasGone(context, host, state);
        await host.perform(
            {
                doing: `delete export "${state.name}"`,
                effect: "delete",
                plan: (facts) => {
                    const { target, found } = withOrphan(
                        context,
                        facts,
                        usableTarget(host.config, facts, state.protocol, {}),
                        state,
                    );
                    const one = ownExport(
                        found,
                        state.name,
                        [ownerOf(context, state.owner)],
                        state.generation,
                    );
                    if (one === undefined) {
                        refuseUnreadable(found, state.name, host.config.stateDirectory);
                        return NOTHING;
                    }
                    const nobody = one.sessions.every(hasGone);
                    if (!nobody) {
                        const who = initiatorsOf(one.sessions);
                        const change: Change = {
                            property: "initiators",
                            kind: "update",
                            class: "session-drop",
                            reason: `${who} is logged in`,
                            wayOut: "log it out first",
                        };
                        try {
                            refuseUnlessAllowed(
                                `delete export "${state.name}"`,
                                [change],
                                state.allow ?? [],
                                host.config.name,
                            );
                        } catch (error) {
                            if (!(error instanceof BlockhostError)) throw error;
                            const hint = `${error.details.hint ?? ""}, run \`pulumi up\`, and then delete: a delete is told only what the state holds`;
                            throw new BlockhostError(error.code, error.summary, { ...error.details, hint });
                        }
                    }
                    // That nobody is connected is then a condition of the removal.
                    const exports = nobody
                        ? new Map(found.exports).set(state.name, { ...one, sessions: [] })
                        : found.exports;
                    const targetContext = { target: target.ref, facts: { ...found, exports }, host: facts };
                    return target.target.remove(targetContext, { name: state.name, mark: one.mark });
                },
                result: () => undefined,
            },
            context,
        );
    },
};

/**
 * Of what is only going to be made, the host is not known yet, unless only one serves the protocol; or it is where it was.
 * It may be a host that is given inline, where there is any.
 */
function fillServer(
    context: Context,
    olds: Partial<ExportArgs> | undefined,
    inputs: Record<string, unknown>,
): Record<string, unknown> {
    if (inputs["host"] !== undefined || inputs["source"] !== UNKNOWN) return inputs;
    if (olds?.host !== undefined) return { ...inputs, host: olds.host };
    if (context.hosts.anyInline) return inputs;
    const serving = context.hosts.serving(inputs["protocol"] as Protocol);
    return serving.length === 1 ? { ...inputs, host: serving[0] } : inputs;
}

/** The inputs that an export on the host comes to; a password is not among what can be read. */
function declaredArgs(
    { target, ref }: ConfiguredTarget,
    facts: HostFacts,
    one: ExportFacts,
    host: string,
): { args: Pick<ExportArgs, "source" | "initiators">; secrets: boolean } {
    const source = [...facts.pools].flatMap(([container, pool]) =>
        [...pool.objects.values()]
            .filter((object) => object.path === one.devicePath && object.mark !== undefined)
            .map((object) => ({ id: formatId({ host, container, name: object.name }), object })),
    )[0];
    if (source === undefined || target.declaration === undefined) {
        throw new BlockhostError(
            "invalid",
            `export "${one.name}" cannot be imported: what it exports is not ours`,
            {
                hint: `it exports ${one.devicePath}`,
            },
        );
    }
    const told = target.declaration(ref, one);
    const named = target.protocol === "iscsi" ? "iqn" : "nqn";
    const readOnly = isSnapshot(source.object);
    const args = {
        source: source.id,
        initiators: told.initiators.map(({ name, chap, mutualChap, dhchap }) => ({
            ...(dhchap === true ? { dhchap: {} as DhchapInput } : {}),
            [named]: name,
            ...(chap === undefined ? {} : { chap: { username: chap } as ChapInput }),
            ...(mutualChap === undefined ? {} : { mutualChap: { username: mutualChap } as ChapInput }),
        })),
        ...(told.addresses.length === 0 ? {} : { addresses: told.addresses }),
        ...(told.portals.length === 0 ? {} : { portals: told.portals }),
        ...(told.readOnly && !readOnly ? { readOnly: true } : {}),
        ...(told.discard === !told.readOnly ? {} : { discard: told.discard }),
    };
    const secrets = told.initiators.some(
        ({ chap, mutualChap, dhchap }) => chap !== undefined || mutualChap !== undefined || dhchap === true,
    );
    return { args, secrets };
}

/** Initiators whose passwords are not known, as they are right after an import. */
function withoutChap({ initiators }: Pick<ExportArgs, "initiators">): ExportArgs["initiators"] {
    return initiators.map(({ chap, mutualChap, dhchap, ...rest }) => ({
        ...rest,
        ...(dhchap?.key === undefined ? {} : { dhchap }),
        ...(chap?.password === undefined ? {} : { chap }),
        ...(mutualChap?.password === undefined ? {} : { mutualChap }),
    }));
}

/**
 * Create, finish, change, heal: all the same to an export.
 *
 * @param begun Its generation; that of a new one begins as the facts foretell it.
 */
function ensuring(
    context: Context,
    args: ExportArgs,
    begun: { generation: string },
    olds?: ExportState,
): Operation<ExportState> {
    const { config } = context.hosts.get(args.host);
    const owner = ownerOf(context, args.owner);
    const drawn = begun.generation;
    let expected: string | undefined;
    return {
        doing: olds === undefined ? `create export "${args.name}"` : `update export "${args.name}"`,
        effect: "change",
        plan: (facts) => {
            const usable = usableTarget(config, facts, args.protocol, {});
            const { target, found } =
                olds === undefined
                    ? usable
                    : withOrphan(context, facts, usable, { ...olds, owner: args.owner });
            const owners = olds === undefined ? [owner] : [owner, ownerOf(context, olds.owner)];
            const one = ownExport(found, args.name, owners, olds?.generation);
            const targetContext = { target: target.ref, facts: found, host: facts };
            if (one !== undefined && !sameOwner(one.mark.owner, owner)) {
                return target.target.remark(targetContext, {
                    name: args.name,
                    from: one.mark,
                    to: { ...one.mark, owner },
                });
            }
            // A host under the same name at another address is not where this export is.
            const poolId = olds?.source === args.source ? olds.poolId : undefined;
            if (olds === undefined) {
                const beginning = foretold(facts, target.ref, args.name);
                expected ??= beginning ?? "";
                // What a preview has told holds no more; the drawn one is new in any case.
                const holds = beginning === expected && one === undefined;
                begun.generation = holds ? beginning + drawn.slice(GENERATION_DIGITS) : drawn;
            }
            const wanted = wantedFrom(config, facts, args, one, owner, begun.generation, poolId);
            begun.generation = wanted.mark.generation;
            refuseCuts(config, target, targetContext, wanted, args);
            return target.target.ensure(targetContext, wanted);
        },
        result: (facts) => {
            const { target, found } = usableTarget(config, facts, args.protocol, {});
            const one = found.exports.get(args.name);
            if (one === undefined)
                throw new BlockhostError(
                    "conflict",
                    `export "${args.name}" was not there when it was read back`,
                );
            return { ...args, ...observed(target, found, args, one), poolId: poolIdOf(facts, args) };
        },
    };
}

/** For previews, of an export of what is only going to be made: all but its device can be held against the host. */
function ensuringUnmade(context: Context, args: ExportArgs): Operation<void> {
    const { config } = context.hosts.get(args.host);
    const owner = ownerOf(context, args.owner);
    return {
        doing: `create export "${args.name}"`,
        effect: "change",
        plan: (facts) => {
            const { target, found } = usableTarget(config, facts, args.protocol, {});
            if (ownExport(found, args.name, [owner]) !== undefined) return NOTHING;
            const mark = markOf(owner, newGeneration());
            const wanted = wantedFor(args, mark, `/dev/blockhost-not-made-yet/${args.name}`, 0, false);
            return target.target.ensure({ target: target.ref, facts: found, host: facts }, wanted);
        },
        result: () => undefined,
    };
}

/**
 * In a preview: the name of the target that a creation would make. One that is there under this name has to go before, which
 * makes it another.
 */
function foreseenTarget(host: Host, facts: HostFacts, args: ExportArgs): string {
    const { target, found } = usableTarget(host.config, facts, args.protocol, { evenIfDown: true });
    if (hasUnknown(args.name) || host.epochEnds || found.exports.has(args.name)) return UNKNOWN;
    const generation = foretold(facts, target.ref, args.name);
    return generation === undefined ? UNKNOWN : target.target.targetName(target.ref, args.name, generation);
}

/** What an export that is there adds to what is declared. */
function observed(target: ConfiguredTarget, found: TargetFacts, args: ExportArgs, one: ExportFacts) {
    const wanted = wantedFor(args, one.mark, one.devicePath, 0, false);
    return {
        targetName: one.targetName,
        serial: one.serial,
        devicePath: one.devicePath,
        generation: one.mark.generation,
        drift: found.problem === undefined ? differencesOf(found, one) : [found.problem.summary],
        connection: attachable(target.target.connection(target.ref, wanted, one), wanted, one),
    };
}

/** What to record of a creation that failed half-way; `undefined`: nothing was made. */
function incompleteState(
    context: Context,
    facts: HostFacts | undefined,
    args: ExportArgs,
    generation: string,
): ExportState | undefined {
    if (facts === undefined) {
        const unknown = { targetName: "", serial: "", devicePath: "", poolId: "", drift: ["missing"] };
        const type = args.protocol === "iscsi" ? "iscsi" : "nvmeof";
        return { ...args, ...unknown, generation, connection: { driver_volume_type: type, data: {} } };
    }
    const { config } = context.hosts.get(args.host);
    const { target, found } = usableTarget(config, facts, args.protocol, { evenIfDown: true });
    const one = found.exports.get(args.name);
    if (one === undefined || !sameOwner(one.mark.owner, ownerOf(context, args.owner))) return undefined;
    return { ...args, ...observed(target, found, args, one), poolId: poolIdOf(facts, args) };
}

/** Empty where it cannot be told. */
function poolIdOf(facts: HostFacts, { source }: ExportArgs): string {
    return facts.pools.get(parseReference(source).container)?.id ?? "";
}

/** What else an update would do: sessions it cuts, and drift it heals. Facts decide, where they can be had. */
async function impact(
    context: Context,
    olds: ExportState,
    news: ExportArgs,
    known: readonly Change[],
): Promise<Change[]> {
    const host = context.hosts.get(olds.host);
    let facts: HostFacts;
    try {
        facts = await host.facts(context);
    } catch (error) {
        warnUnasked(context, error, `it could not be told whether export "${olds.name}" is as declared`);
        return [];
    }
    try {
        const usable = usableTarget(host.config, facts, olds.protocol, {});
        const { target, found } = withOrphan(context, facts, usable, olds);
        const one = found.exports.get(olds.name);
        const owner = ownerOf(context, news.owner);
        const poolId = olds.source === news.source ? olds.poolId : undefined;
        const wanted = wantedFrom(host.config, facts, news, one, owner, olds.generation, poolId);
        const targetContext = { target: target.ref, facts: found, host: facts };
        const cut = target.target.cuts(targetContext, wanted);
        if (cut !== undefined) {
            const who = initiatorsOf(cut.sessions);
            const property = known[0]?.property ?? "initiators";
            return [
                {
                    property,
                    kind: "update",
                    class: "session-drop",
                    reason: `${cut.reason}: ${who}`,
                    wayOut: "log it out first",
                },
            ];
        }
        if (known.length > 0 || isEmpty(target.target.ensure(targetContext, wanted))) return [];
        const what = one === undefined ? "missing" : one.differences.join(", ") || "not as declared";
        return [
            { property: "drift", kind: "update", class: "none", reason: `the export on the host is ${what}` },
        ];
    } catch (error) {
        if (!(error instanceof BlockhostError) || known.length > 0) throw error;
        // Nothing was asked for: what is wrong with the host is a warning, not a reason to stop the program.
        context.warn(error.message);
        return [{ property: "drift", kind: "update", class: "none", reason: error.summary }];
    }
}

async function liveFacts(context: Context, olds: ExportState): Promise<ExportFacts | undefined> {
    try {
        const host = context.hosts.get(olds.host);
        const facts = await host.facts(context);
        const usable = usableTarget(host.config, facts, olds.protocol, { evenIfDown: true });
        return withOrphan(context, facts, usable, olds).found.exports.get(olds.name);
    } catch {
        return undefined;
    }
}

/** A kernel still shows a session a moment after it has answered its logout. */
const LET_GO = retry(
    handleWhenResult((nobody) => nobody === false),
    { maxAttempts: 4, backoff: new ConstantBackoff(500) },
);

/** Whoever was logged in when the host was observed may have been detached by this very run. */
async function whoHasGone(
    context: Context,
    host: Host,
    state: ExportState,
): Promise<(session: Session) => boolean> {
    let hasGone: (session: Session) => boolean = () => false;
    const before = await liveFacts(context, state);
    if (before === undefined || before.sessions.length === 0) return hasGone;
    await LET_GO.execute(async () => {
        // What is wrong with the host is told by what is done next.
        await host.look(context).catch(() => undefined);
        const now = await liveFacts(context, state);
        if (now === undefined) return true;
        hasGone = await departed(context, state.protocol, now);
        const waiting = context.signal?.aborted !== true && state.allow?.includes("session-drop") !== true;
        return !waiting || now.sessions.every(hasGone);
    });
    return hasGone;
}

function refuseCuts(
    config: HostConfig,
    { target }: ConfiguredTarget,
    context: TargetContext,
    wanted: ExportWanted,
    args: ExportArgs,
) {
    const cut = target.cuts(context, wanted);
    if (cut === undefined) return;
    const who = initiatorsOf(cut.sessions);
    const change: Change = {
        property: "initiators",
        kind: "update",
        class: "session-drop",
        reason: `${cut.reason}: ${who}`,
        wayOut: "log it out first",
    };
    refuseUnlessAllowed(`update export "${args.name}"`, [change], args.allow ?? [], config.name);
}

/**
 * Problems that need no facts: protocol not served, and all that the helper cannot carry out; without a host (of what is
 * only going to be made it is not known yet) what no helper of the protocol can.
 */
function targetProblems(context: Context, inputs: Record<string, unknown>): Failure[] {
    const protocol = inputs["protocol"] as Protocol;
    if (!exportArgs.shape.protocol.safeParse(protocol).success) return [];
    const args = wellFormed(inputs);
    if (hasUnknown(inputs["host"]) || inputs["host"] === undefined) {
        if (args === undefined) return [];
        return [...initiatorProblems(protocol, args), ...commonProblems(protocol, args)];
    }
    let config: HostConfig;
    try {
        config = context.hosts.get(inputs["host"] as HostReference).config;
    } catch (error) {
        return [{ property: "host", reason: toBlockhostError(error).message }];
    }
    const configured = config.targets.get(protocol);
    if (configured === undefined) {
        const known = [...config.targets.keys()];
        const has = known.length === 0 ? "no targets" : `only ${known.join(", ")}`;
        return [
            {
                property: "protocol",
                reason: `host "${config.name}" does not serve ${protocol}: it has ${has} (\`targets\` of its configuration)`,
            },
        ];
    }
    if (args === undefined) return [];
    const lacking = initiatorProblems(protocol, args);
    const check = (read: ExportArgs | undefined) => {
        if (read === undefined) return [];
        const mark = markOf(ownerOf(context, read.owner), "0000000000000000");
        return configured.target.check(configured.ref, wantedFor(read, mark, "/", 0, false));
    };
    // What is not known yet may turn out to be there, or not: what is wrong in either case is told.
    const others = check(wellFormed(inputs, true)).map(({ path, reason }) => `${path} ${reason}`);
    const more = check(args)
        .filter(({ path, reason }) => others.includes(`${path} ${reason}`))
        .map(({ path, reason }) => ({ property: path, reason }))
        .filter(({ property }) => !lacking.some((one) => one.property === property));
    return [...lacking, ...more];
}

/** Where exports of the program give what they have to give alike, each another. */
function disagreements(context: Context, inputs: Record<string, unknown>): Failure[] {
    const args = wellFormed(inputs, true);
    if (args === undefined || hasUnknown([inputs["host"], args.owner]) || inputs["host"] === undefined)
        return [];
    const host = context.hosts.get(inputs["host"] as HostReference);
    const target = host.config.targets.get(args.protocol)?.target;
    const mark = markOf(ownerOf(context, args.owner), "0000000000000000");
    // Of whom not all is known nothing can be told.
    const initiators = args.initiators.map((one) => (hasUnknown(one) ? UNKNOWN_ENTRY : one));
    const agreed = target?.agreed?.(wantedFor({ ...args, initiators }, mark, "/", 0, false)) ?? [];
    return agreed.flatMap(({ path, to, value, reason }) => {
        const other = host.agree(`${args.protocol}/${to}`, value, resourceOf(args.owner));
        return other === undefined
            ? []
            : [{ property: path, reason: `${other} of this program gives ${to} another value: ${reason}` }];
    });
}

function nameOf(protocol: Protocol): "iqn" | "nqn" {
    return protocol === "iscsi" ? "iqn" : "nqn";
}

/** Initiators that lack what the protocol needs, or have what it does not know. */
function initiatorProblems(protocol: Protocol, { initiators }: ExportArgs): Failure[] {
    const named = nameOf(protocol);
    const strange: Partial<Record<keyof ExportArgs["initiators"][number], string>> =
        protocol === "iscsi"
            ? { nqn: "`iqn`", dhchap: "`chap` and `mutualChap`" }
            : { iqn: "`nqn`", chap: "`dhchap`", mutualChap: "`dhchap`" };
    return initiators.flatMap((initiator, i) => {
        const at = `initiators[${String(i)}]`;
        const failures: Failure[] = Object.entries(strange)
            .filter(([property]) => property in initiator && initiator[property as "iqn"] !== UNKNOWN)
            .map(([property, other]) => ({
                property: `${at}.${property}`,
                reason: `is not for ${protocol}: use ${other}`,
            }));
        if (initiator[named] === undefined)
            failures.unshift({ property: `${at}.${named}`, reason: `is missing: ${protocol} needs it` });
        return failures;
    });
}

/** What no helper of the protocol accepts. */
function commonProblems(protocol: Protocol, args: ExportArgs): Failure[] {
    const named = nameOf(protocol);
    const problemOf = protocol === "iscsi" ? iscsiNameProblem : nqnProblem;
    const problems = withoutChap(args).flatMap(({ [named]: name, chap, mutualChap }, i) => {
        const at = `initiators[${String(i)}]`;
        const reason = name === undefined || name === UNKNOWN ? undefined : problemOf(name);
        return [
            ...(reason === undefined ? [] : [{ path: `${at}.${named}`, reason }]),
            ...(chap === undefined
                ? []
                : chapProblems(secretChap(chap), `${at}.chap`, CHAP_SECRET_MAX_LENGTH)),
            ...(mutualChap === undefined
                ? []
                : chapProblems(secretChap(mutualChap), `${at}.mutualChap`, CHAP_SECRET_MAX_LENGTH)),
        ];
    });
    return problems.map(({ path, reason }) => ({ property: path, reason }));
}

/** What stands for an initiator of whom nothing is known. */
const UNKNOWN_ENTRY = { iqn: UNKNOWN, nqn: UNKNOWN };

/**
 * The inputs without what is not of the right kind in them, so that the rest can be checked as well.
 *
 * @param there what is not known at all is taken to be there, or the opposite of the default; else to be left out
 */
function wellFormed(inputs: Record<string, unknown>, there = false): ExportArgs | undefined {
    const { shape } = exportArgs;
    const kept = Object.fromEntries(
        Object.entries(inputs).filter(([key, value]) => {
            const known = (shape as Record<string, z.ZodType>)[key];
            return key === "initiators" || known?.safeParse(value).success === true;
        }),
    );
    const unknown = {
        initiators: [UNKNOWN],
        addresses: [UNKNOWN],
        portals: [UNKNOWN],
        readOnly: true,
        discard: false,
    };
    for (const [key, value] of Object.entries(unknown))
        if (inputs[key] === UNKNOWN) kept[key] = there ? value : undefined;
    const initiators = inputs["initiators"] === UNKNOWN ? (kept["initiators"] ?? []) : inputs["initiators"];
    if (!Array.isArray(initiators) || kept["owner"] === undefined) return undefined;
    const clean = initiators.map((one: unknown) => {
        if (typeof one !== "object" && one !== UNKNOWN) return {};
        const { iqn, nqn, chap, mutualChap, dhchap } = (
            one === UNKNOWN ? { ...UNKNOWN_ENTRY, chap: UNKNOWN, mutualChap: UNKNOWN } : (one ?? {})
        ) as Record<string, unknown>;
        const pair = { username: UNKNOWN, password: UNKNOWN };
        const left = (value: unknown) => value === undefined || (value === UNKNOWN && !there);
        return {
            ...(typeof iqn === "string" ? { iqn } : {}),
            ...(typeof nqn === "string" ? { nqn } : {}),
            ...(left(chap) ? {} : { chap: withTexts(pair, chap) }),
            ...(left(mutualChap) ? {} : { mutualChap: withTexts(pair, mutualChap) }),
            ...(left(dhchap) ? {} : { dhchap: withTexts({ key: UNKNOWN }, dhchap) }),
        };
    });
    return { name: "", ...kept, initiators: clean } as unknown as ExportArgs;
}

/** What there is of credentials, the rest not known: that they are declared counts where they are incomplete, too. */
function withTexts(unknown: Readonly<Record<string, string>>, given: unknown): Record<string, string> {
    if (typeof given !== "object" || given === null) return { ...unknown };
    const texts = Object.entries(given).filter(([, value]) => typeof value === "string");
    return { ...unknown, ...(Object.fromEntries(texts) as Record<string, string>) };
}

function wantedFrom(
    config: HostConfig,
    facts: HostFacts,
    args: ExportArgs,
    one: ExportFacts | undefined,
    owner: Owner,
    generation: string,
    poolId?: string,
): ExportWanted {
    const { container, name } = parseReference(args.source);
    const pool = usablePool(config, facts, container, poolId);
    const object = pool.facts.objects.get(name);
    if (object?.mark === undefined || object.sizeBytes === undefined) {
        throw new BlockhostError("not-found", `there is no volume or snapshot "${args.source}" to export`, {
            property: "source",
            hint: "name one that blockhost made or adopted on the same host; after it was deleted on the host, `pulumi refresh` first",
        });
    }
    refuseUnfinished(`"${args.source}"`, object, "source");
    const mark = one?.mark ?? markOf(owner, generation);
    return {
        ...wantedFor(args, mark, object.path, object.sizeBytes, isSnapshot(object)),
        activation: object.activation,
    };
}

function markOf(owner: Owner, generation: string): Mark {
    return { kind: "export", owner, generation, phase: "ready", extra: {} };
}

function wantedFor(
    args: ExportArgs,
    mark: Mark,
    devicePath: string,
    sizeBytes: number,
    snapshot: boolean,
): ExportWanted {
    const readOnly = snapshot || (args.readOnly ?? false);
    return {
        name: args.name,
        mark,
        devicePath,
        sizeBytes,
        readOnly,
        initiators: withoutChap(args).map((initiator): Initiator => ({
            name: initiator[nameOf(args.protocol)] ?? "",
            ...(initiator.chap === undefined ? {} : { chap: secretChap(initiator.chap) }),
            ...(initiator.mutualChap === undefined ? {} : { mutualChap: secretChap(initiator.mutualChap) }),
            ...(initiator.dhchap === undefined ? {} : { dhchap: secretKeys(initiator.dhchap) }),
        })),
        addresses: args.addresses ?? [],
        portals: args.portals ?? [],
        discard: args.discard ?? !readOnly,
    };
}

function secretKeys({ key, controllerKey }: DhchapInput) {
    return {
        key: new Secret(key),
        ...(controllerKey === undefined ? {} : { controllerKey: new Secret(controllerKey) }),
    };
}

function secretChap(chap: ChapInput) {
    return { username: chap.username, password: new Secret(chap.password) };
}

function isSnapshot(object: ObjectFacts): boolean {
    return object.mark?.kind === "snapshot" || object.mark?.kind === "safety";
}

function usableTarget(
    config: HostConfig,
    facts: HostFacts,
    protocol: Protocol,
    { evenIfDown = false }: { evenIfDown?: boolean },
): { target: ConfiguredTarget; found: TargetFacts } {
    const target = config.targets.get(protocol);
    const found = facts.targets.get(protocol);
    if (target === undefined || found === undefined) {
        throw new BlockhostError("invalid", `the host's configuration has no target for ${protocol}`, {
            host: config.name,
            hint: "put it back under `targets` there",
        });
    }
    if (evenIfDown) return { target, found };
    requireTools(config, facts, { ...HOST_TOOLS, ...target.target.tools });
    if (found.problem !== undefined) throw problemError(config, found);
    return { target, found };
}

/**
 * The same facts, with the export in the state where only its boot file is gone: else it would count as gone, and stay
 * behind as a target that nobody owns.
 */
function withOrphan(
    context: Context,
    facts: HostFacts,
    { target, found }: { target: ConfiguredTarget; found: TargetFacts },
    state: ExportState,
): { target: ConfiguredTarget; found: TargetFacts } {
    if (target.target.orphan === undefined || found.problem !== undefined || found.exports.has(state.name))
        return { target, found };
    const owner = ownerOf(context, state.owner);
    const { generation } = state;
    const mark: Mark = { kind: "export", owner, generation, phase: "ready", extra: {} };
    const { container, name } = parseReference(state.source);
    const object = facts.pools.get(container)?.objects.get(name);
    const snapshot = object !== undefined && isSnapshot(object);
    const want = wantedFor(state, mark, state.devicePath, object?.sizeBytes ?? 0, snapshot);
    const targetContext = { target: target.ref, facts: found, host: facts };
    const one = target.target.orphan(targetContext, want, state.targetName);
    if (one === undefined) return { target, found };
    return { target, found: { ...found, exports: new Map(found.exports).set(state.name, one) } };
}

function problemError(config: HostConfig, found: TargetFacts): BlockhostError {
    return new BlockhostError("not-found", found.problem?.summary ?? "the target cannot be used", {
        host: config.name,
        hint: found.problem?.hint,
    });
}

/**
 * The export of a name, if it is ours.
 *
 * @throws BlockhostError `not-ours`
 */
function ownExport(
    found: TargetFacts,
    name: string,
    owners: readonly Owner[],
    generation?: string,
): ExportFacts | undefined {
    const one = found.exports.get(name);
    if (one === undefined) return undefined;
    refuseStranger(`export "${name}"`, one.mark, owners);
    if (generation !== undefined && one.mark.generation !== generation) {
        throw new BlockhostError(
            "not-ours",
            `export "${name}" was made at another time than the one in the state`,
            {
                hint: "it stays untouched; `pulumi refresh` brings the state up to date",
            },
        );
    }
    return one;
}

function exportId(args: ExportArgs): string {
    return formatId({ host: hostName(args.host) ?? "", container: args.protocol, name: args.name });
}

/** Each once: it may be logged in more than once. */
function initiatorsOf(sessions: readonly Session[]): string {
    return [...new Set(sessions.map(({ initiator }) => initiator))].join(", ");
}
