import * as z from "zod";
import { BlockhostError } from "../../errors";
import { type ObjectFacts, exportsOf } from "../../host/facts";
import type { HostReference } from "../../host/hosts";
import { formatId } from "../../names";
import { type HostFunction, type Place, hostArgument, placeOf, poolArgument, poolOf } from "./types";

/** Volumes and snapshots as they are on the host, whoever made them. */

interface ObjectArgs {
    readonly host: HostReference;
    readonly pool: string;
    readonly name: string;
}

export const ownerResult = z
    .object({
        installation: z.string().describe("`blockhost:installation` of the stack."),
        organization: z.string().describe("Organisation."),
        project: z.string().describe("Project."),
        stack: z.string().describe("Stack."),
        resource: z.string().describe("Name of the resource."),
    })
    .meta({ id: "Owner", description: "Who has declared an object: its owner mark." });

const args = (what: string) =>
    z.strictObject({
        host: hostArgument,
        pool: poolArgument,
        name: z.string().min(1).describe(`Name of the ${what} on the host.`),
    });

const common = {
    id: z.string().describe("`<host>/<pool>/<name>`."),
    sizeBytes: z.number().describe("Size in bytes."),
    allocatedBytes: z.number().optional().describe("Bytes that it really takes, where the driver tells."),
    path: z.string().describe("Path on the host."),
    managed: z.boolean().describe("It carries an owner mark."),
    owner: ownerResult.optional().describe("Who has declared it; absent where it is not managed."),
    generation: z.string().describe("Its generation; empty where it is not managed."),
    phase: z.string().describe("`ready`, or what is under way with it; empty where it is not managed."),
    exports: z.array(z.string()).describe("Ids of exports of it."),
    sessions: z.array(z.string()).describe("Initiators that are logged in to these."),
    health: z.array(z.string()).describe("What is wrong with it, and what to do."),
};

export const volumeResult = z.object({
    ...common,
    snapshots: z.array(z.string()).describe("Ids of its snapshots."),
    safetySnapshot: z.string().describe("Name of its safety snapshot; empty where there is none."),
});

export const getVolume: HostFunction<ObjectArgs> = {
    name: "getVolume",
    args: args("volume").describe("A volume as it is on the host, whoever made it."),
    result: volumeResult,
    async run(context, wanted) {
        const place = await placeOf(context, wanted.host);
        const { pool, object } = find(place, wanted, "volume");
        const others = [...pool.facts.objects.values()].filter(
            ({ mark }) => mark?.extra["origin"] === object.name,
        );
        const idOf = (name: string) =>
            formatId({ host: place.host.config.name, container: wanted.pool, name });
        return {
            ...told(place, wanted.pool, object),
            snapshots: others.filter(({ mark }) => mark?.kind === "snapshot").map(({ name }) => idOf(name)),
            safetySnapshot: others.find(({ mark }) => mark?.kind === "safety")?.name ?? "",
        };
    },
};

export const snapshotResult = z.object({
    ...common,
    volume: z.string().describe("Id of its volume; empty where it is not managed."),
});

export const getSnapshot: HostFunction<ObjectArgs> = {
    name: "getSnapshot",
    args: args("snapshot").describe("A snapshot as it is on the host, whoever made it."),
    result: snapshotResult,
    async run(context, wanted) {
        const place = await placeOf(context, wanted.host);
        const { object } = find(place, wanted, "snapshot");
        const origin = object.mark?.extra["origin"];
        const volume =
            origin === undefined
                ? ""
                : formatId({ host: place.host.config.name, container: wanted.pool, name: origin });
        return { ...told(place, wanted.pool, object), volume };
    },
};

function find(place: Place, { pool: name, name: wanted }: ObjectArgs, kind: "volume" | "snapshot") {
    const pool = poolOf(place, name);
    const found = pool.driver.resolveReference(pool.ref, pool.facts, wanted);
    const object = pool.facts.objects.get(wanted) ?? pool.facts.objects.get(found ?? "");
    const other = object?.mark !== undefined && object.mark.kind !== kind;
    if (object === undefined || other) {
        throw new BlockhostError("not-found", `there is no ${kind} "${wanted}" in pool "${name}"`, {
            host: place.host.config.name,
            ...(other ? { hint: `it is a ${object.mark?.kind ?? "thing"}` } : {}),
        });
    }
    return { pool, object };
}

export function told({ host, facts }: Place, pool: string, object: ObjectFacts) {
    const { mark } = object;
    const exports = exportsOf(facts, object.path);
    return {
        id: formatId({ host: host.config.name, container: pool, name: object.name }),
        sizeBytes: object.sizeBytes ?? 0,
        ...(object.allocatedBytes === undefined ? {} : { allocatedBytes: object.allocatedBytes }),
        path: object.path,
        managed: mark !== undefined,
        ...(mark === undefined ? {} : { owner: mark.owner }),
        generation: mark?.generation ?? "",
        phase: mark?.phase ?? "",
        exports: exports.map(({ protocol, facts: one }) =>
            formatId({ host: host.config.name, container: protocol, name: one.name }),
        ),
        sessions: exports.flatMap(({ facts: one }) => one.sessions.map(({ initiator }) => initiator)),
        health: object.health ?? [],
    };
}
