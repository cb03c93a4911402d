import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BlockhostError } from "../errors";
import { importFile } from "../resources/importFile";
import { contextOf } from "./stackFile";
import type { Command } from "./types";

/** `blockhost import-file HOST`: a file for `pulumi import --file`. */
export const importFileCommand: Command = {
    usage: "import-file HOST [--config FILE | --stack NAME] [--of [ORGANIZATION/]PROJECT/STACK] [--unmanaged] [--out FILE]",
    about: `Writes a file for \`pulumi import --file\`: what the host holds under owner marks.
    --config FILE  a stack's file, Pulumi.<stack>.yaml; needs neither Pulumi nor a passphrase
    --stack NAME   the same by the stack's name, in the project's folder; default: the one that is selected
    --of …         only what this stack has declared
    --unmanaged    volumes without an owner mark, too; the first \`pulumi up\` after the import takes them over
    --out FILE     default: standard output`,
    async run(args) {
        const { values, positionals } = parseArgs({
            args: [...args],
            allowPositionals: true,
            options: {
                config: { type: "string" },
                stack: { type: "string" },
                of: { type: "string" },
                unmanaged: { type: "boolean" },
                out: { type: "string" },
            },
        });
        const [host, ...more] = positionals;
        if (host === undefined || more.length > 0)
            throw new BlockhostError("invalid", "name one host", {
                hint: "`blockhost import-file HOST`, with a name that the host has in blockhost:hosts",
            });
        const context = await contextOf(values);
        try {
            const owner = values.of === undefined ? {} : parseOwner(values.of);
            const file = await importFile(context, host, { ...owner, unmanaged: values.unmanaged });
            const text = `${JSON.stringify(file, null, 2)}\n`;
            if (values.out === undefined) process.stdout.write(text);
            else writeFileSync(values.out, text);
            return 0;
        } finally {
            await context.hosts.close();
        }
    },
};

function parseOwner(text: string) {
    const parts = text.split("/");
    const [stack, project, organization] = parts.reverse();
    if (project === undefined || parts.length > 3 || parts.includes("")) {
        throw new BlockhostError(
            "invalid",
            `--of: ${JSON.stringify(text)} is not [ORGANIZATION/]PROJECT/STACK`,
        );
    }
    return { stack, project, organization };
}
