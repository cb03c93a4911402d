/**
 * What a host's configuration and ssh_config together say: ssh_config(5). Explicit configuration wins. `Match exec`
 * is not run, and ProxyCommand is refused: neither has a place in a provider that others start.
 */
import { readFileSync, readdirSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { BlockhostError } from "../errors";
import type { TransportConfig } from "./types";

/** Everything that is needed to reach one host, with no open question. */
export interface ResolvedHost {
    /** Name in the configuration; for errors. */
    name: string;
    host: string;
    port: number;
    user: string;
    /** Pinned fingerprints; empty when known_hosts decides. */
    hostKeys: string[];
    hostKeyAlias: string | undefined;
    knownHostsFiles: string[];
    /** IdentityFile lines of ssh_config. */
    identityFiles: string[];
    identitiesOnly: boolean;
    /** Path of the agent's socket. */
    agent: string | undefined;
    /** Hosts to go through, outermost first. */
    jump: ResolvedHost[];
    config: TransportConfig;
}

type Values = Record<string, string | string[]>;

/** Deepest nesting of Include and of jump hosts. */
const DEEPEST = 8;

/**
 * @param env for `HOME`, `SSH_AUTH_SOCK` and variables in ssh_config
 * @throws BlockhostError `invalid`, `unsupported`
 */
export async function resolveHost(
    config: TransportConfig,
    env: NodeJS.ProcessEnv = process.env,
    depth = 0,
): Promise<ResolvedHost> {
    if (depth > DEEPEST) {
        throw new BlockhostError("invalid", `the jump hosts lead in a circle at "${config.address}"`, {
            host: config.name,
            hint: "see ProxyJump in ~/.ssh/config",
        });
    }
    const home = env["HOME"] ?? homedir();
    const local = userInfo().username;
    const values = await readConfig(home, config.address, config.user);
    const one = (key: string): string | undefined => {
        const value = values[key];
        return Array.isArray(value) ? value[0] : value;
    };
    const user = config.user ?? one("user") ?? local;
    const host = (one("hostname") ?? "%h").replaceAll("%h", config.address).replaceAll("%%", "%");
    const port = config.port ?? Number(one("port") ?? 22);
    const expand = (path: string): string =>
        expandPath(path, { home, host, port, user, local, name: config.address, env });
    const files = (key: string): string[] => list(values[key]).filter(notNone).map(expand);
    const agent = one("identityagent");
    const knownHosts = files("userknownhostsfile");
    return {
        name: config.name,
        host,
        port,
        user,
        hostKeys: config.hostKey === undefined ? [] : [config.hostKey].flat(),
        hostKeyAlias: one("hostkeyalias"),
        knownHostsFiles:
            config.knownHostsFile !== undefined
                ? [expand(config.knownHostsFile)]
                : [
                      ...(knownHosts.length > 0
                          ? knownHosts
                          : [join(home, ".ssh/known_hosts"), join(home, ".ssh/known_hosts2")]),
                      ...(files("globalknownhostsfile").length > 0
                          ? files("globalknownhostsfile")
                          : ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]),
                  ],
        identityFiles: files("identityfile"),
        identitiesOnly: one("identitiesonly")?.toLowerCase() === "yes",
        agent:
            agent === undefined || agent === "SSH_AUTH_SOCK"
                ? env["SSH_AUTH_SOCK"]
                : notNone(agent)
                  ? expand(agent)
                  : undefined,
        jump: await jumps(config, one("proxyjump"), one("proxycommand"), env, depth),
        config,
    };
}

async function jumps(
    config: TransportConfig,
    proxyJump: string | undefined,
    proxyCommand: string | undefined,
    env: NodeJS.ProcessEnv,
    depth: number,
): Promise<ResolvedHost[]> {
    let hops = config.jump;
    if (hops === undefined && proxyJump !== undefined && notNone(proxyJump)) {
        hops = proxyJump.split(",").map((text) => parseJump(text.trim(), config));
    }
    if (
        hops === undefined &&
        proxyJump === undefined &&
        proxyCommand !== undefined &&
        notNone(proxyCommand)
    ) {
        throw new BlockhostError("unsupported", `ssh_config gives "${config.address}" a ProxyCommand`, {
            host: config.name,
            hint: "use ProxyJump there, or `jump` in the host's configuration",
        });
    }
    // Only the first hop is reached from here, so only its own ProxyJump counts.
    const chain: ResolvedHost[] = [];
    for (const [index, hop] of (hops ?? []).entries()) {
        const resolved = await resolveHost(index === 0 ? hop : { ...hop, jump: [] }, env, depth + 1);
        chain.push(...resolved.jump, resolved);
    }
    return chain;
}

/** `[user@]host[:port]` or `ssh://…`, as in ProxyJump. */
function parseJump(text: string, config: TransportConfig): TransportConfig {
    const match = /^(?:ssh:\/\/)?(?:(.+)@)?(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?\/?$/.exec(text);
    const address = match?.[2] ?? match?.[3];
    if (match === null || address === undefined) {
        throw new BlockhostError("invalid", `ProxyJump "${text}" is not [user@]host[:port]`, {
            host: config.name,
        });
    }
    return {
        name: `${config.name} (jump host ${text})`,
        address,
        user: match[1],
        port: match[4] === undefined ? undefined : Number(match[4]),
        connectTimeout: config.connectTimeout,
    };
}

async function readConfig(home: string, address: string, user: string | undefined): Promise<Values> {
    const { default: SSHConfig, glob } = await import("ssh-config");
    const text = [join(home, ".ssh/config"), "/etc/ssh/ssh_config"]
        .map((file) => `${readWithIncludes(file, dirname(file), home, glob, 0)}\n`)
        // A block lasts to the next Host or Match: the second file must not begin inside the first one's.
        .join("Host *\n");
    const options = { ignoreCase: true, matchExec: false };
    const config = SSHConfig.parse(text);
    return user === undefined
        ? config.compute(address, options)
        : config.compute({ Host: address, User: user }, options);
}

type Glob = (patterns: string, text: string) => boolean;

function readWithIncludes(file: string, folder: string, home: string, glob: Glob, depth: number): string {
    let text: string;
    try {
        text = readFileSync(file, "utf8");
    } catch {
        return "";
    }
    if (depth >= DEEPEST) return text;
    return text.replaceAll(/^[ \t]*Include[ \t=]+(.+)$/gim, (_line, patterns: string) =>
        words(patterns)
            .flatMap((pattern) => globFiles(pattern.replace(/^~\//, `${home}/`), folder, glob))
            .map((found) => readWithIncludes(found, folder, home, glob, depth + 1))
            .join("\n"),
    );
}

/** Files that an Include names; wildcards in the last part of the path only. */
function globFiles(pattern: string, folder: string, glob: Glob): string[] {
    const path = isAbsolute(pattern) ? pattern : join(folder, pattern);
    if (!/[*?]/.test(path)) return [path];
    try {
        return readdirSync(dirname(path))
            .filter((name) => !name.startsWith(".") && glob(basename(path), name))
            .sort()
            .map((name) => join(dirname(path), name));
    } catch {
        return [];
    }
}

interface Names {
    home: string;
    host: string;
    port: number;
    user: string;
    local: string;
    name: string;
    env: NodeJS.ProcessEnv;
}

/** `~`, `${VARIABLE}` and the tokens of ssh_config(5) that concern files. */
function expandPath(path: string, names: Names): string {
    const tokens: Record<string, string> = {
        "%": "%",
        d: names.home,
        h: names.host,
        n: names.name,
        p: String(names.port),
        r: names.user,
        u: names.local,
    };
    return path
        .replace(/^~(?=\/|$)/, names.home)
        .replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => names.env[name] ?? "")
        .replaceAll(/%(.)/g, (all, letter: string) => tokens[letter] ?? all);
}

function list(value: string | string[] | undefined): string[] {
    return value === undefined ? [] : [value].flat();
}

function words(text: string): string[] {
    return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

function notNone(text: string): boolean {
    return text.toLowerCase() !== "none";
}
