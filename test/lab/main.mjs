// @ts-check
/** `npm run lab`: starts a lab that goes on running, shows it, gets into it, stops it. */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runAttached } from "../../tools/command.mjs";
import { cacheDirectory } from "../../tools/paths.mjs";
import { StepFailed, createProgress } from "../../tools/prepare/progress.mjs";
import { attachLab, labState, startLab, stopLab } from "./lab.mjs";
import { hostNames } from "./layout.mjs";

const usage = `usage: npm run lab -- [start|status|stop] [--dir DIR] [--hosts a,b,c] [--boot]
       npm run lab -- ssh [--dir DIR] [--user root|storage|plain] HOST [COMMAND…]
`;

/** @param {string[]} args @returns {Promise<number>} exit status */
export async function lab(args) {
    const verb = args[0] === undefined || args[0].startsWith("-") ? "start" : args[0];
    const rest = args[0] === verb ? args.slice(1) : args;
    if (verb === "ssh") return ssh(rest);
    const { values } = parseArgs({
        args: rest,
        options: { dir: { type: "string" }, hosts: { type: "string" }, boot: { type: "boolean" } },
    });
    const directory = directoryOf(values.dir);
    if (verb === "start") return start(directory, values.hosts, values.boot ?? false);
    if (verb === "status") return status(directory);
    if (verb === "stop") return stop(directory);
    process.stderr.write(usage);
    return 2;
}

/** @param {string | undefined} option */
function directoryOf(option) {
    return option === undefined ? join(cacheDirectory(), "lab", "running") : resolve(option);
}

/** @param {string} directory @param {string | undefined} list @param {boolean} boot */
async function start(directory, list, boot) {
    const names = /** @type {import("./layout.mjs").HostName[]} */ (list?.split(",") ?? hostNames);
    const unknown = names.find((name) => !hostNames.includes(name));
    if (unknown !== undefined) {
        throw new StepFailed(`The lab has no host ${unknown}.`, `choose among ${hostNames.join(", ")}.`);
    }
    const before = labState(directory);
    if (before === "on") return status(directory);
    if (before === "broken") await stopLab(directory);
    const progress = createProgress();
    const started = await progress.step(`starting ${names.join(", ")}`, (say) =>
        startLab({ directory, hosts: names, keep: true, boot, say }),
    );
    started.disconnect();
    return status(directory);
}

/** @param {string} directory */
function status(directory) {
    if (labState(directory) !== "on") {
        process.stdout.write("no lab is running: npm run lab\n");
        return 1;
    }
    const { hosts } = attachLab(directory);
    const lines = hosts.map((host) => {
        const { ports, disks } = host.machine.record();
        const forwarded = Object.entries(ports).map(([port, own]) => `${port} → 127.0.0.1:${own}`);
        return [
            `${host.name}  ${host.isOn() ? "on" : "off"}`,
            `    addresses  ${[...host.addresses.ipv4, ...host.addresses.ipv6].join("  ")}`,
            `    ports      ${forwarded.join("  ")}`,
            `    disks      ${disks.map((disk) => host.diskPath(disk)).join("\n               ")}`,
            `    host key   ${host.hostKey}`,
        ].join("\n");
    });
    const option = directory === directoryOf(undefined) ? "" : ` --dir ${directory}`;
    process.stdout.write(`${lines.join("\n")}

key         ${hosts[0]?.privateKeyFile}
users       root, storage (sudo without a password), plain (no sudo)
get in      npm run lab -- ssh${option} ${hosts[0]?.name}
stop        npm run lab -- stop${option}
`);
    return 0;
}

/** @param {string} directory */
async function stop(directory) {
    if (labState(directory) !== "none") await stopLab(directory);
    return 0;
}

/** @param {string[]} args */
async function ssh(args) {
    /** @type {Record<string, string>} */
    const options = {};
    const rest = [...args];
    while (rest[0]?.startsWith("--")) {
        const [name = "", value = ""] = rest.splice(0, 2);
        if (!["--dir", "--user"].includes(name) || value === "") {
            process.stderr.write(usage);
            return 2;
        }
        options[name] = value;
    }
    const [name, ...command] = rest;
    const running = attachLab(directoryOf(options["--dir"]));
    const host = running.hosts.find((one) => one.name === name);
    if (!host) {
        process.stderr.write(`${usage}HOST is one of ${running.hosts.map((one) => one.name).join(", ")}\n`);
        return 2;
    }
    return runAttached("ssh", [
        ...[
            "-p",
            String(host.port),
            "-i",
            host.privateKeyFile,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "LogLevel=ERROR",
        ],
        ...[
            "-F",
            "none",
            "-o",
            `UserKnownHostsFile=${host.knownHostsFile}`,
            "-o",
            `HostKeyAlias=lab-${host.name}`,
        ],
        `${options["--user"] ?? "root"}@127.0.0.1`,
        ...command,
    ]);
}
