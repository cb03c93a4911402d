import { CLIENT_TOOLS, observeClient } from "../clients/observe";
import { parseClient } from "../clients/parse";
import type { Driver, PoolPart } from "../drivers/types";
import type { Protocol, TargetFacts } from "../targets/types";
import { sh } from "../sh";
import type { HostConfig } from "./config";
import type { ContainerFacts, HostFacts, PoolFacts, SystemFacts } from "./facts";
import type { Touched } from "./plan";
import type { Frame, Section } from "./script";
import { parseEpoch } from "./epoch";
import { observeState, splitState } from "./state";
import { parseUnits } from "./units";

/** Which sections an observation has, and how their output becomes facts. */

type Frames = ReadonlyMap<string, Frame>;

/** All there is to know of a host, or only what a plan touched. */
export function observationSections(config: HostConfig, touched?: Touched): Section[] {
    const sections = [
        ...poolSections(config, touched),
        ...containerSections(config, touched?.containers ?? {}),
    ];
    for (const [protocol, { target, ref }] of config.targets) {
        const only = touched === undefined ? undefined : touched.targets?.[protocol];
        if (touched !== undefined && only === undefined) continue;
        sections.push({ id: targetSection(protocol), script: target.observe(ref, only) });
    }
    if (touched === undefined || touched.attachments !== undefined)
        sections.push({ id: "client", script: observeClient(config.stateDirectory) });
    if (touched === undefined) {
        sections.push({ id: "system", script: OBSERVE_SYSTEM });
        sections.push({
            id: "tools",
            script: sh`for tool in ${wantedTools(config)}; do command -v "$tool" >/dev/null 2>&1 && echo "$tool"; done
:`,
        });
    }
    sections.push({ id: "state", script: observeState(config.stateDirectory, touched), here: true });
    return sections;
}

/** A container that was changed: what all pools in it hold is read again with it. */
function containerSections(config: HostConfig, containers: NonNullable<Touched["containers"]>): Section[] {
    return Object.entries(containers).flatMap(([name, disks]) => {
        const pool = config.pools.get(name);
        if (pool?.driver.pools === undefined) return [];
        return [{ id: containerSection(name), script: pool.driver.pools.observe(pool.ref, distinct(disks)) }];
    });
}

/** Pools that share the container of one that was changed. */
export function poolsWithin(config: HostConfig, containers: Touched["containers"]): Set<string> {
    const within = new Set<string>();
    for (const name of Object.keys(containers ?? {})) {
        const changed = config.pools.get(name);
        if (changed?.driver.pools === undefined) continue;
        const container = changed.driver.pools.container(changed.ref);
        for (const [other, { driver, ref }] of config.pools) {
            if (driver === changed.driver && driver.pools?.container(ref) === container) within.add(other);
        }
    }
    return within;
}

/** Containers after some were read again; those in whose pools something changed are read when they are asked for. */
export function mergeContainers(
    config: HostConfig,
    containers: HostFacts["containers"],
    touched: Touched,
    frames: Frames,
): ReadonlyMap<string, ContainerFacts> {
    const merged = new Map(containers);
    for (const name of merged.keys()) {
        const within = poolsWithin(config, { [name]: [] });
        if (Object.keys(touched.pools ?? {}).some((pool) => within.has(pool))) merged.delete(name);
    }
    for (const name of Object.keys(touched.containers ?? {})) {
        const frame = frames.get(containerSection(name));
        const pool = config.pools.get(name);
        if (pool?.driver.pools === undefined || frame === undefined) continue;
        const read =
            frame.exitStatus === 0
                ? pool.driver.pools.parse(pool.ref, frame.stdout)
                : unreadContainer(name, said(frame));
        const disks = new Map([...(containers?.get(name)?.disks ?? []), ...read.disks]);
        merged.set(name, { ...read, disks });
    }
    return merged;
}

function unreadContainer(name: string, why: string): ContainerFacts {
    return {
        name,
        id: "",
        problem: {
            summary: `what pool "${name}" lives in could not be read${why}`,
            hint: "look at what the host said; a user without rights needs `sudo: true` in the host's configuration",
        },
        sizeBytes: 0,
        freeBytes: 0,
        disks: new Map(),
        extra: undefined,
    };
}

function containerSection(pool: string): string {
    return `container:${pool}`;
}

function distinct(texts: readonly string[]): string[] {
    return [...new Set(texts)];
}

function poolSections(config: HostConfig, touched?: Touched): Section[] {
    const sections: Section[] = [];
    const together = new Map<Driver, PoolPart[]>();
    const whole = poolsWithin(config, touched?.containers);
    for (const [name, { driver, ref }] of config.pools) {
        const only = whole.has(name) ? undefined : touched?.pools?.[name];
        if (touched !== undefined && only === undefined && !whole.has(name)) continue;
        if (driver.observeTogether === undefined) {
            sections.push({ id: poolSection(config, name), script: driver.observe(ref, only) });
            continue;
        }
        const parts = together.get(driver) ?? [];
        parts.push({ pool: ref, ...(only === undefined ? {} : { only }) });
        together.set(driver, parts);
    }
    for (const [driver, parts] of together) {
        const script = driver.observeTogether?.(parts);
        if (script !== undefined) sections.push({ id: driverSection(driver), script });
    }
    return sections;
}

/** Facts of a whole host. */
export function parseObservation(config: HostConfig, frames: Frames): HostFacts {
    const pools = new Map<string, PoolFacts>();
    for (const [name] of config.pools) pools.set(name, parsePool(config, name, frames));
    const targets = new Map<string, TargetFacts>();
    for (const [protocol] of config.targets) targets.set(protocol, parseTarget(config, protocol, frames));
    const { units = "", leftovers = "", epoch = "" } = splitState(frames.get("state")?.stdout ?? "");
    return {
        pools,
        targets,
        units: parseUnits(units),
        client: parseClient(frames.get("client")?.stdout ?? ""),
        system: parseSystem(frames.get("system")?.stdout ?? ""),
        leftovers: leftovers !== "",
        epoch: parseEpoch(epoch),
        tools: new Set((frames.get("tools")?.stdout ?? "").split("\n").filter((line) => line !== "")),
        claims: [],
        reserved: new Set(),
    };
}

/**
 * Pools after one was read again, whole or (`only`) some objects: an object that was asked for and is not there is gone.
 */
export function mergePool(
    config: HostConfig,
    pools: ReadonlyMap<string, PoolFacts>,
    name: string,
    only: readonly string[] | undefined,
    frames: Frames,
): ReadonlyMap<string, PoolFacts> {
    if (!frames.has(poolSection(config, name))) return pools;
    const read = parsePool(config, name, frames);
    const before = pools.get(name);
    if (read.problem !== undefined || before === undefined || only === undefined)
        return new Map(pools).set(name, read);
    const objects = new Map(before.objects);
    for (const object of only) objects.delete(object);
    for (const [object, facts] of read.objects) objects.set(object, facts);
    return new Map(pools).set(name, { ...read, objects });
}

export function mergeTarget(
    config: HostConfig,
    targets: ReadonlyMap<string, TargetFacts>,
    protocol: Protocol,
    only: readonly string[],
    frames: Frames,
): ReadonlyMap<string, TargetFacts> {
    if (!frames.has(targetSection(protocol))) return targets;
    const read = parseTarget(config, protocol, frames);
    const before = targets.get(protocol);
    if (before === undefined) return new Map(targets).set(protocol, read);
    const target = config.targets.get(protocol)?.target;
    if (target?.merge !== undefined && read.extra !== undefined)
        return new Map(targets).set(protocol, target.merge(before, read, only));
    const exports = new Map(before.exports);
    for (const name of only) exports.delete(name);
    for (const [name, facts] of read.exports) exports.set(name, facts);
    return new Map(targets).set(protocol, { ...read, exports });
}

function poolSection(config: HostConfig, name: string): string {
    const driver = config.pools.get(name)?.driver;
    return driver?.observeTogether === undefined ? `pool:${name}` : driverSection(driver);
}

function driverSection(driver: Driver): string {
    return `driver:${driver.name}`;
}

export function targetSection(protocol: string): string {
    return `target:${protocol}`;
}

function parsePool(config: HostConfig, name: string, frames: Frames): PoolFacts {
    const frame = frames.get(poolSection(config, name));
    const configured = config.pools.get(name);
    if (configured !== undefined && frame?.exitStatus === 0)
        return configured.driver.parse(configured.ref, frame.stdout);
    return {
        name,
        id: "",
        problem: {
            summary: `pool "${name}" could not be read${said(frame)}`,
            hint: "look at what the host said; a user without rights needs `sudo: true` in the host's configuration",
        },
        capacity: { totalBytes: 0, freeBytes: 0, provisionedBytes: 0 },
        objects: new Map(),
        extra: {},
    };
}

function parseTarget(config: HostConfig, protocol: Protocol, frames: Frames): TargetFacts {
    const frame = frames.get(targetSection(protocol));
    const configured = config.targets.get(protocol);
    if (configured !== undefined && frame?.exitStatus === 0) {
        return configured.target.parse(configured.ref, frame.stdout);
    }
    return {
        protocol,
        problem: {
            summary: `the ${protocol} target could not be read${said(frame)}`,
            hint: "look at what the host said; a user without rights needs `sudo: true` in the host's configuration",
        },
        exports: new Map(),
        foreign: new Map(),
        extra: undefined,
    };
}

function said(frame: Frame | undefined): string {
    const stderr = frame?.stderr.trim() ?? "";
    if (frame === undefined) return " (the observation ended early)";
    return ` (exit status ${String(frame.exitStatus ?? "unknown")}${stderr === "" ? "" : `: ${stderr.slice(-500)}`})`;
}

const OBSERVE_SYSTEM = sh`read -r kernel < /proc/sys/kernel/osrelease && echo "kernel $kernel"
[ -r /etc/os-release ] && while read -r line; do case $line in PRETTY_NAME=*) echo "os $line" ;; esac; done < /etc/os-release
[ -r /proc/modules ] && while read -r module rest; do echo "module $module"; done < /proc/modules
:`;

function parseSystem(output: string): SystemFacts {
    const told = (key: string) =>
        output
            .split("\n")
            .flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1)] : []));
    const name = /^PRETTY_NAME="?(.*?)"?$/.exec(told("os")[0] ?? "")?.[1];
    return { kernel: told("kernel")[0] ?? "", os: name ?? "", modules: told("module").sort() };
}

/** The shell's own tools and those of every driver and helper configured. */
function wantedTools(config: HostConfig): string[] {
    const tools = new Set([...Object.keys(HOST_TOOLS), ...Object.keys(CLIENT_TOOLS)]);
    for (const { driver, ref } of config.pools.values())
        for (const tool of Object.keys({ ...driver.tools(ref.options), ...driver.pools?.tools }))
            tools.add(tool);
    for (const { target } of config.targets.values())
        for (const tool of Object.keys(target.tools)) tools.add(tool);
    return [...tools];
}

/** What the host layer itself needs, with the Debian package of each. */
export const HOST_TOOLS: Readonly<Record<string, string>> = {
    flock: "util-linux",
    setsid: "util-linux",
    mkdir: "coreutils",
    sed: "sed",
};
