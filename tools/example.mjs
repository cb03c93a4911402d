// @ts-check
/**
 * `npm run example -- NAME`: runs examples/NAME as the tests do. Starts the host that it needs, then up, its checks, a
 * second up that must change nothing, and destroy, after which the host must be empty.
 *
 * An example is a folder with Pulumi.yaml, package.json, index.ts and, for what it shows, check.mjs, which may export
 *
 *     config(hosts)      stack configuration beside `blockhost:hosts`
 *     secrets            secret configuration, by key
 *     hosts              names of the hosts; default ["embedded"]
 *     pools              names of the pools of each; default ["fast"]
 *     inline             true: the program names its host itself, with the configuration in `host`
 *     arrange(scene)     what has to be there before the first up
 *     check(scene)       what has to hold after it; may change configuration and call `up` again
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startEmbeddedHostProcess } from "./embedded-host/process.mjs";
import * as iscsi from "./iscsi.mjs";
import { removeDirectory, temporaryDirectory } from "./lifetime.mjs";
import { createNarrative } from "./narrative.mjs";
import { checkout } from "./paths.mjs";
import { prepare } from "./prepare.mjs";
import { createStack } from "./pulumi/stack.mjs";

const examples = join(checkout, "examples");

/**
 * What an example's check.mjs works with.
 *
 * @typedef {object} Scene
 * @property {import("./embedded-host/process.mjs").EmbeddedHostProcess} host the first
 * @property {Record<string, import("./embedded-host/process.mjs").EmbeddedHostProcess>} hosts by name
 * @property {import("./pulumi/stack.mjs").Stack} stack
 * @property {typeof iscsi} iscsi
 * @property {ReturnType<typeof createNarrative>["heading"]} heading
 * @property {ReturnType<typeof createNarrative>["note"]} note
 * @property {ReturnType<typeof createNarrative>["check"]} check
 */

/**
 * @typedef {object} Checks
 * @property {readonly string[]} [hosts]
 * @property {readonly string[]} [pools]
 * @property {boolean} [inline]
 * @property {Record<string, string>} [secrets]
 * @property {(hosts: Scene["hosts"]) => Record<string, unknown>} [config]
 * @property {(scene: Scene) => unknown} [arrange]
 * @property {(scene: Scene) => unknown} [check]
 */

/** Names of all examples. */
export function exampleNames() {
    if (!existsSync(examples)) return [];
    return readdirSync(examples)
        .filter((name) => existsSync(join(examples, name, "Pulumi.yaml")))
        .sort();
}

/** @param {string[]} args */
export async function example(args) {
    const [name] = args;
    if (name === undefined || !exampleNames().includes(name)) {
        process.stderr.write(
            `usage: npm run example -- NAME, where NAME is one of ${exampleNames().join(", ")}\n`,
        );
        return 2;
    }
    await runExample(name);
    return 0;
}

/** @param {string} name */
export async function runExample(name) {
    const prepared = await prepare({ packages: true, pulumi: true, packed: true });
    const project = join(examples, name);
    const checks = await readChecks(project);
    const directory = temporaryDirectory(`example-${name}`);
    const { heading, note, check, echo } = createNarrative();

    /** @type {Scene["hosts"]} */
    const hosts = {};
    for (const host of checks.hosts ?? ["embedded"]) {
        const dir = join(directory, host);
        hosts[host] = await startEmbeddedHostProcess({ dir, name: host, pools: checks.pools ?? ["fast"] });
    }
    const [host] = Object.values(hosts);
    if (!host) throw new Error(`${name} has no hosts`);
    try {
        const configurations = Object.fromEntries(
            Object.values(hosts).map((each) => [each.name, each.configuration]),
        );
        const stack = await createStack({
            project,
            directory: join(directory, "pulumi"),
            environment: prepared.pulumiEnvironment(join(directory, "pulumi")),
            config: {
                ...(checks.inline ? { host: host.configuration } : { "blockhost:hosts": configurations }),
                ...checks.config?.(hosts),
            },
            secrets: checks.secrets ?? {},
            onLine: echo,
        });
        /** @type {Scene} */
        const scene = { host, hosts, stack, iscsi, heading, note, check };

        await checks.arrange?.(scene);
        heading(`pulumi up of examples/${name}`);
        await stack.up();
        await checks.check?.(scene);

        heading("pulumi up again");
        const { changes } = await stack.up();
        const changed = Object.keys(changes).filter((change) => change !== "same");
        check("nothing changes", changed.length === 0, changes);

        heading("pulumi destroy");
        await stack.destroy();
        const { resources = [] } = (await stack.state()).deployment;
        check("no resource is left", resources.length === 0, resources);
        for (const each of Object.values(hosts)) {
            const targets = each.tgt ? await iscsi.discover(each.tgt.portal) : [];
            check(`no target is left on ${each.name}`, targets.length === 0, targets);
        }
    } finally {
        for (const each of Object.values(hosts)) await each.stop();
        removeDirectory(directory);
    }
}

/**
 * @param {string} project
 * @returns {Promise<Checks>}
 */
async function readChecks(project) {
    const file = join(project, "check.mjs");
    return existsSync(file) ? import(pathToFileURL(file).href) : {};
}
