import { toBlockhostError } from "../errors";
import { importFileCommand } from "./importFile";
import { statusCommand } from "./status";
import type { Command } from "./types";
import { uninstallCommand } from "./uninstall";

/** Every verb of the command `blockhost`. */
const commands: Readonly<Record<string, Command>> = {
    status: statusCommand,
    uninstall: uninstallCommand,
    "import-file": importFileCommand,
};

/** @returns the exit status: 2 for a verb that there is not */
export async function main(args: readonly string[]): Promise<number> {
    const [verb = "", ...rest] = args;
    const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined;
    if (command === undefined || rest.includes("--help")) {
        const shown = command === undefined ? Object.values(commands) : [command];
        const text = shown.map(({ usage, about }) => `blockhost ${usage}\n    ${about}\n`).join("\n");
        (command === undefined && verb !== "--help" ? process.stderr : process.stdout).write(text);
        return command === undefined && verb !== "--help" ? 2 : 0;
    }
    try {
        return await command.run(rest);
    } catch (error) {
        process.stderr.write(`blockhost ${verb}: ${toBlockhostError(error).message}\n`);
        return 1;
    }
}
