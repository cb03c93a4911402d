import { parseArgs } from "node:util";
import { toBlockhostError } from "../errors";
import { hostStatus } from "./hostStatus";
import { readState } from "./knownResources";
import { LEVELS, worst } from "./levels";
import { contextOf } from "./stackFile";
import { statusText } from "./statusText";
import type { Command } from "./types";

/** `blockhost status`: pools, exports, orphans and long work of hosts, with the exit status of a monitoring plugin. */
export const statusCommand: Command = {
    usage: "status [HOST…] [--config FILE | --stack NAME] [--state FILE] [--json]",
    about: `Says how the storage hosts are, and changes nothing.
    HOST…          default: all of the configuration
    --config FILE  a stack's file, Pulumi.<stack>.yaml; needs neither Pulumi nor a passphrase
    --stack NAME   the same by the stack's name, in the project's folder; default: the one that is selected
    --state FILE   what \`pulumi stack export\` wrote: what the stack's state does not know counts as an orphan
    --json         for programs
    Exit status: 0 ok, 1 warning, 2 critical, 3 unknown.`,
    async run(args) {
        try {
            return await run(args);
        } catch (error) {
            process.stderr.write(`BLOCKHOST UNKNOWN: ${toBlockhostError(error).message}\n`);
            return LEVELS.unknown;
        }
    },
};

async function run(args: readonly string[]): Promise<number> {
    const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
            config: { type: "string" },
            stack: { type: "string" },
            state: { type: "string" },
            json: { type: "boolean" },
        },
    });
    const known = values.state === undefined ? undefined : readState(values.state);
    const context = await contextOf(values);
    try {
        const names = positionals.length > 0 ? positionals : context.hosts.names();
        const hosts = await Promise.all(names.map((name) => hostStatus(context, name, known)));
        const level = worst(hosts.map((host) => host.level));
        const text = values.json === true ? JSON.stringify({ level, hosts }, null, 2) : statusText(hosts);
        process.stdout.write(`${text}\n`);
        return LEVELS[level];
    } finally {
        await context.hosts.close();
    }
}
