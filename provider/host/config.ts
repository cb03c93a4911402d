import * as z from "zod";
import { driverNames, findDriver } from "../drivers/registry";
import type { Driver, PoolRef } from "../drivers/types";
import { BlockhostError } from "../errors";
import { HOST_NAME } from "../names";
import { findTarget, helperNames } from "../targets/registry";
import { normalizePortal, portalProblem } from "../targets/portal";
import type { Protocol, Target, TargetRef } from "../targets/types";
import type { TransportConfig } from "../transport/types";
import { type Failure, formatPath, hasUnknown, problemsOf, suggestion } from "../validate";

/** Configuration of storage hosts: what is written under `blockhost:hosts`, or inline as a resource's `host`. */

const text = (what: string) => z.string().min(1).describe(what);

/** What can be told apart as address and port; {@link portalProblems} says more of what a program declares. */
const portal = z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}):[0-9]{1,5}$/, {
        error: 'must be an address and a port: "10.0.0.5:3260" or "[fd00::5]:3260"',
        abort: true,
    })
    .refine(
        (value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535,
        "the port must be at most 65535",
    );

export const poolSchema = z
    .looseObject({
        driver: text("The driver that keeps the bytes: `file` or `lvm`."),
        maxOverSubscriptionRatio: z
            .union([z.number().min(1), z.literal("auto")])
            .optional()
            .describe(
                "How many times its size a thin pool may promise; `auto`: from what volumes really take. Default 20.",
            ),
        reservedPercentage: z
            .number()
            .min(0)
            .max(100)
            .optional()
            .describe("Percent of the pool that is never given out. Default 0."),
    })
    .meta({
        id: "HostPool",
        description: "A pool: where volumes live. The driver adds options of its own.",
    });

export const targetSchema = z
    .looseObject({
        helper: text("What serves initiators on the host: `tgt` or `lio` for iSCSI, `nvmet` for NVMe/TCP."),
        portals: z.array(portal).min(1).describe("Addresses and ports on which initiators reach the host."),
    })
    .meta({
        id: "HostTarget",
        description: "How initiators reach volumes over one protocol. The helper adds options of its own.",
    });

const connectionShape = {
    address: text("Host name, IP address, alias of `~/.ssh/config`, or `local` for this machine itself."),
    port: z.int().min(1).max(65_535).optional().describe("SSH port; default 22, or what ssh_config says."),
    user: text("SSH user; default: ssh_config's, else the user who runs Pulumi.").optional(),
    sudo: z
        .boolean()
        .optional()
        .describe(
            "Run scripts under `sudo -n`. It is as good as root: whoever has the SSH key has the host.",
        ),
    hostKey: z
        .union([fingerprint(), z.array(fingerprint()).min(1)])
        .optional()
        .describe("The host's key, `SHA256:…`; without it, known_hosts decides. Never accepted blindly."),
    knownHostsFile: text("A known_hosts file in place of `~/.ssh/known_hosts`.").optional(),
    privateKeyFile: text(
        "Path of a private key; without it: the agent, ssh_config, the usual files.",
    ).optional(),
    privateKeyEnv: text("Environment variable that holds the private key itself.").optional(),
    passphraseEnv: text("Environment variable that holds the key's passphrase.").optional(),
    passwordEnv: text("Environment variable that holds the password.").optional(),
    connectTimeout: z
        .int()
        .min(100)
        .optional()
        .describe("Milliseconds until a connection attempt fails; default 10000."),
    maxSessions: z.int().min(1).max(9).optional().describe("Most shells kept open at once; default 4."),
};

function fingerprint() {
    return z
        .string()
        .regex(
            /^SHA256:[A-Za-z0-9+/]{43}=?$/,
            'must be a fingerprint as `ssh-keygen -lf` prints it: "SHA256:…"',
        );
}

const hostShape = {
    ...connectionShape,
    jump: z
        .array(
            z
                .strictObject(connectionShape)
                .meta({ id: "HostConnection", description: "How a host is reached over SSH." }),
        )
        .optional()
        .describe("Hosts to go through, outermost first."),
    stateDirectory: z
        .string()
        .regex(/^\/[^\0\n]*[^/\0\n]$/, "must be an absolute path without a slash at its end")
        .optional()
        .describe(
            "Directory on the host for our own files (lock, boot files, long work); default /var/lib/blockhost.",
        ),
    lockTimeout: z.int().min(1).optional().describe("Seconds to wait for the host's lock; default 60."),
    tries: z
        .int()
        .min(1)
        .max(20)
        .optional()
        .describe("How often an operation is tried when trying again may help; default 4."),
    readOnly: z.boolean().optional().describe("Nothing that changes anything is sent to the host."),
    protect: z.boolean().optional().describe("Nothing that deletes is sent to the host."),
    decommissioned: z
        .boolean()
        .optional()
        .describe("The host is gone for good: deletes drop their state without touching it."),
    pools: z.record(z.string(), poolSchema).optional().describe("Pools by name."),
    targets: z
        .partialRecord(z.enum(["iscsi", "nvme-tcp"]), targetSchema)
        .optional()
        .describe("Targets by protocol: `iscsi`, `nvme-tcp`."),
};

/** A host as named in `blockhost:hosts`. */
export const hostSchema = z
    .strictObject(hostShape)
    .meta({ id: "Host", description: "A storage host, or a client." });
/** A host given inline: the same, with the name that ids and errors use. */
export const inlineHostSchema = z
    .strictObject({
        name: z
            .string()
            .regex(HOST_NAME, "must be letters, digits, `_`, `.` and `-`")
            .describe("Name for ids and errors."),
        ...hostShape,
    })
    .describe("A storage host given inline, with its name.");

export type HostInput = z.infer<typeof hostSchema>;
export type InlineHostInput = z.infer<typeof inlineHostSchema>;

export const DEFAULT_STATE_DIRECTORY = "/var/lib/blockhost";
/** Cinder's default for max_over_subscription_ratio. */
export const DEFAULT_OVER_SUBSCRIPTION = 20;

/** How often an operation is planned anew because the host had changed, or an answer was lost. */
export const DEFAULT_TRIES = 4;

export interface ConfiguredPool {
    readonly driver: Driver;
    readonly ref: PoolRef;
}

export interface ConfiguredTarget {
    readonly target: Target;
    readonly ref: TargetRef;
}

/** A host after validation. */
export interface HostConfig {
    readonly name: string;
    readonly transport: TransportConfig;
    readonly stateDirectory: string;
    /** Seconds. */
    readonly lockTimeout: number;
    /** Most tries of an operation, as Cinder's num_shell_tries. */
    readonly tries: number;
    readonly readOnly: boolean;
    readonly protect: boolean;
    readonly decommissioned: boolean;
    readonly pools: ReadonlyMap<string, ConfiguredPool>;
    readonly targets: ReadonlyMap<Protocol, ConfiguredTarget>;
}

/** Everything wrong with a host's configuration. Values that are not known yet are taken on trust. */
export function hostProblems(input: unknown, under: string, inline: boolean): Failure[] {
    return [...formProblems(input, under, inline), ...portalProblems(input, under)];
}

/** What keeps a configuration from being used at all, such as one in the state. */
function formProblems(input: unknown, under: string, inline: boolean): Failure[] {
    const failures = problemsOf(inline ? inlineHostSchema : hostSchema, input, under);
    if (typeof input !== "object" || input === null) return failures;
    const { pools, targets } = input as Partial<HostInput>;
    for (const [name, pool] of entries(pools)) {
        const at = formatPath(["pools", name], under);
        if (!HOST_NAME.test(name))
            failures.push({
                property: at,
                reason: "a pool's name holds only letters, digits, `_`, `.`, `-`",
            });
        failures.push(
            ...extensionProblems(pool, "driver", ["maxOverSubscriptionRatio", "reservedPercentage"], at),
        );
    }
    for (const [protocol, target] of entries(targets)) {
        failures.push(
            ...extensionProblems(
                target,
                "helper",
                ["portals"],
                formatPath(["targets", protocol], under),
                protocol,
            ),
        );
    }
    return failures;
}

/** Portals of a well-formed configuration that could not serve, or that are there twice: one only can listen there. */
export function portalProblems(input: unknown, under: string): Failure[] {
    const { targets } = (input ?? {}) as { targets?: unknown };
    const all = entries(targets).flatMap(([protocol, target]) => {
        const { portals } = (target ?? {}) as { portals?: unknown };
        const given: unknown[] = Array.isArray(portals) ? portals : [];
        return given.flatMap((text, i) =>
            typeof text === "string" && portal.safeParse(text).success
                ? [{ protocol, text, i, property: formatPath(["targets", protocol, "portals", i], under) }]
                : [],
        );
    });
    return all.flatMap(({ protocol, text, property }, at) => {
        const problem = portalProblem(text);
        if (problem !== undefined) return [{ property, reason: problem }];
        const first = all.slice(0, at).find((one) => normalizePortal(one.text) === normalizePortal(text));
        if (first === undefined) return [];
        const reason =
            first.protocol === protocol
                ? `is the same as portals[${String(first.i)}]`
                : `is a portal of ${first.protocol} as well; give each protocol a port of its own`;
        return [{ property, reason }];
    });
}

/** Problems of the options that a driver or helper adds. */
function extensionProblems(
    given: unknown,
    key: "driver" | "helper",
    common: readonly string[],
    under: string,
    protocol?: string,
): Failure[] {
    if (typeof given !== "object" || given === null) return [];
    const { [key]: name, ...rest } = given as Record<string, unknown>;
    if (typeof name !== "string" || hasUnknown(name)) return [];
    const found = key === "driver" ? findDriver(name) : findTarget(name, protocol ?? "");
    if (found === undefined) {
        const known = key === "driver" ? driverNames() : helperNames(protocol ?? "");
        const reason =
            known.length === 0
                ? `this version has no helper for ${protocol ?? ""}`
                : `there is no ${key} ${JSON.stringify(name)}${suggestion(name, known)}`;
        return [{ property: formatPath([key], under), reason }];
    }
    const options = Object.fromEntries(Object.entries(rest).filter(([option]) => !common.includes(option)));
    return problemsOf(found.options, options, under);
}

function entries(value: unknown): [string, unknown][] {
    return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

/**
 * The host's configuration, with defaults.
 *
 * @throws BlockhostError `invalid` naming every problem and its path.
 */
export function resolveHost(name: string, input: unknown, inline: boolean): HostConfig {
    const under = inline ? "host" : formatPath([name], "blockhost:hosts");
    const failures = formProblems(input, under, inline);
    if (failures.length > 0) {
        const all = failures.map(({ property, reason }) => `${property}: ${reason}`).join("; ");
        throw new BlockhostError("invalid", `the host's configuration is not right: ${all}`, {
            host: name,
            property: "host",
            hint: "mend it (docs/configuration.md has every option), then run the same again",
        });
    }
    const given = input as HostInput;
    const stateDirectory = given.stateDirectory ?? DEFAULT_STATE_DIRECTORY;
    const pools = new Map<string, ConfiguredPool>();
    for (const [
        pool,
        { driver: driverName, maxOverSubscriptionRatio, reservedPercentage, ...options },
    ] of Object.entries(given.pools ?? {})) {
        const driver = findDriver(driverName);
        if (driver === undefined) continue;
        pools.set(pool, {
            driver,
            ref: {
                name: pool,
                options: driver.options.parse(options),
                limits: {
                    maxOverSubscriptionRatio: maxOverSubscriptionRatio ?? DEFAULT_OVER_SUBSCRIPTION,
                    reservedPercentage: reservedPercentage ?? 0,
                },
                stateDirectory,
            },
        });
    }
    const targets = new Map<Protocol, ConfiguredTarget>();
    for (const [protocol, configured] of Object.entries(given.targets ?? {}) as [
        Protocol,
        z.infer<typeof targetSchema>,
    ][]) {
        const { helper, portals, ...options } = configured;
        const target = findTarget(helper, protocol);
        if (target === undefined) continue;
        targets.set(protocol, {
            target,
            ref: { protocol, helper, portals, options: target.options.parse(options), stateDirectory },
        });
    }
    const jump = given.jump?.map((hop, i): TransportConfig => ({
        name: `${name} (jump ${String(i + 1)})`,
        ...hop,
    }));
    return {
        name,
        transport: { name, ...pickConnection(given), ...(jump === undefined ? {} : { jump }) },
        stateDirectory,
        lockTimeout: given.lockTimeout ?? 60,
        tries: given.tries ?? DEFAULT_TRIES,
        readOnly: given.readOnly ?? false,
        protect: given.protect ?? false,
        decommissioned: given.decommissioned ?? false,
        pools,
        targets,
    };
}

function pickConnection(given: HostInput): Omit<TransportConfig, "name" | "jump"> {
    const keys = Object.keys(connectionShape) as (keyof typeof connectionShape)[];
    const picked: Partial<Record<keyof typeof connectionShape, unknown>> = {};
    for (const key of keys) if (given[key] !== undefined) picked[key] = given[key];
    return picked as Omit<TransportConfig, "name" | "jump">;
}
