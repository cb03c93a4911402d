import { connect } from "node:net";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import type { Chap } from "../../../provider/targets/types";
import { CLIENT } from "./tgtHost";

/** Independent initiators: libiscsi's tools, and qemu's block layer for reading and writing. */

export interface Login {
    readonly portal: string;
    readonly target: string;
    readonly initiator: string;
    readonly chap?: Chap | undefined;
    /** What the target has to prove to be. */
    readonly mutual?: Chap | undefined;
}

/** Logs in, asks what LUN 1 is, logs out. Output of `iscsi-inq`. */
export function inquire(login: Login, ...options: string[]): { ok: boolean; output: string } {
    const { status, stdout, stderr } = spawnSync(
        "iscsi-inq",
        [...options, "-i", login.initiator, url(login)],
        {
            encoding: "utf8",
            timeout: 10_000,
        },
    );
    return { ok: status === 0, output: stdout + stderr };
}

/** Bytes that the initiator sees. */
export function capacity(login: Login): number {
    const { stdout } = spawnSync("iscsi-readcapacity16", ["-i", login.initiator, "-s", url(login)], {
        encoding: "utf8",
    });
    return Number(stdout.trim());
}

function url({ portal, target, chap, mutual }: Login): string {
    const user = chap === undefined ? "" : `${chap.username}%${encodeURIComponent(chap.password.value)}@`;
    const query =
        mutual === undefined
            ? ""
            : `?target_user=${mutual.username}&target_password=${encodeURIComponent(mutual.password.value)}`;
    return `iscsi://${user}${portal}/${target}/1${query}`;
}

function imageOptions({ portal, target, initiator, chap }: Login): string[] {
    const image = `driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=${portal},file.target=${target},file.lun=1,file.initiator-name=${initiator}`;
    if (chap === undefined) return ["--image-opts", image];
    const secret = ["--object", `secret,id=chap,data=${chap.password.value}`];
    return [...secret, "--image-opts", `${image},file.user=${chap.username},file.password-secret=chap`];
}

/** One run of `qemu-io` with its commands. */
export function qemuIo(login: Login, ...commands: string[]): { ok: boolean; output: string } {
    const words = commands.flatMap((command) => ["-c", command]);
    const { status, stdout, stderr } = spawnSync("qemu-io", [...imageOptions(login), ...words], {
        encoding: "utf8",
        timeout: 20_000,
    });
    return { ok: status === 0, output: stdout + stderr };
}

/** A logged-in `qemu-io` that is told what to read and write. */
export class Attached {
    private readonly child: ChildProcessWithoutNullStreams;
    private output = "";
    private readonly ended: Promise<void>;

    private constructor(login: Login) {
        this.child = spawn("qemu-io", imageOptions(login));
        const collect = (data: Buffer) => (this.output += data.toString());
        this.child.stdout.on("data", collect);
        this.child.stderr.on("data", collect);
        this.ended = new Promise((resolve) => {
            this.child.once("exit", () => {
                resolve();
            });
        });
    }

    static async to(login: Login): Promise<Attached> {
        const attached = new Attached(login);
        await attached.do("read 0 512");
        return attached;
    }

    /** Carries out a command; its output without the unit attentions that every reconnection brings. */
    async do(command: string): Promise<string> {
        const from = this.output.length;
        this.child.stdin.write(`${command}\n`);
        for (let i = 0; i < 1500; i++) {
            const said = this.output
                .slice(from)
                .split("\n")
                .filter((line) => !/UNIT_ATTENTION/.test(line))
                .join("\n");
            if (/ops\/sec|failed|error|denied|not permitted|read-only/i.test(said)) return said.trim();
            if (this.child.exitCode !== null) return `${said} (ended)`;
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return `${this.output.slice(from)} (no answer)`;
    }

    async close(): Promise<void> {
        this.child.kill("SIGKILL");
        await this.ended;
    }
}

/** Keeps 16 reads (or writes) going until told to stop; tells how many were done, and every error. */
export class Load {
    private readonly child: ChildProcessWithoutNullStreams;
    private output = "";
    private status: number | null | undefined;

    constructor(login: Login, kind: "read" | "write" = "read") {
        const write = kind === "write" ? ["-w"] : [];
        const amount = ["-c", "100000000", "-d", "16", "-s", "4096"];
        const { chap } = login;
        const [, image = ""] = imageOptions({ ...login, chap: undefined });
        // qemu-img has no --object.
        const secret =
            chap === undefined ? "" : `,file.user=${chap.username},file.password=${chap.password.value}`;
        this.child = spawn("qemu-img", ["bench", ...amount, ...write, "--image-opts", `${image}${secret}`]);
        const collect = (data: Buffer) => (this.output += data.toString());
        this.child.stdout.on("data", collect);
        this.child.stderr.on("data", collect);
        this.child.once("exit", (code) => (this.status = code));
    }

    /** What went wrong so far; empty: nothing, and it is still at work. */
    get errors(): string {
        const said = this.output.split("\n").filter((line) => !/UNIT_ATTENTION|^Sending|^$/.test(line));
        return (this.status === undefined ? said : [...said, `ended with ${String(this.status)}`]).join("\n");
    }

    async close(): Promise<void> {
        if (this.status !== undefined) return;
        const ended = new Promise((resolve) => this.child.once("exit", resolve));
        this.child.kill("SIGKILL");
        await ended;
    }
}

/** A login without credentials, over a socket of our own: fast enough to hit moments. */
export function tryOpenLogin(port: number, target: string): Promise<boolean> {
    return new Promise((resolve) => {
        const keys = [
            `InitiatorName=${CLIENT}`,
            "SessionType=Normal",
            `TargetName=${target}`,
            "AuthMethod=None",
            "",
        ].join("\0");
        const data = Buffer.from(keys);
        const head = Buffer.alloc(48);
        head[0] = 0x43; // login, immediate
        head[1] = 0x81; // transit, from security to operational negotiation
        head.writeUIntBE(data.length, 5, 3);
        head.writeUInt32BE(0x80123456, 8); // ISID
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => {
            resolve(false);
        });
        socket.on("close", () => {
            resolve(false);
        });
        socket.once("data", (answer) => {
            resolve(answer[0] === 0x23 && answer[36] === 0);
            socket.destroy();
        });
        socket.write(Buffer.concat([head, data, Buffer.alloc((4 - (data.length % 4)) % 4)]));
    });
}
