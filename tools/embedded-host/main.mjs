// @ts-check
/**
 * The embedded host as a process of its own:
 *
 *     node tools/embedded-host/main.mjs [--dir D] [--name N] [--pools a,b] [--no-tgt] [--port P]
 *
 * One line of JSON on standard output says that it is ready and what it is. From then on a line `{"id", "do", "with"}`
 * on standard input is answered by `{"id", "result"}` or `{"id", "error"}`. It ends when standard input does (unless
 * told to `release` itself before) and at SIGINT, SIGTERM or SIGHUP.
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { endNow, endOnSignals } from "../lifetime.mjs";
import { startEmbeddedHost } from "./index.mjs";

const { values } = parseArgs({
    options: {
        dir: { type: "string" },
        name: { type: "string" },
        pools: { type: "string" },
        "no-tgt": { type: "boolean" },
        port: { type: "string" },
    },
});

endOnSignals();
const host = await startEmbeddedHost({
    ...(values.dir !== undefined && { dir: values.dir }),
    ...(values.name !== undefined && { name: values.name }),
    ...(values.pools !== undefined && { pools: values.pools.split(",") }),
    ...(values.port !== undefined && { port: Number(values.port) }),
    tgt: values["no-tgt"] !== true,
});

let released = false;

/** @type {Record<string, (argument: any) => unknown>} */
const actions = {
    counters: () => host.counters,
    configuration: (more) => host.configuration(more),
    cutConnections: () => host.cutConnections(),
    setReachable: (whether) => host.setReachable(whether),
    killShells: () => host.killShells(),
    changeHostKey: () => {
        host.changeHostKey();
        return host.hostKey;
    },
    stopTgtd: (name) => host.stopTgtd(name),
    startTgtd: () => host.startTgtd(),
    powerOff: () => host.powerOff(),
    powerOn: () => host.powerOn(),
    release: () => (released = true),
};

const requests = createInterface({ input: process.stdin });
requests.on("line", (line) => void answer(line));
requests.on("close", () => {
    if (!released) void endNow().then(() => process.exit(0));
});

/** @param {string} line */
async function answer(line) {
    const { id, do: name, with: argument } = JSON.parse(line);
    try {
        const action = actions[name];
        if (!action) throw new Error(`it cannot ${name}; it can ${Object.keys(actions).join(", ")}`);
        say({ id, result: (await action(argument)) ?? null });
    } catch (error) {
        say({ id, error: error instanceof Error ? error.message : String(error) });
    }
}

/** @param {unknown} message */
function say(message) {
    process.stdout.write(`${JSON.stringify(message)}\n`);
}

say({
    pid: process.pid,
    name: host.name,
    directory: host.directory,
    address: host.address,
    port: host.port,
    user: host.user,
    hostKey: host.hostKey,
    privateKeyFile: host.privateKeyFile,
    poolDirectories: host.poolDirectories,
    stateDirectory: host.stateDirectory,
    tgt: host.tgt && { controlPort: host.tgt.controlPort, portal: host.tgt.portal, pid: host.tgt.pid },
    configuration: host.configuration(),
});
