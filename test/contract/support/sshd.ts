/** A real OpenSSH server on a free loopback port, with keys, logs and accounts of its own folder. Runs as root. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
    appendFileSync,
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TransportConfig } from "../../../provider/transport/types";

export const SSHD = "/usr/sbin/sshd";

export interface SshdOptions {
    /** Further lines of sshd_config. */
    lines?: string[];
    /** Host key types to serve; default all three. */
    keyTypes?: ("ed25519" | "ecdsa" | "rsa")[];
}

export interface TestSshd {
    readonly port: number;
    readonly dir: string;
    /** Private key that is let in. */
    readonly keyFile: string;
    /** Fingerprint by key type. */
    readonly fingerprints: Record<string, string>;
    /** The line `type base64` of a host key. */
    publicKey(type: string): string;
    config(more?: Partial<TransportConfig>): TransportConfig;
    /** Kills the processes that serve connections, not the listener. */
    cut(): void;
    /** Ends the listener and all connections; the port stays its own for {@link start}. */
    stopListening(): Promise<void>;
    start(): Promise<void>;
    /** Pids of the processes that serve connections. */
    sessions(): number[];
    log(): string;
    stop(): Promise<void>;
}

export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
    const dir = mkdtempSync(join(tmpdir(), "blockhost-sshd-"));
    mkdirSync("/run/sshd", { recursive: true });
    const fingerprints: Record<string, string> = {};
    const lines: string[] = [];
    for (const type of options.keyTypes ?? ["ed25519", "ecdsa", "rsa"]) {
        const file = join(dir, `host_${type}`);
        keygen(file, type);
        fingerprints[type] = fingerprintOf(file);
        lines.push(`HostKey ${file}`);
    }
    const keyFile = join(dir, "client");
    keygen(keyFile, "ed25519");
    writeFileSync(join(dir, "authorized_keys"), readFileSync(`${keyFile}.pub`));
    const logFile = join(dir, "log");
    const port = await freePort();
    const configFile = join(dir, "sshd_config");
    writeFileSync(
        configFile,
        [
            ...(options.lines ?? []),
            `Port ${String(port)}`,
            "ListenAddress 127.0.0.1",
            `AuthorizedKeysFile ${dir}/authorized_keys`,
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 100",
            ...lines,
            "",
        ].join("\n"),
    );
    let listener: ChildProcess | undefined;
    const sessions = (): number[] => (listener?.pid === undefined ? [] : childrenOf(listener.pid));
    const killAll = (): void => {
        for (const pid of sessions()) for (const each of [...childrenOf(pid).filter(isSshd), pid]) kill(each);
    };
    const server: TestSshd = {
        port,
        dir,
        keyFile,
        fingerprints,
        publicKey: (type) =>
            readFileSync(join(dir, `host_${type}.pub`), "utf8")
                .split(" ")
                .slice(0, 2)
                .join(" "),
        config: (more = {}) => ({
            name: "san1",
            address: "127.0.0.1",
            port,
            user: userInfo().username,
            privateKeyFile: keyFile,
            hostKey: fingerprints["ed25519"] ?? Object.values(fingerprints)[0],
            ...more,
        }),
        cut: killAll,
        async stopListening() {
            killAll();
            const gone = listener;
            listener = undefined;
            if (gone?.pid === undefined || gone.exitCode !== null) return;
            const exited = new Promise((resolve) => gone.once("exit", resolve));
            gone.kill("SIGKILL");
            await exited;
        },
        async start() {
            const child = spawn(SSHD, ["-D", "-e", "-f", configFile], {
                stdio: ["ignore", "ignore", "pipe"],
            });
            child.stderr.on("data", (chunk: Buffer) => appendFileSync(logFile, chunk));
            listener = child;
            // A test that fails half-way leaves no server behind.
            process.once("exit", () => child.kill("SIGKILL"));
            for (let i = 0; !(await answers(port)); i++) {
                if (i > 200 || child.exitCode !== null)
                    throw new Error(`sshd did not start: ${server.log()}`);
                await sleep(20);
            }
        },
        sessions,
        log: () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : ""),
        async stop() {
            await server.stopListening();
            rmSync(dir, { recursive: true, force: true });
        },
    };
    await server.start();
    return server;
}

export function keygen(file: string, type: string, passphrase = ""): void {
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "test", "-f", file]);
    chmodSync(file, 0o600);
}

export function fingerprintOf(file: string): string {
    return execFileSync("ssh-keygen", ["-lf", `${file}.pub`], { encoding: "utf8" }).split(" ")[1] ?? "";
}

export function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = createServer().once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
        });
    });
}

function answers(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.once("error", () => resolve(false));
        socket.once("connect", () => {
            socket.destroy();
            resolve(true);
        });
    });
}

export function childrenOf(pid: number): number[] {
    try {
        return readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8")
            .split(" ")
            .filter(Boolean)
            .map(Number);
    } catch {
        return [];
    }
}

function isSshd(pid: number): boolean {
    try {
        return readFileSync(`/proc/${String(pid)}/comm`, "utf8").startsWith("sshd");
    } catch {
        return false;
    }
}

function kill(pid: number): void {
    try {
        process.kill(pid, "SIGKILL");
    } catch {
        // Gone already.
    }
}
