/** What is offered to a host as proof of who we are, in OpenSSH's order, and what to say when nothing is taken. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { BaseAgent, createAgent, utils, type AuthenticationType, type ParsedKey } from "ssh2";
import { BlockhostError } from "../errors";
import { fingerprint } from "./knownHosts";
import type { ResolvedHost } from "./sshConfig";

/** One attempt: what ssh2 needs, and how it is called in an error. */
export interface Attempt {
    method: Record<string, unknown> & { type: AuthenticationType };
    label: string;
}

export interface Attempts {
    attempts: Attempt[];
    /** Why something that could have been offered was not: an unset variable, an encrypted key. */
    notes: string[];
}

const DEFAULT_FILES = ["id_rsa", "id_ecdsa", "id_ed25519"];

/**
 * Reads keys and the environment.
 *
 * @throws BlockhostError `auth` when what the configuration names cannot be used
 */
export async function prepareAuth(
    host: ResolvedHost,
    env: NodeJS.ProcessEnv = process.env,
): Promise<Attempts> {
    const { config } = host;
    const attempts: Attempt[] = [];
    const notes: string[] = [];
    const passphrase = variable(env, config.passphraseEnv, "passphraseEnv", notes);
    const password = variable(env, config.passwordEnv, "passwordEnv", notes);
    const explicit = config.privateKeyEnv !== undefined || config.privateKeyFile !== undefined;
    const home = env["HOME"] ?? homedir();

    if (config.privateKeyEnv !== undefined) {
        const text = variable(env, config.privateKeyEnv, "privateKeyEnv", notes);
        if (text !== undefined)
            addKey(host, text, passphrase, `the key in $${config.privateKeyEnv}`, attempts, notes, true);
    }
    if (config.privateKeyFile !== undefined) {
        const file = config.privateKeyFile.replace(/^~(?=\/)/, home);
        await addFile(host, file, passphrase, attempts, notes, true);
    }
    if (!explicit) {
        const named = host.identityFiles;
        for (const file of named) await addFile(host, file, passphrase, attempts, notes, true);
        if (!host.identitiesOnly) addAgent(host, undefined, attempts);
        if (named.length === 0) {
            for (const name of DEFAULT_FILES) {
                await addFile(host, join(home, ".ssh", name), passphrase, attempts, notes, false);
            }
        }
    }
    if (password !== undefined) {
        const label = `the password in $${config.passwordEnv ?? ""}`;
        attempts.push({ method: { type: "password", username: host.user, password }, label });
        attempts.push({
            method: {
                type: "keyboard-interactive",
                username: host.user,
                prompt: (
                    _n: string,
                    _i: string,
                    _l: string,
                    prompts: unknown[],
                    finish: (answers: string[]) => void,
                ) => finish(prompts.map(() => password)),
            },
            label: `${label} (keyboard-interactive)`,
        });
    }
    return { attempts, notes };
}

/** The `auth` error for a host that took none of the attempts. */
export function authError(
    host: ResolvedHost,
    tried: readonly string[],
    notes: readonly string[],
): BlockhostError {
    const offered =
        tried.length === 0 ? "there was nothing to offer it" : `it was offered ${tried.join(", ")}`;
    const noted = notes.length === 0 ? "" : `; ${notes.join("; ")}`;
    return new BlockhostError(
        "auth",
        `${host.host}:${String(host.port)} does not let user "${host.user}" in: ${offered}${noted}`,
        {
            host: host.name,
            hint:
                `put a key into ~${host.user}/.ssh/authorized_keys on the host, and name it here with privateKeyFile, ` +
                "privateKeyEnv or an agent (SSH_AUTH_SOCK); or name the variable that holds a password with " +
                `passwordEnv. \`ssh -p ${String(host.port)} ${host.user}@${host.host}\` should work first`,
        },
    );
}

function variable(
    env: NodeJS.ProcessEnv,
    name: string | undefined,
    option: string,
    notes: string[],
): string | undefined {
    if (name === undefined) return undefined;
    const value = env[name];
    if (value === undefined || value === "") {
        notes.push(`the environment variable ${name} (${option}) is not set`);
        return undefined;
    }
    return value;
}

async function addFile(
    host: ResolvedHost,
    file: string,
    passphrase: string | undefined,
    attempts: Attempt[],
    notes: string[],
    named: boolean,
): Promise<void> {
    let text: string;
    try {
        text = await readFile(file, "utf8");
    } catch (error) {
        if (named)
            notes.push(
                `the key file ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? "?"})`,
            );
        return;
    }
    if (addKey(host, text, passphrase, `the key ${file}`, attempts, notes, named)) return;
    // An encrypted key that the agent has unlocked: its public half says which one it is.
    const half = await readFile(`${file}.pub`, "utf8").catch(() => undefined);
    const parsed = half === undefined ? undefined : parse(half);
    if (parsed !== undefined && !(parsed instanceof Error)) addAgent(host, parsed.getPublicSSH(), attempts);
}

/** True if the key can be used. */
function addKey(
    host: ResolvedHost,
    text: string,
    passphrase: string | undefined,
    label: string,
    attempts: Attempt[],
    notes: string[],
    named: boolean,
): boolean {
    const key = parse(text, passphrase);
    if (key instanceof Error || !key.isPrivateKey()) {
        const why = key instanceof Error ? key.message : "it is a public key";
        const encrypted = /encrypted|passphrase|decrypt|integrity/i.test(why);
        if (named || encrypted) notes.push(`${label} ${keyProblem(why, passphrase !== undefined)}`);
        return false;
    }
    const shown = `${label} (${key.type} ${fingerprint(key.getPublicSSH())})`;
    attempts.push({ method: { type: "publickey", username: host.user, key }, label: shown });
    return true;
}

function keyProblem(why: string, havePassphrase: boolean): string {
    if (!/encrypted|passphrase|decrypt|integrity/i.test(why)) return `is not usable: ${why}`;
    return havePassphrase
        ? "is encrypted, and the passphrase in passphraseEnv's variable does not open it"
        : "is encrypted, and passphraseEnv names no variable with its passphrase";
}

function parse(text: string, passphrase?: string): ParsedKey | Error {
    try {
        const parsed = utils.parseKey(text, passphrase) as ParsedKey | ParsedKey[] | Error;
        return Array.isArray(parsed) ? (parsed[0] ?? new Error("it holds no key")) : parsed;
    } catch (error) {
        return error as Error;
    }
}

function addAgent(host: ResolvedHost, only: Buffer | undefined, attempts: Attempt[]): void {
    if (host.agent === undefined || host.agent === "") return;
    const agent = new ChosenAgent(createAgent(host.agent), only);
    const which = only === undefined ? "the keys of the agent" : `the agent's key ${fingerprint(only)}`;
    attempts.push({
        method: { type: "agent", username: host.user, agent },
        label: `${which} (${host.agent})`,
    });
}

type Keys = Parameters<BaseAgent["getIdentities"]>[0];

/** An agent, or one key of it. An agent that is not there has no keys: no reason to try nothing else. */
class ChosenAgent extends BaseAgent {
    readonly #agent: BaseAgent;
    readonly #only: Buffer | undefined;

    constructor(agent: BaseAgent, only: Buffer | undefined) {
        super();
        this.#agent = agent;
        this.#only = only;
    }

    override getIdentities(callback: Keys): void {
        this.#agent.getIdentities((error, keys) => {
            const found = error === undefined || error === null ? (keys ?? []) : [];
            callback(
                undefined,
                found.filter((key) => this.#only === undefined || blobOf(key).equals(this.#only)),
            );
        });
    }

    override sign(...args: unknown[]): void {
        (this.#agent.sign as (...args: unknown[]) => void).apply(this.#agent, args);
    }
}

function blobOf(key: unknown): Buffer {
    if (Buffer.isBuffer(key)) return key;
    return (key as ParsedKey).getPublicSSH();
}
