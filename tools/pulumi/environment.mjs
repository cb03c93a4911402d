// @ts-check
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { checkout } from "../paths.mjs";
import { searchPath } from "../prepare/executables.mjs";

/**
 * The environment of a Pulumi that keeps everything in one directory of its own: nothing of the user's (login, plugins,
 * stacks, configuration) is read or changed.
 *
 * @param {import("./cli.mjs").PulumiCli} cli
 * @param {string} directory
 * @param {string} [yamlHost] the folder of the language host for YAML programs
 * @returns {Record<string, string>} whole, to be given to a child as it is
 */
export function pulumiEnvironment(cli, directory, yamlHost) {
    const home = join(directory, "home");
    const state = join(directory, "state");
    for (const path of [home, state]) mkdirSync(path, { recursive: true });
    if (!cli.official) installStandIns(home);
    if (yamlHost && !cli.official)
        installPlugin(home, "language", "yaml", join(yamlHost, "pulumi-language-yaml"));
    return {
        ...withoutPulumiVariables(process.env),
        PATH: [...new Set([cli.directory, ...searchPath()])].join(delimiter),
        PULUMI_HOME: home,
        PULUMI_BACKEND_URL: `file://${state}`,
        PULUMI_CONFIG_PASSPHRASE: "not a secret: this back end is thrown away",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    };
}

/**
 * The stand-ins go where Pulumi keeps plugins that it has downloaded. It would find them on PATH too, but warn about
 * each of them at every command.
 *
 * @param {string} home
 */
function installStandIns(home) {
    for (const [kind, name] of /** @type {const} */ ([
        ["language", "nodejs"],
        ["language", "python"],
        ["language", "go"],
        ["resource", "pulumi-nodejs"],
    ])) {
        installPlugin(home, kind, name, join(checkout, "tools", "pulumi", "bin", `pulumi-${kind}-${name}`));
    }
}

/** @param {string} home @param {string} kind @param {string} name @param {string} executable */
function installPlugin(home, kind, name, executable) {
    const plugin = join(home, "plugins", `${kind}-${name}-v0.0.1`);
    mkdirSync(plugin, { recursive: true });
    const link = join(plugin, `pulumi-${kind}-${name}`);
    if (!existsSync(link)) symlinkSync(executable, link);
}

/**
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Record<string, string>}
 */
function withoutPulumiVariables(environment) {
    /** @type {Record<string, string>} */
    const rest = {};
    for (const [name, value] of Object.entries(environment)) {
        if (value !== undefined && !name.startsWith("PULUMI_")) rest[name] = value;
    }
    return rest;
}
