import { differencesOf } from "../targets/bootUnit";
import { differences } from "../clients/faults";
import { capacityFigures } from "../drivers/capacity";
import { toBlockhostError } from "../errors";
import type { HostFacts, PoolFacts } from "../host/facts";
import type { Host } from "../host/host";
import { describeOwner } from "../host/mark";
import { ATTACHMENTS, formatId } from "../names";
import { usablePool } from "../resources/common";
import { getOrphans } from "../resources/functions/orphans";
import type { Context } from "../resources/types";
import type { KnownResources } from "./knownResources";
import { type Level, worst } from "./levels";

/** The status of one host, from one observation. */

export interface Finding {
    readonly level: Level;
    readonly text: string;
}

export interface PoolStatus {
    readonly name: string;
    readonly driver: string;
    readonly level: Level;
    /** Absent where the pool cannot be read. */
    readonly capacity?: {
        readonly totalBytes: number;
        readonly freeBytes: number;
        readonly provisionedBytes: number;
        /** How many times its size is promised. */
        readonly ratio: number;
        readonly maxRatio: number;
        readonly virtualFreeBytes: number;
        /** Thin pools of LVM: percent. */
        readonly dataPercent?: number;
        readonly metadataPercent?: number;
    };
    readonly objects: number;
    readonly findings: readonly Finding[];
}

export interface ExportStatus {
    readonly id: string;
    readonly level: Level;
    readonly sessions: number;
    readonly differences: readonly string[];
}

/** An export attached to the host as a client. */
export interface AttachmentStatus {
    readonly id: string;
    readonly level: Level;
    readonly differences: readonly string[];
}

export interface OrphanStatus {
    readonly id: string;
    readonly owner: string;
    readonly reason: string;
}

export interface WorkStatus {
    readonly name: string;
    readonly state: string;
    readonly level: Level;
    readonly doneBytes: number;
    readonly totalBytes: number;
    readonly log: string;
}

export interface HostStatus {
    readonly name: string;
    readonly level: Level;
    /** Why nothing is known of it. */
    readonly error?: string;
    readonly pools: readonly PoolStatus[];
    readonly exports: readonly ExportStatus[];
    readonly attachments: readonly AttachmentStatus[];
    readonly orphans: readonly OrphanStatus[];
    readonly work: readonly WorkStatus[];
    readonly findings: readonly Finding[];
}

export async function hostStatus(
    context: Context,
    name: string,
    known?: KnownResources,
): Promise<HostStatus> {
    const nothing = { pools: [], exports: [], attachments: [], orphans: [], work: [], findings: [] };
    try {
        const host = context.hosts.get(name);
        if (host.config.decommissioned)
            return { name, level: "ok", ...nothing, findings: [{ level: "ok", text: "is decommissioned" }] };
        const facts = await host.facts(context);
        const pools = [...host.config.pools.keys()].map((pool) => poolStatus(host, facts, pool));
        const exports = exportStatus(host, facts);
        const attachments = attachmentStatus(host, facts);
        const orphans = await orphanStatus(context, name, known);
        const work = workStatus(facts);
        const findings = [...targetFindings(facts), ...objectFindings(host, facts)];
        const level = worst([
            ...[...pools, ...exports, ...attachments, ...work, ...findings].map((one) => one.level),
            ...orphans.map((): Level => "warning"),
        ]);
        return { name, level, pools, exports, attachments, orphans, work, findings };
    } catch (error) {
        return { name, level: "unknown", error: toBlockhostError(error).message, ...nothing };
    }
}

function poolStatus(host: Host, facts: HostFacts, name: string): PoolStatus {
    const { config } = host;
    const driver = config.pools.get(name)?.driver.name ?? "";
    try {
        const pool = usablePool(config, facts, name);
        const { thin } = pool.driver.capabilities(pool.ref.options);
        const figures = capacityFigures(pool.ref, pool.facts, thin);
        const findings: Finding[] = (pool.facts.health ?? []).map((text) => ({ level: "warning", text }));
        if (figures.virtualFreeBytes < 0)
            findings.push({
                level: "warning",
                text: "more is promised than `maxOverSubscriptionRatio` and `reservedPercentage` allow",
            });
        if (figures.totalBytes > 0 && figures.freeBytes === 0 && thin)
            findings.push({ level: "critical", text: "is full: writes to its volumes fail or wait" });
        return {
            name,
            driver,
            level: worst(findings.map(({ level }) => level)),
            capacity: {
                totalBytes: figures.totalBytes,
                freeBytes: figures.freeBytes,
                provisionedBytes: figures.provisionedBytes,
                ratio: figures.totalBytes === 0 ? 0 : round(figures.provisionedBytes / figures.totalBytes),
                maxRatio: round(figures.overSubscriptionRatio),
                virtualFreeBytes: figures.virtualFreeBytes,
                ...percentages(pool.facts),
            },
            objects: pool.facts.objects.size,
            findings,
        };
    } catch (error) {
        const failure = toBlockhostError(error);
        const { hint } = failure.details;
        const text = hint === undefined ? failure.summary : `${failure.summary} (${hint})`;
        return { name, driver, level: "critical", objects: 0, findings: [{ level: "critical", text }] };
    }
}

function percentages({ extra }: PoolFacts): { dataPercent?: number; metadataPercent?: number } {
    const number = (text: string | undefined) =>
        text === undefined || text === "" ? undefined : Number(text);
    const data = number(extra["data"]);
    const metadata = number(extra["metadata"]);
    return {
        ...(data === undefined ? {} : { dataPercent: data }),
        ...(metadata === undefined ? {} : { metadataPercent: metadata }),
    };
}

function exportStatus(host: Host, facts: HostFacts): ExportStatus[] {
    return [...facts.targets].flatMap(([protocol, target]) =>
        [...target.exports.values()].map((one) => {
            const wrong = differencesOf(target, one);
            return {
                id: formatId({ host: host.config.name, container: protocol, name: one.name }),
                level: levelOf(wrong),
                sessions: one.sessions.length,
                differences: wrong,
            };
        }),
    );
}

function attachmentStatus(host: Host, { client }: HostFacts): AttachmentStatus[] {
    if (client === undefined) return [];
    return [...client.attachments.values()].map((one) => {
        const wrong = differences(client, one);
        return {
            id: formatId({ host: host.config.name, container: ATTACHMENTS, name: one.name }),
            level: levelOf(wrong),
            differences: wrong,
        };
    });
}

function levelOf(wrong: readonly string[]): Level {
    if (wrong.length === 0) return "ok";
    return wrong.some((text) => /^missing(?:$|:)/.test(text)) ? "critical" : "warning";
}

function targetFindings(facts: HostFacts): Finding[] {
    return [...facts.targets.values()].flatMap(({ protocol, problem }): Finding[] =>
        problem === undefined
            ? []
            : [{ level: "critical", text: `${protocol}: ${problem.summary} (${problem.hint})` }],
    );
}

/** What is wrong with single volumes and snapshots of ours. */
function objectFindings(host: Host, facts: HostFacts): Finding[] {
    return [...facts.pools.values()].flatMap((pool) =>
        [...pool.objects.values()].flatMap((object) =>
            object.mark === undefined
                ? []
                : (object.health ?? []).map((text): Finding => {
                      const id = formatId({
                          host: host.config.name,
                          container: pool.name,
                          name: object.name,
                      });
                      return { level: "warning", text: `${id}: ${text}` };
                  }),
        ),
    );
}

/** Half-made and left over by what the host says; with a stack's state, also what that does not know. */
async function orphanStatus(
    context: Context,
    host: string,
    known: KnownResources | undefined,
): Promise<OrphanStatus[]> {
    const quiet: Context = { ...context, warn: () => undefined };
    const read = async (more: Omit<Parameters<typeof getOrphans.run>[1], "host">) =>
        (await getOrphans.run(quiet, { host, ...more })) as { readonly orphans: readonly Orphan[] };
    const found = new Map<string, OrphanStatus>();
    const all = [await read({})];
    for (const { ids, ...stack } of known ?? []) all.push(await read({ ...stack, known: ids }));
    for (const { orphans } of all)
        for (const { id, owner, reason } of orphans)
            if (!found.has(id)) found.set(id, { id, owner: describeOwner(owner), reason });
    return [...found.values()];
}

interface Orphan {
    readonly id: string;
    readonly owner: Parameters<typeof describeOwner>[0];
    readonly reason: string;
}

function workStatus(facts: HostFacts): WorkStatus[] {
    return [...facts.units.values()]
        .filter(({ state }) => state !== "done")
        .map(({ name, state, doneBytes = 0, totalBytes = 0, log }) => ({
            name,
            state,
            level: state === "running" ? "ok" : "warning",
            doneBytes,
            totalBytes,
            log: log.trim(),
        }));
}

function round(value: number): number {
    return Math.round(value * 100) / 100;
}
