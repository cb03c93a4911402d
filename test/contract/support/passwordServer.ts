/** An SSH server that takes passwords: for the methods that sshd only offers for accounts of the machine. */
import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { Server, utils, type AuthContext } from "ssh2";
import { generateKeyPair } from "../../../tools/embedded-host/keys.mjs";

export interface PasswordServer {
    readonly port: number;
    /** Fingerprint-able public half: what `hostKey` is compared with. */
    readonly publicKey: Buffer;
    /** Methods in the order in which they were tried. */
    readonly tried: string[];
    stop(): Promise<void>;
}

export async function startPasswordServer(password: string, interactive = false): Promise<PasswordServer> {
    const pair = generateKeyPair();
    const tried: string[] = [];
    const offered = [interactive ? "keyboard-interactive" : "password"] as never;
    const server = new Server({ hostKeys: [pair.privateKey] }, (client) => {
        client.on("error", () => undefined);
        client.on("authentication", (context: AuthContext) => {
            tried.push(context.method);
            if (context.method === "password" && !interactive && context.password === password)
                context.accept();
            else if (context.method === "keyboard-interactive" && interactive) {
                context.prompt([{ prompt: "Password: ", echo: false }], ([answer]) => {
                    if (answer === password) context.accept();
                    else context.reject(offered);
                });
            } else context.reject(offered);
        });
        client.on("session", (accept) => {
            accept().on("exec", (accepted, _reject, info) => {
                const channel = accepted();
                const child = spawn("sh", ["-c", info.command], { stdio: "pipe" });
                channel.pipe(child.stdin);
                child.stdout.pipe(channel, { end: false });
                child.stderr.pipe(channel.stderr, { end: false });
                child.on("close", (code) => {
                    channel.exit(code ?? 255);
                    channel.end();
                });
            });
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const key = utils.parseKey(pair.publicKey);
    if (key instanceof Error) throw key;
    return {
        port: (server.address() as AddressInfo).port,
        publicKey: key.getPublicSSH(),
        tried,
        stop: () => new Promise((resolve) => server.close(() => resolve())),
    };
}
