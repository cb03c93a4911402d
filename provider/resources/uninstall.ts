import { BlockhostError } from "../errors";
import type { ObjectFacts, PoolFacts } from "../host/facts";
import type { Host, Operation } from "../host/host";
import { describeOwner } from "../host/mark";
import { NOTHING, type Plan } from "../host/plan";
import { observeInstalled, removeStateDirectory, removeUnitFile } from "../host/uninstall";
import { formatId } from "../names";
import { Sh, lines, sh } from "../sh";
import { attachmentUnitName } from "../clients/bootUnit";
import { bootUnitName, shutdownUnitName } from "../targets/bootUnit";
import { UNIT_DIRECTORY } from "../targets/systemd";
import { usablePool } from "./common";
import { planRemoval } from "./objects";
import type { Context } from "./types";

/** Taking blockhost off a host: everything that it keeps there beside the data. */
export interface Uninstallation {
    /** Files and directories that go. */
    readonly files: readonly string[];
    /** Marks that go (with `marks`). */
    readonly released: readonly string[];
    /** What stays, in sentences. */
    readonly stays: readonly string[];
    /** What speaks against it: exports, long work; it is refused then, unless forced. */
    readonly obstacles: readonly string[];
}

export interface UninstallOptions {
    /** Take the owner marks off all volumes, snapshots and pools, whoever's they are; the data stays. */
    readonly marks: boolean;
    /** Also while exports or long work are there. */
    readonly force: boolean;
}

/** What would be done, from what the host says now. */
export async function planUninstallation(
    context: Context,
    name: string,
    options: UninstallOptions,
): Promise<Uninstallation> {
    const host = context.hosts.get(name);
    const facts = await host.facts(context);
    const marked = markedObjects(host, facts.pools);
    const containers = await markedContainers(context, host);
    const own = lines(
        ...[...host.config.pools.values()].flatMap(({ driver, ref }) => {
            const leavings = driver.leavings?.(ref, options.marks || marked.length === 0);
            return leavings === undefined ? [] : [leavings.files];
        }),
    );
    const oneLine = sh`${unitFiles(host)} ${new Sh(own.text.replaceAll("\n", " "), own.display)}`;
    const { stateDirectory } = host.config;
    const listed = await host.ask(observeInstalled(stateDirectory, oneLine), "look what is installed");
    const files: string[] = [];
    const stays: string[] = [];
    for (const line of listed.split("\n")) {
        const [, what, path] = /^(file|foreign) (.+)$/.exec(line) ?? [];
        if (what === "file" && path !== undefined && !files.includes(path)) files.push(path);
        if (what === "foreign") stays.push(`${path ?? ""}, which is not ours, and ${stateDirectory} with it`);
    }
    const marks = [...marked.map(({ id }) => id), ...containers.map((pool) => `${name}/${pool}`)];
    if (marks.length > 0 && !options.marks) {
        stays.push(
            `owner marks of ${String(marks.length)} objects, so that their programs go on knowing them (--marks takes them off)`,
        );
    }
    const unreadable = [...facts.pools.values()].filter(({ problem }) => problem !== undefined);
    for (const { name: pool, problem } of unreadable)
        stays.push(`what is in pool "${pool}", which cannot be read: ${problem?.summary ?? ""}`);
    return {
        files,
        released: options.marks ? marks : [],
        stays: [...stays, "all data"],
        obstacles: [
            ...[...facts.targets].flatMap(([protocol, { exports }]) =>
                [...exports.values()].map(
                    (one) => `export ${protocol}/${one.name} of ${describeOwner(one.mark.owner)}`,
                ),
            ),
            ...[...(facts.client?.attachments.values() ?? [])].map(
                (one) => `attachment ${one.name} of ${describeOwner(one.mark.owner)}`,
            ),
            ...[...facts.units.values()]
                .filter(({ state }) => state === "running")
                .map(({ name: unit }) => `long work ${unit} is under way`),
            ...marked
                .filter(({ object }) => object.mark?.phase !== "ready")
                .map(({ id }) => `${id} is half made or half deleted`),
        ],
    };
}

/**
 * Does it.
 *
 * @throws BlockhostError `in-use`: an export or long work, unless forced; whatever the host says
 */
export async function uninstall(context: Context, name: string, options: UninstallOptions): Promise<void> {
    const host = context.hosts.get(name);
    const { obstacles } = await planUninstallation(context, name, options);
    if (obstacles.length > 0 && !options.force) {
        throw new BlockhostError("in-use", `the host is in use: ${obstacles.join("; ")}`, {
            host: name,
            doing: "uninstall",
            hint: "destroy these by their programs first; --force does it all the same, and then no export comes back after a restart",
        });
    }
    if (options.marks) await releaseAll(context, host);
    await host.perform(removal(host, options), context);
}

async function releaseAll(context: Context, host: Host): Promise<void> {
    const facts = await host.facts(context);
    const objects = markedObjects(host, facts.pools);
    await Promise.all(
        objects.map(({ pool, object, id }) => host.perform(release(host, pool, object, id), context)),
    );
    for (const pool of await markedContainers(context, host))
        await host.perform(releaseContainer(host, pool), context);
}

function release(host: Host, name: string, { name: object }: ObjectFacts, id: string): Operation<undefined> {
    return {
        doing: `take the mark off ${id}`,
        effect: "change",
        plan: (facts) => {
            const pool = usablePool(host.config, facts, name);
            const found = pool.facts.objects.get(object);
            return found?.mark === undefined ? NOTHING : planRemoval(facts, pool, found, undefined);
        },
        result: () => undefined,
    };
}

function releaseContainer(host: Host, name: string): Operation<undefined> {
    const pool = host.config.pools.get(name);
    return {
        doing: `take the mark off pool ${name}`,
        effect: "change",
        containers: { [name]: [] },
        plan: (facts): Plan => {
            const container = facts.containers?.get(name);
            const maker = pool?.driver.pools;
            if (pool === undefined || container?.mark === undefined || maker === undefined) return NOTHING;
            return maker.release({ pool: pool.ref, facts: container, host: facts }, { mark: container.mark });
        },
        result: () => undefined,
    };
}

/** One plan, once: when its steps have succeeded, nothing of ours is there. */
function removal(host: Host, { force, marks }: UninstallOptions): Operation<undefined> {
    let done = false;
    return {
        doing: "uninstall",
        effect: "delete",
        plan: (facts) => {
            if (done) return NOTHING;
            done = true;
            const { stateDirectory } = host.config;
            const released = marks || markedObjects(host, facts.pools).length === 0;
            return {
                steps: [
                    ...[...host.config.pools.values()].flatMap(({ driver, ref }) => {
                        const leavings = driver.leavings?.(ref, released);
                        return leavings === undefined ? [] : [leavings.remove];
                    }),
                    ...unitFiles(host).map(removeUnitFile),
                    removeStateDirectory(stateDirectory, force),
                ],
                touched: {},
            };
        },
        result: () => undefined,
    };
}

function unitFiles({ config: { stateDirectory } }: Host): string[] {
    return [bootUnitName, shutdownUnitName, attachmentUnitName].map(
        (name) => `${UNIT_DIRECTORY}/${name(stateDirectory)}`,
    );
}

function markedObjects(host: Host, pools: ReadonlyMap<string, PoolFacts>) {
    return [...pools.values()].flatMap((pool) =>
        [...pool.objects.values()]
            .filter(({ mark }) => mark !== undefined)
            .map((object) => ({
                pool: pool.name,
                object,
                id: formatId({ host: host.config.name, container: pool.name, name: object.name }),
            })),
    );
}

/** Pools that a `Pool` has made or adopted. */
async function markedContainers(context: Context, host: Host): Promise<string[]> {
    const able = [...host.config.pools].filter(([, { driver }]) => driver.pools !== undefined);
    const facts = await host.facts(context, Object.fromEntries(able.map(([name]) => [name, []])));
    const seen = new Set<string>();
    return able
        .map(([name]) => name)
        .filter((name) => {
            const container = facts.containers?.get(name);
            if (container?.mark === undefined || seen.has(container.id)) return false;
            seen.add(container.id);
            return true;
        });
}
