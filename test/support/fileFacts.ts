import { fileDriver } from "../../provider/drivers/file";
import type { FileOptions } from "../../provider/drivers/file/options";
import type { PlanContext, PoolRef } from "../../provider/drivers/types";
import type { HostFacts, ObjectFacts, PoolFacts, UnitFacts } from "../../provider/host/facts";
import { type Mark, type MarkKind, type Owner, encodeMark } from "../../provider/host/mark";
import type { Claim, Plan } from "../../provider/host/plan";

/** Facts of a `file` pool, built in code. */

export const MiB = 2 ** 20;
export const GiB = 2 ** 30;
export const GENERATION = "0123456789abcdef";

export const owner: Owner = {
    installation: "default",
    organization: "acme",
    project: "shop",
    stack: "prod",
    resource: "data",
};

export function mark(more: Partial<Mark> = {}): Mark {
    return { kind: "volume", owner, generation: GENERATION, phase: "ready", extra: {}, ...more };
}

export function markOf(kind: MarkKind, resource: string, generation: string, more: Partial<Mark> = {}): Mark {
    return mark({ kind, owner: { ...owner, resource }, generation, ...more });
}

/** `sizeBytes: undefined`: its data is missing. */
export type Given = { [K in keyof ObjectFacts]?: ObjectFacts[K] | undefined };

export function object(name: string, more: Given = {}): ObjectFacts {
    const { mark: itsMark, extra, ...rest } = more;
    const hasData = !("sizeBytes" in more) || more.sizeBytes !== undefined;
    const size = hasData ? { sizeBytes: GiB, allocatedBytes: 0, uid: "100" } : {};
    return {
        name,
        path: `/pool/${name}.img`,
        ...size,
        ...(itsMark === undefined ? {} : { mark: itsMark }),
        ...(Object.fromEntries(
            Object.entries(rest).filter(([, value]) => value !== undefined),
        ) as Partial<ObjectFacts>),
        extra: {
            ...(hasData ? { type: "f", mtime: "1.0", links: "1" } : {}),
            ...(itsMark === undefined ? {} : { markText: encodeMark(itsMark) }),
            ...extra,
        },
    };
}

export const POOL_ID = "feedfacecafebeef";

export interface World {
    objects?: ObjectFacts[];
    reflink?: "yes" | "no" | "unknown";
    provisioning?: "thin" | "thick";
    units?: UnitFacts[];
    claims?: Claim[];
    totalBytes?: number;
    freeBytes?: number;
    limits?: Partial<PoolRef["limits"]>;
    facts?: Partial<PoolFacts>;
}

export function context(world: World = {}): PlanContext<FileOptions> {
    const pool: PoolRef<FileOptions> = {
        name: "bulk",
        options: fileDriver.options.parse({
            directory: "/pool",
            ...(world.provisioning === undefined ? {} : { provisioning: world.provisioning }),
        }),
        limits: { maxOverSubscriptionRatio: 20, reservedPercentage: 0, ...world.limits },
        stateDirectory: "/var/lib/blockhost",
    };
    const objects = new Map((world.objects ?? []).map((one) => [one.name, one]));
    const provisionedBytes = [...objects.values()].reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0);
    const facts: PoolFacts = {
        name: "bulk",
        id: POOL_ID,
        capacity: {
            totalBytes: world.totalBytes ?? 100 * GiB,
            freeBytes: world.freeBytes ?? 90 * GiB,
            provisionedBytes,
        },
        objects,
        extra: {
            directory: "/pool",
            reflink: world.reflink ?? "yes",
            recorded: "yes",
            identity: encodeMark(mark({ kind: "pool", generation: POOL_ID })),
        },
        ...world.facts,
    };
    const host: HostFacts = {
        pools: new Map([["bulk", facts]]),
        targets: new Map(),
        units: new Map((world.units ?? []).map((unit) => [unit.name, unit])),
        epoch: { boot: "boot-1", word: "word-1", made: new Set() },
        tools: new Set(Object.keys(fileDriver.tools(pool.options))),
        claims: world.claims ?? [],
        reserved: new Set(),
    };
    return { pool, facts, host };
}

export function labels(plan: Plan): string[] {
    return plan.steps.map((step) => step.label);
}

/** Everything that a plan would run, as it would be shown. */
export function script(plan: Plan): string {
    return plan.steps.map((step) => step.script.display).join("\n");
}
