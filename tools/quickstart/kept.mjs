// @ts-check
/** `--keep` and `--stop`: a quickstart that goes on after its process has ended. */
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answers, until } from "../embedded-host/ports.mjs";
import { processesMarked, signal } from "../embedded-host/processes.mjs";
import { keepDirectory, removeDirectory } from "../lifetime.mjs";
import { checkout } from "../paths.mjs";

const record = "kept.json";

/** In the environment of all that a quickstart starts, and of nothing that its user starts afterwards. */
export const startedVariable = "BLOCKHOST_QUICKSTART";

/**
 * @param {object} kept
 * @param {string} kept.directory
 * @param {import("../embedded-host/process.mjs").EmbeddedHostProcess} kept.host
 * @param {import("../pulumi/stack.mjs").Stack} kept.stack
 */
export async function keepRunning({ directory, host, stack }) {
    await host.release();
    keepDirectory(directory);
    writeFileSync(join(directory, record), JSON.stringify({ pid: host.pid, port: host.port }));
    const environmentFile = join(directory, "environment.sh");
    // Stacks that have no `blockhost:hosts` take them from there, and commands do that need no stack.
    const hosts = JSON.stringify({ [host.name]: host.configuration });
    const settings = Object.entries(stack.environment).filter(
        ([name]) => name === "PATH" || name.startsWith("PULUMI_"),
    );
    const variables = [...settings, /** @type {[string, string]} */ (["BLOCKHOST_HOSTS", hosts])];
    const yaml = join(directory, "yaml");
    mkdirSync(yaml);
    const program = yamlProgram(host.name);
    writeFileSync(join(yaml, "Pulumi.yaml"), program);
    writeFileSync(
        environmentFile,
        variables.map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`).join(""),
    );
    const where = `--stack ${stack.name} --config-file ${stack.configFile}`;
    process.stdout.write(`
It is all still there. To look around, open a shell that knows this stack, in this folder:

    ( . ${environmentFile}; exec "\${SHELL:-sh}" )

and in it, for example:

    pulumi stack --stack ${stack.name} --show-ids
    pulumi stack output --stack ${stack.name} --show-secrets
    pulumi config set ${where} dataSize 128MiB
    pulumi up ${where}
    ls -l ${host.poolDirectories["fast"]}
    ssh -i ${host.privateKeyFile} -p ${host.port} -o StrictHostKeyChecking=accept-new \\
        -o UserKnownHostsFile=${join(directory, "known_hosts")} ${host.user}@${host.address}
    tgtadm -C ${host.tgt?.controlPort} --lld iscsi --mode target --op show

The program is examples/quickstart/index.ts; change it and run pulumi up again.

For programs of your own, host "${host.name}" with pool "fast" is in that shell's BLOCKHOST_HOSTS. Elsewhere it goes
into the stack's configuration, as \`blockhost:hosts\` stands in ${stack.configFile}.
One in YAML is in ${yaml}/Pulumi.yaml:

${program.replace(/^(?=.)/gm, "    ")}
    cd ${yaml} && pulumi stack init mine && pulumi up

The stacks and all else are in ${directory}, so there is no need for pulumi destroy.
To end and remove it, from this or any other shell (then leave that one with exit):

    npm run quickstart -- --stop
`);
}

/** A program of one volume, which finds the plugin in this checkout. @param {string} host */
function yamlProgram(host) {
    return `name: mine
runtime: yaml
plugins:
  providers:
    - name: blockhost
      path: ${join(checkout, "node_modules", "pulumi-blockhost", "bin")}
resources:
  mine:
    type: blockhost:Volume
    properties:
      host: ${host}
      pool: fast
      size: 32MiB
outputs:
  path: \${mine.path}
`;
}

const strayShell = `This shell's Pulumi settings led there: leave it with exit, or take them back with

    unset PULUMI_HOME PULUMI_BACKEND_URL PULUMI_CONFIG_PASSPHRASE PULUMI_SKIP_UPDATE_CHECK \\
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION BLOCKHOST_HOSTS
`;

/**
 * @param {string | undefined} directory of one; without it, all
 * @returns {Promise<number>} exit status
 */
export async function stopKept(directory) {
    const kept = directory === undefined ? findKept() : [directory];
    if (kept.length === 0) process.stdout.write("Nothing was kept.\n");
    for (const path of kept) {
        if (!existsSync(join(path, record))) {
            process.stderr.write(
                `No quickstart was kept in ${path}. Without a folder, all that were are ended:\n\n    npm run quickstart -- --stop\n`,
            );
            return 1;
        }
        const { pid, port } = JSON.parse(readFileSync(join(path, record), "utf8"));
        // The process id may be somebody else's by now: the host's own answers at its port, and names its folder.
        if (isHostOf(pid, path)) {
            signal(pid, "SIGTERM");
            await until(async () => !isHostOf(pid, path) && !(await answers({ host: "127.0.0.1", port })), {
                timeoutMs: 15_000,
                what: "ending the embedded host",
            });
        }
        // Not by PULUMI_HOME, which shells have that have read environment.sh, and this process with them.
        for (const left of processesMarked(path, startedVariable)) signal(left, "SIGKILL");
        removeDirectory(path);
        process.stdout.write(`Ended and removed: ${path}\n`);
        if (process.env["PULUMI_HOME"]?.startsWith(`${path}/`)) process.stdout.write(strayShell);
    }
    return 0;
}

function findKept() {
    const parent = realpathSync(tmpdir());
    return readdirSync(parent)
        .filter((name) => name.startsWith("blockhost-quickstart-"))
        .map((name) => join(parent, name))
        .filter((path) => existsSync(join(path, record)));
}

/** @param {number} pid @param {string} directory */
function isHostOf(pid, directory) {
    try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join(directory, "host"));
    } catch {
        return false;
    }
}
