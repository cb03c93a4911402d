// @ts-check
/**
 * `npm run quickstart`: the root Pulumi.yaml project, carried out for real on an embedded storage host.
 *
 *     --keep          leaves everything running at the end, and says how to look around
 *     --stop [DIR]    ends what --keep left running
 */
import { parseArgs } from "node:util";
import { startEmbeddedHostProcess } from "./embedded-host/process.mjs";
import { removeDirectory, temporaryDirectory } from "./lifetime.mjs";
import { createNarrative } from "./narrative.mjs";
import { checkout } from "./paths.mjs";
import { prepare } from "./prepare.mjs";
import { StepFailed } from "./prepare/progress.mjs";
import { createStack } from "./pulumi/stack.mjs";
import { keepRunning, startedVariable, stopKept } from "./quickstart/kept.mjs";
import { tellStory } from "./quickstart/story.mjs";

/** What `pulumi destroy` says of a stack that stays; this one goes with its back end. */
const aboutHistory = /history and configuration associated with the stack|`pulumi stack rm /;

/** @param {string[]} args */
export async function quickstart(args) {
    const { values, positionals } = argumentsOf(args);
    if (values.stop) return stopKept(positionals[0]);

    const started = performance.now();
    const prepared = await prepare({
        packages: true,
        pulumi: true,
        packed: true,
        // Whoever looks around may want to write a program without a compiler.
        yaml: values.keep === true,
    });
    const toolsReady = performance.now();
    const directory = temporaryDirectory("quickstart");
    const narrative = createNarrative();
    const statsFile = `${directory}/stats.jsonl`;

    narrative.heading("A storage host of your own");
    const host = await startEmbeddedHostProcess({ dir: `${directory}/host` });
    narrative.note(
        `SSH on ${host.address}:${host.port}, host key ${host.hostKey}\n` +
            `iSCSI portal ${host.tgt?.portal}, pool directory ${host.poolDirectories["fast"]}`,
    );

    const stack = await createStack({
        project: checkout,
        directory: `${directory}/pulumi`,
        environment: {
            ...prepared.pulumiEnvironment(`${directory}/pulumi`),
            [startedVariable]: directory,
            BLOCKHOST_STATS_FILE: statsFile,
        },
        config: { "blockhost:hosts": { embedded: host.configuration } },
        secrets: { chap: "quickstart-secret" },
        onLine: (line) => aboutHistory.test(line) || narrative.echo(line),
    });
    await tellStory({ narrative, host, stack, statsFile, keep: values.keep === true });
    const seconds = ((performance.now() - toolsReady) / 1000).toFixed(0);
    narrative.note(`${seconds} s, and ${((toolsReady - started) / 1000).toFixed(1)} s for the tools`);

    if (values.keep) await keepRunning({ directory, host, stack });
    else {
        await host.stop();
        removeDirectory(directory);
        narrative.note("The storage host has been ended and its folder removed: nothing is left of it.");
    }
    return 0;
}

/**
 * @param {string[]} args
 * @throws StepFailed with the usage
 */
function argumentsOf(args) {
    try {
        return parseArgs({
            args,
            allowPositionals: true,
            options: { keep: { type: "boolean" }, stop: { type: "boolean" } },
        });
    } catch (error) {
        throw new StepFailed(
            error instanceof Error ? error.message : String(error),
            "the options are --keep (leave it running) and --stop [FOLDER] (end what --keep left): npm run quickstart -- --keep",
        );
    }
}
