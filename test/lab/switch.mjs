// @ts-check
import { spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/command.mjs";
import { answers, until } from "../../tools/embedded-host/ports.mjs";
import { spawnDaemon } from "../../tools/embedded-host/processes.mjs";

/**
 * Starts a network between the hosts of a lab: an Ethernet switch on a unix socket.
 *
 * @param {{ directory: string, keep: boolean, env: NodeJS.ProcessEnv }} options `directory` is made and holds the socket
 */
export async function startSwitch({ directory, keep, env }) {
    // It ends with its standard input. A pipe that it holds open itself never ends.
    const input = `${directory}.input`;
    await run("mkfifo", ["-m", "600", input]);
    const fd = openSync(input, constants.O_RDWR);
    const start = keep ? spawn : spawnDaemon;
    const child = start("vde_switch", ["-sock", directory, "-mode", "600", "-numports", "16"], {
        stdio: [fd, "ignore", "ignore"],
        env,
        detached: true,
    });
    closeSync(fd);
    /** @type {string | undefined} */
    let failed;
    child.once("error", (error) => (failed = error.message));
    child.once("exit", (status) => (failed = `it ended with status ${status}`));
    if (keep) child.unref();
    await until(
        () => {
            if (failed !== undefined) throw new Error(`vde_switch did not start: ${failed}`);
            return answers({ path: join(directory, "ctl") });
        },
        { timeoutMs: 10_000, what: "starting vde_switch" },
    );
}
