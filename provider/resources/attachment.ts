import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { connectionProblems, readConnection } from "../clients/connection";
import {
    devicePath,
    devicesOf,
    differences,
    leadElsewhere,
    pathlessMap,
    pathsOf,
    sizeSeen,
} from "../clients/faults";
import { attach, declare, detach, refuseTwins, remark } from "../clients/plan";
import type {
    AttachmentFacts,
    AttachmentWanted,
    ClientContext,
    ClientFacts,
    Multipath,
} from "../clients/types";
import { BlockhostError, toBlockhostError } from "../errors";
import type { HostConfig } from "../host/config";
import type { HostFacts } from "../host/facts";
import type { Operation } from "../host/host";
import type { HostReference } from "../host/hosts";
import { type Mark, type Owner, sameOwner } from "../host/mark";
import { NOTHING, isEmpty } from "../host/plan";
import { HOST_TOOLS } from "../host/observation";
import { ATTACHMENTS, formatId } from "../names";
import { parseSize } from "../size";
import type { ConnectionProperties } from "../targets/types";
import { UNKNOWN, distinct, hasUnknown, problemsOf } from "../validate";
import { recorded, refuseUnlessAllowed } from "./changes";
import {
    type OwnerInput,
    allowSchema,
    explainName,
    fillName,
    hostChange,
    hostName,
    hostReferenceProblems,
    hostReferenceSchema,
    isUnasked,
    nameClashes,
    nameSchema,
    newGeneration,
    ownerOf,
    ownerSchema,
    previewFailures,
    refuseStranger,
    requireTools,
    sizeSchema,
    warnUnasked,
} from "./common";
import { performCreation } from "./creation";
import { connectionSchema } from "./export";
import { previewed } from "./previews";
import type { Allowed, Change, Context, Lifecycle } from "./types";

export const attachmentArgs = z
    .strictObject({
        host: hostReferenceSchema,
        name: nameSchema.optional(),
        connection: connectionSchema
            .describe("What is attached: an export's `connection`.")
            .meta({ secret: true }),
        sizeBytes: sizeSchema
            .optional()
            .describe(
                "Least size that the device must show: a volume's `sizeBytes`. A device that shows less is read again, so a volume that grows is seen by its client in the same run.",
            ),
        multipath: z
            .enum(["none", "prefer", "require"])
            .meta({
                id: "MultipathUse",
                description: "Whether all portals are logged in to, as paths of one device.",
                values: {
                    none: "One portal only.",
                    prefer: "Where the client can join paths.",
                    require: "It fails where the client cannot.",
                },
            })
            .optional()
            .describe(
                "Whether all portals are logged in to, as paths of one device: `none` (one portal only), `prefer` (where the client can join paths), `require` (or it fails). Default `prefer`.",
            ),
        force: z
            .boolean()
            .optional()
            .describe(
                "Detach although what was written cannot be brought to the storage host any more: it is lost. Default false.",
            ),
        ignoreErrors: z
            .boolean()
            .optional()
            .describe("Detach although some of it cannot be cleared away on the client. Default false."),
        allow: allowSchema,
        owner: ownerSchema,
    })
    .describe("An export attached on a client host: a block device there.");

export const attachmentOutputs = z.object({
    devicePath: z
        .string()
        .describe(
            "Path of the device on the client, the same as long as the export lives: below /dev/disk/by-id.",
        ),
    deviceBytes: z.number().describe("Size in bytes that the client sees."),
    initiator: z.string().describe("Name that the client has for targets: IQN or NQN."),
    paths: z
        .array(
            z
                .object({
                    portal: z.string().describe("Address and port of the target."),
                    state: z.string().describe("State of the session, as the client's kernel says it."),
                })
                .meta({ id: "Path", description: "A session with a target, over one of its portals." }),
        )
        .describe("Sessions with the target."),
    multipathed: z.boolean().describe("The device joins all paths."),
    targetName: z.string().describe("IQN or NQN of the target."),
    generation: z
        .string()
        .describe("New for each attachment; proves the one on the client to be the one in the state."),
    drift: z
        .array(z.string())
        .describe("In what it differed from what is declared when last read; the next update heals it."),
});

export interface AttachmentArgs {
    readonly host: HostReference;
    readonly name: string;
    readonly connection: ConnectionProperties;
    readonly sizeBytes?: string | number;
    readonly multipath?: Multipath;
    readonly force?: boolean;
    readonly ignoreErrors?: boolean;
    readonly allow?: readonly Allowed[];
    readonly owner: OwnerInput;
}

export interface AttachmentState extends AttachmentArgs {
    /** Empty: there is no device. */
    readonly devicePath: string;
    readonly deviceBytes: number;
    readonly initiator: string;
    readonly paths: readonly { readonly portal: string; readonly state: string }[];
    readonly multipathed: boolean;
    readonly targetName: string;
    readonly generation: string;
    readonly drift: readonly string[];
}

const STABLE = ["host", "name", "initiator", "targetName", "generation"];

export const attachment: Lifecycle<AttachmentArgs, AttachmentState> = {
    kind: "Attachment",
    args: attachmentArgs,
    outputs: attachmentOutputs,
    stable: STABLE,
    secretOutputs: ["connection"],

    async check(context, olds, given) {
        const inputs = fillName(olds, given);
        const failures = [
            ...explainName(given, problemsOf(attachmentArgs, inputs)),
            ...hostReferenceProblems(context, inputs["host"]),
        ];
        const { connection } = inputs;
        if (!hasUnknown(connection) && attachmentArgs.shape.connection.safeParse(connection).success) {
            const problems = connectionProblems(connection as ConnectionProperties);
            for (const { path, reason } of problems)
                failures.push({ property: `connection.${path}`, reason });
        }
        if (failures.length > 0) return { inputs, failures: distinct(failures) };
        failures.push(...nameClashes(context, inputs["host"], ATTACHMENTS, inputs));
        if (failures.length > 0 || olds !== undefined || hasUnknown(inputs)) return { inputs, failures };
        const args = inputs as unknown as AttachmentArgs;
        const host = context.hosts.get(args.host);
        const operation = ensuring(context, args, newGeneration());
        return { inputs, failures: await previewFailures(context, host, operation) };
    },

    async diff(context, olds, news) {
        const changes: Change[] = hostChange(olds, news);
        const replace = (property: string, reason: string) => {
            const wayOut = "unmount it and stop what uses it first";
            changes.push({ property, kind: "replace", class: "none", reason, wayOut });
        };
        if (!hasUnknown(news.host) && hostName(olds.host) !== hostName(news.host))
            replace("host", "is attached to another client");
        if (!hasUnknown(news.name) && olds.name !== news.name) replace("name", "is attached anew");
        if (!hasUnknown(news.connection) && !isDeepStrictEqual(olds.connection, news.connection)) {
            if (sameDevice(olds.connection, news.connection))
                changes.push({
                    property: "connection",
                    kind: "update",
                    class: "none",
                    ...inPlace(olds, news.connection),
                });
            else replace("connection", "is another device: the one there is detached, and that one attached");
        }
        for (const property of ["sizeBytes", "multipath"] as const) {
            if (hasUnknown(news[property]) || isDeepStrictEqual(olds[property], news[property])) continue;
            changes.push({ property, kind: "update", class: "none", reason: "is changed in place" });
        }
        for (const property of ["force", "ignoreErrors", "allow", "owner"] as const) {
            if (isDeepStrictEqual(olds[property], news[property])) continue;
            changes.push(recorded(property));
        }
        const replaced = changes.some(({ kind }) => kind === "replace");
        if (!replaced && !hasUnknown(news)) changes.push(...(await impact(context, olds, news, changes)));
        const allow = hasUnknown(news.allow) ? [] : (news.allow ?? []);
        refuseUnlessAllowed(`update attachment "${olds.name}"`, changes, allow, hostName(olds.host));
        return changes;
    },

    preview(context, args, olds) {
        return previewed(
            context,
            args,
            olds,
            { outputs: attachmentOutputs, stable: STABLE },
            (_host, facts) => {
                if (hasUnknown(args.connection) || facts.client === undefined) return { drift: [] };
                const same = olds !== undefined && isDeepStrictEqual(olds.connection, args.connection);
                if (same && olds.sizeBytes === args.sizeBytes && olds.multipath === args.multipath)
                    return { drift: [] };
                const { declared } = declare(facts.client, wantedFrom(context, args, ""), undefined);
                return {
                    drift: [],
                    initiator: declared.initiator,
                    targetName: declared.target,
                    ...(olds === undefined
                        ? {}
                        : {
                              deviceBytes: UNKNOWN,
                              paths: UNKNOWN,
                              devicePath: UNKNOWN,
                              multipathed: UNKNOWN,
                          }),
                };
            },
        );
    },

    async create(context, args) {
        const host = context.hosts.get(args.host);
        const generation = newGeneration();
        return performCreation(
            context,
            host,
            ensuring(context, args, generation),
            attachmentId(args),
            (facts) => {
                if (facts === undefined)
                    return {
                        ...args,
                        devicePath: "",
                        deviceBytes: 0,
                        initiator: "",
                        paths: [],
                        multipathed: false,
                        targetName: readConnection(args.connection).target,
                        generation,
                        drift: ["half-made"],
                    };
                const one = clientOf(host.config, facts).facts.attachments.get(args.name);
                if (one === undefined || !sameOwner(one.mark.owner, ownerOf(context, args.owner)))
                    return undefined;
                return stateOf(clientOf(host.config, facts).facts, args, one);
            },
        );
    },

    async read(context, state) {
        const host = context.hosts.get(state.host);
        const facts = await host.facts(context);
        const client = clientOf(host.config, facts);
        refuseUnreadable(client.facts, state.name);
        const one = client.facts.attachments.get(state.name) ?? orphan(context, client.facts, state);
        if (one === undefined || one.mark.generation !== state.generation) return undefined;
        return { id: attachmentId(state), state: stateOf(client.facts, state, one) };
    },

    async update(context, olds, news) {
        return context.hosts.get(news.host).perform(ensuring(context, news, olds.generation, olds), context);
    },

    async delete(context, state) {
        const host = context.hosts.get(state.host);
        if (host.config.decommissioned) return;
        const owner = ownerOf(context, state.owner);
        // What `ignoreErrors` has left would else be taken for an attachment whose boot file is gone.
        let taken: AttachmentFacts | undefined;
        await host.perform(
            {
                doing: `delete attachment "${state.name}"`,
                effect: "delete",
                plan: (facts) => {
                    const client = clientOf(host.config, facts);
                    refuseUnreadable(client.facts, state.name);
                    const one = client.facts.attachments.get(state.name);
                    if (state.ignoreErrors === true && one === undefined && taken !== undefined)
                        return NOTHING;
                    taken = one;
                    if (one !== undefined) refuseOthers(one, state.name, [owner], state.generation);
                    const mark = markOf(owner, state.generation);
                    const want = {
                        name: state.name,
                        mark,
                        devicePath: state.devicePath,
                        inUse: state.allow?.includes("session-drop") === true,
                        force: state.force === true,
                        ignoreErrors: state.ignoreErrors === true,
                    };
                    const found = orphan(context, client.facts, state);
                    const gone = found !== undefined && leadElsewhere(client.facts, found.declared);
                    return detach(client, want, gone ? undefined : found);
                },
                result: (facts) => {
                    if (taken === undefined) return;
                    const left = leavings(clientOf(host.config, facts).facts, taken.declared);
                    if (left.length === 0) return;
                    context.warn(
                        `attachment "${state.name}" is deleted, but on ${host.config.name} there stay ${left.join(", ")}: \`ignoreErrors\` has passed over that`,
                    );
                },
            },
            context,
        );
    },
};

/** What there still is of an attachment, in words. */
function leavings(facts: ClientFacts, declared: AttachmentFacts["declared"]): string[] {
    return [
        ...devicesOf(facts, declared).map(({ block }) => `the device /dev/${block}`),
        ...pathsOf(facts, declared).map(
            ({ id, portal }) =>
                `the ${declared.protocol === "iscsi" ? "session" : "controller"} ${id} with ${portal}`,
        ),
    ];
}

/** Attach, finish, change, heal: all the same to an attachment. */
function ensuring(
    context: Context,
    args: AttachmentArgs,
    generation: string,
    olds?: AttachmentState,
): Operation<AttachmentState> {
    const { config } = context.hosts.get(args.host);
    const owner = ownerOf(context, args.owner);
    return {
        doing: `${olds === undefined ? "create" : "update"} attachment "${args.name}"`,
        effect: "change",
        plan: (facts) => {
            const client = clientOf(config, facts);
            requireTools(config, facts, HOST_TOOLS);
            const one = client.facts.attachments.get(args.name);
            const owners = olds === undefined ? [owner] : [owner, ownerOf(context, olds.owner)];
            if (one !== undefined) refuseOthers(one, args.name, owners, olds?.generation);
            if (one !== undefined && !sameOwner(one.mark.owner, owner))
                return remark(client, args.name, one.mark, { ...one.mark, owner });
            const want = wantedFrom(context, args, one?.mark.generation ?? generation);
            if (one === undefined) {
                const others = context.hosts.knownBeside(config.name, facts).flatMap((other) => {
                    const { client: theirs } = other.facts;
                    return theirs === undefined ? [] : [{ name: other.name, client: theirs }];
                });
                refuseTwins(client.facts, want.connection.protocol, config.name, others);
            }
            return attach(
                client,
                want,
                olds === undefined
                    ? undefined
                    : orphan(context, client.facts, { ...olds, owner: args.owner }),
            );
        },
        result: (facts) => {
            const client = clientOf(config, facts);
            const one = client.facts.attachments.get(args.name);
            if (one === undefined)
                throw new BlockhostError(
                    "conflict",
                    `attachment "${args.name}" was not there when it was read back`,
                );
            return stateOf(client.facts, args, one);
        },
    };
}

function wantedFrom(context: Context, args: AttachmentArgs, generation: string): AttachmentWanted {
    const sizeBytes = args.sizeBytes === undefined ? undefined : parseSize(args.sizeBytes).bytes;
    return {
        name: args.name,
        mark: markOf(ownerOf(context, args.owner), generation),
        connection: readConnection(args.connection),
        multipath: args.multipath ?? "prefer",
        inUse: args.allow?.includes("session-drop") === true,
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
    };
}

function markOf(owner: Owner, generation: string): Mark {
    return { kind: "attachment", owner, generation, phase: "ready", extra: {} };
}

/** Inputs, and what is found on the client; of a former state only where the device was. */
function stateOf(facts: ClientFacts, args: AttachmentArgs, one: AttachmentFacts): AttachmentState {
    const { declared } = one;
    const inputs = Object.fromEntries(
        Object.entries(args).filter(([key]) => key in attachmentArgs.shape),
    ) as unknown as AttachmentArgs;
    const size = sizeSeen(facts, declared) ?? 0;
    const least = args.sizeBytes === undefined ? 0 : (parseSize(args.sizeBytes).bytes ?? 0);
    const drift = differences(facts, one);
    const device = devicesOf(facts, declared)[0];
    const former = "devicePath" in args ? String(args.devicePath) : "";
    return {
        ...inputs,
        // A device that has lost all its sessions is there still: whoever has it open waits for them.
        devicePath: devicePath(facts, declared) ?? (pathlessMap(facts, former) === undefined ? "" : former),
        deviceBytes: size,
        initiator: declared.initiator,
        paths: pathsOf(facts, declared).map(({ portal, state }) => ({ portal, state })),
        multipathed: declared.protocol === "iscsi" ? device?.map !== undefined : declared.paths === "all",
        targetName: declared.target,
        generation: one.mark.generation,
        drift: [
            ...(one.orphaned === true ? ["boot file: missing"] : []),
            ...drift,
            ...(device !== undefined && size < least
                ? [`size: ${String(size)} bytes, not ${String(least)}`]
                : []),
        ],
    };
}

/** What an update would heal. A client that cannot be reached is a warning: nothing was asked for yet. */
async function impact(
    context: Context,
    olds: AttachmentState,
    news: AttachmentArgs,
    known: readonly Change[],
): Promise<Change[]> {
    if (known.length > 0) return [];
    const host = context.hosts.get(olds.host);
    const drift = (reason: string): Change[] => [
        { property: "drift", kind: "update", class: "none", reason },
    ];
    try {
        const facts = await host.facts(context);
        const client = clientOf(host.config, facts);
        if (isEmpty(ensuring(context, news, olds.generation, olds).plan(facts))) return [];
        const one = client.facts.attachments.get(olds.name);
        const found = one === undefined ? ["missing"] : stateOf(client.facts, news, one).drift;
        return drift(
            `the attachment on the client is not as declared: ${found.join(", ") || "another form"}`,
        );
    } catch (error) {
        const failure = toBlockhostError(error);
        warnUnasked(
            context,
            failure,
            `it could not be told whether attachment "${olds.name}" is as declared`,
        );
        return isUnasked(failure) ? [] : drift(failure.summary);
    }
}

/**
 * An attachment whose boot file is gone while the client is still connected: recognised by the target's name, which is
 * another one for each making of an export.
 */
function orphan(context: Context, facts: ClientFacts, state: AttachmentState): AttachmentFacts | undefined {
    if (facts.attachments.has(state.name)) return undefined;
    const want = wantedFrom(context, state, state.generation);
    const { declared, auth } = declare(facts, want, undefined);
    if (pathsOf(facts, declared).length === 0) return undefined;
    const taken = [...facts.attachments.values()].some((one) => one.declared.target === declared.target);
    return taken
        ? undefined
        : { name: state.name, mark: want.mark, declared, applied: true, auth, orphaned: true };
}

/** What a change of portals or credentials does. Where no path stays, the client connects anew: see plan.ts. */
function inPlace(olds: AttachmentState, news: ConnectionProperties): { reason: string; wayOut?: string } {
    const [before, after] = [readConnection(olds.connection), readConnection(news)];
    const wayOut = "unmount it and stop what uses it first";
    const away = "the device goes away for a moment: refused while it is in use";
    if (!after.portals.some((portal) => before.portals.includes(portal)))
        return { reason: `has other portals, so the client connects anew, and ${away}`, wayOut };
    const credentials = ({ data }: ConnectionProperties) =>
        Object.entries(data).filter(([key]) => /^(?:auth|dhchap)_/.test(key));
    if (isDeepStrictEqual(credentials(olds.connection), credentials(news)))
        return { reason: "is changed in place" };
    return {
        reason: `has other credentials, which take another connection: over several paths, or where the kernel joins NVMe paths, nothing notices; else ${away}`,
        wayOut,
    };
}

/** Another target, unit or identity is another device; portals and credentials are not. */
function sameDevice(a: ConnectionProperties, b: ConnectionProperties): boolean {
    const identity = (given: ConnectionProperties) => {
        const { protocol, target, unit, serial, uuid } = readConnection(given);
        return [protocol, target, unit, serial, uuid];
    };
    return isDeepStrictEqual(identity(a), identity(b));
}

function clientOf(config: HostConfig, facts: HostFacts): ClientContext & { facts: ClientFacts } {
    if (facts.client === undefined)
        throw new BlockhostError("conflict", "what is attached to the host has to be read again");
    const { stateDirectory } = config;
    return { facts: facts.client, stateDirectory, tools: facts.tools, reserved: facts.reserved };
}

function refuseUnreadable(facts: ClientFacts, name: string): void {
    const why = facts.unreadable.get(name);
    if (why === undefined) return;
    throw new BlockhostError("conflict", `the boot file of attachment "${name}" cannot be read: ${why}`, {
        hint: "see <stateDirectory>/attachments on the client; nothing was changed",
    });
}

/** @throws BlockhostError `not-ours` */
function refuseOthers(
    one: AttachmentFacts,
    name: string,
    owners: readonly Owner[],
    generation: string | undefined,
): void {
    refuseStranger(`attachment "${name}"`, one.mark, owners);
    if (generation === undefined || one.mark.generation === generation) return;
    throw new BlockhostError(
        "not-ours",
        `attachment "${name}" was made at another time than the one in the state`,
        { hint: "it stays untouched; `pulumi refresh` brings the state up to date" },
    );
}

function attachmentId(args: AttachmentArgs): string {
    return formatId({ host: hostName(args.host) ?? "", container: ATTACHMENTS, name: args.name });
}
