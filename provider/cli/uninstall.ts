import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { BlockhostError } from "../errors";
import { type Uninstallation, planUninstallation, uninstall } from "../resources/uninstall";
import { contextOf } from "./stackFile";
import type { Command } from "./types";

/** `blockhost uninstall HOST`: takes off a host what we keep there beside the data. */
export const uninstallCommand: Command = {
    usage: "uninstall HOST [--config FILE | --stack NAME] [--marks] [--force] [--yes]",
    about: `Removes from a host what blockhost keeps there beside the data: the unit that makes exports at boot, the state
    directory, profiles of LVM that nothing goes by. Says first what it will do, and asks.
    --config FILE  a stack's file, Pulumi.<stack>.yaml
    --stack NAME   the same by the stack's name, in the project's folder; default: the one that is selected
    --marks        also takes the owner marks off all data there, whichever stack's it is; the data stays
    --force        also while there are exports or long work; exports then do not come back after a restart
    --yes          does not ask`,
    async run(args) {
        const { values, positionals } = parseArgs({
            args: [...args],
            allowPositionals: true,
            options: {
                config: { type: "string" },
                stack: { type: "string" },
                marks: { type: "boolean" },
                force: { type: "boolean" },
                yes: { type: "boolean" },
            },
        });
        const [host, ...more] = positionals;
        if (host === undefined || more.length > 0) throw new BlockhostError("invalid", "name one host");
        const context = await contextOf(values);
        const options = { marks: values.marks === true, force: values.force === true };
        try {
            const plan = await planUninstallation(context, host, options);
            process.stdout.write(`${describe(host, plan)}\n`);
            const blocked = plan.obstacles.length > 0 && !options.force;
            if (!blocked && values.yes !== true && !(await confirmed())) {
                process.stdout.write("nothing was done\n");
                return 1;
            }
            await uninstall(context, host, options);
            process.stdout.write("done\n");
            return 0;
        } finally {
            await context.hosts.close();
        }
    },
};

function describe(host: string, { files, released, stays, obstacles }: Uninstallation): string {
    const list = (title: string, items: readonly string[]) =>
        items.length === 0 ? [] : [title, ...items.map((item) => `    ${item}`)];
    return [
        `On host ${host}:`,
        ...list("  speaks against it:", obstacles),
        ...list("  is removed:", files),
        ...list("  loses its owner mark:", released),
        ...list("  stays:", stays),
    ].join("\n");
}

/** Whoever is not there to be asked has to say `--yes`. */
async function confirmed(): Promise<boolean> {
    if (!process.stdin.isTTY) {
        throw new BlockhostError("invalid", "this has to be confirmed", { hint: "say `--yes`" });
    }
    const asking = createInterface({ input: process.stdin, output: process.stdout });
    try {
        return /^y(es)?$/i.test((await asking.question("Go on? [y/N] ")).trim());
    } finally {
        asking.close();
    }
}
