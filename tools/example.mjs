// @ts-check
/**
 * `npm run example -- NAME`: runs examples/NAME as the tests do. Starts the hosts that it needs, then up, its checks, a
 * second up that must change nothing, and destroy, after which nothing may be left.
 *
 * What an example has to show is in tools/examples/NAME.mjs, so that the example itself is what a user would write.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startEmbeddedHostProcess } from "./embedded-host/process.mjs";
import { targetsOf } from "./embedded-host/tgtd.mjs";
import * as iscsi from "./iscsi.mjs";
import { removeDirectory, temporaryDirectory } from "./lifetime.mjs";
import { createNarrative } from "./narrative.mjs";
import { checkout } from "./paths.mjs";
import { prepare } from "./prepare.mjs";
import { createProgress } from "./prepare/progress.mjs";
import { createStack } from "./pulumi/stack.mjs";

const examples = join(checkout, "examples");

/**
 * What the checks of an example work with.
 *
 * @typedef {object} Scene
 * @property {import("./embedded-host/process.mjs").EmbeddedHostProcess} host
 * @property {import("./pulumi/stack.mjs").Stack} stack
 * @property {(name: string) => Promise<import("./pulumi/stack.mjs").Stack>} stackOf a stack of another example, on the
 *     same host
 * @property {typeof iscsi} iscsi
 * @property {ReturnType<typeof createNarrative>["heading"]} heading
 * @property {ReturnType<typeof createNarrative>["check"]} check
 */

/**
 * The same for an example that runs on hosts of the lab.
 *
 * @typedef {Pick<Scene, "stack" | "heading" | "check"> & { lab: import("../test/lab/lab.mjs").Lab }} LabScene
 */

/**
 * What tools/examples/NAME.mjs may export.
 *
 * @typedef {object} Checks
 * @property {import("../test/lab/layout.mjs").HostName[]} [lab] hosts of the lab that it runs on, in place of the
 *     embedded one; the scene is a {@link LabScene} then
 * @property {string} [inline] key of the configuration in which the program expects its host
 * @property {(scene: { lab: import("../test/lab/lab.mjs").Lab }) => Record<string, unknown>} [config] by key: on the
 *     embedded host, beside host, pool and size
 * @property {Record<string, string>} [secrets] by key
 * @property {(scene: any) => unknown} [arrange] what has to be there before the first up
 * @property {(scene: any) => unknown} [check] what has to hold after it
 * @property {(scene: any) => unknown} [checkDestroyed] what has to hold at the end
 */

/** Names of all examples. */
export function exampleNames() {
    if (!existsSync(examples)) return [];
    return readdirSync(examples)
        .filter((name) => existsSync(join(examples, name, "Pulumi.yaml")))
        .sort();
}

/** Names of those that run on the embedded host, or on hosts of the lab. @param {"embedded" | "lab"} place */
export async function examplesOn(place) {
    /** @type {string[]} */
    const names = [];
    for (const name of exampleNames()) {
        const { lab } = await readChecks(name);
        if ((lab === undefined) === (place === "embedded")) names.push(name);
    }
    return names;
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
    const runtime = runtimeOf(name);
    const checks = await readChecks(name);
    const prepared = await prepare({
        packages: true,
        pulumi: true,
        packed: true,
        yaml: runtime === "yaml",
        python: runtime === "python",
        go: runtime === "go",
        lab: checks.lab !== undefined,
    });
    const directory = temporaryDirectory(`example-${name}`);
    const { heading, check, echo } = createNarrative();
    const place = await (checks.lab === undefined ? embeddedPlace(directory) : labPlace(checks.lab));

    /** @param {string} example @param {Checks} its */
    const stackOf = (example, its) =>
        createStack({
            project: join(examples, example),
            directory: join(directory, "pulumi", example),
            environment: prepared.pulumiEnvironment(join(directory, "pulumi", example)),
            config: place.config(its),
            secrets: its.secrets ?? {},
            onLine: echo,
        });

    try {
        const stack = await stackOf(name, checks);
        const scene = {
            ...place.scene,
            stack,
            stackOf: async (/** @type {string} */ other) => stackOf(other, await readChecks(other)),
            iscsi,
            heading,
            check,
        };

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
        const targets = await place.targets();
        check("no target is left on the host", targets.length === 0, targets);
        await checks.checkDestroyed?.(scene);
    } finally {
        await place.stop();
        removeDirectory(directory);
    }
}

/** @param {string} directory */
async function embeddedPlace(directory) {
    const host = await startEmbeddedHostProcess({ dir: join(directory, "host") });
    return {
        scene: { host },
        /** @param {Checks} checks */
        config: (checks) => ({
            ...(checks.inline
                ? { [checks.inline]: host.configuration }
                : { "blockhost:hosts": { embedded: host.configuration }, host: "embedded" }),
            pool: "fast",
            size: "64MiB",
            .../** @type {any} */ (checks).config?.(),
        }),
        targets: async () => (host.tgt ? targetsOf(host.tgt.controlPort) : []),
        stop: () => host.stop(),
    };
}

/** @param {import("../test/lab/layout.mjs").HostName[]} hosts */
async function labPlace(hosts) {
    // Uses npm packages, which were not there before.
    const { startLab } = await import("../test/lab/lab.mjs");
    const progress = createProgress();
    const lab = await progress.step(`starting hosts ${hosts.join(" and ")} of the lab`, (say) =>
        startLab({ hosts, say }),
    );
    return {
        scene: { lab },
        /** @param {Checks} checks */
        config: (checks) => checks.config?.({ lab }) ?? {},
        // Its checks look for themselves.
        targets: async () => [],
        stop: () => lab.stop(),
    };
}

/** @param {string} name */
function runtimeOf(name) {
    return /^runtime:\s*(\S+)/m.exec(readFileSync(join(examples, name, "Pulumi.yaml"), "utf8"))?.[1];
}

/**
 * @param {string} name
 * @returns {Promise<Checks>}
 */
async function readChecks(name) {
    const file = join(checkout, "tools", "examples", `${name}.mjs`);
    return existsSync(file) ? import(pathToFileURL(file).href) : {};
}
