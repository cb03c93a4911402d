/** What servers and networks do: refuse, fall silent, cut, restart, greet with noise, grant fewer channels. */
import { execFile, execFileSync } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BlockhostError } from "../../provider/errors";
import { createTransport, type Transport } from "../../provider/transport";
import { eventually, lives, pidsIn } from "./support/processes";
import { startProxy } from "./support/proxy";
import { freePort, startSshd, type TestSshd } from "./support/sshd";
import { sessionOf } from "./transport";

let sshd: TestSshd;
let dir: string;
beforeAll(async () => {
    sshd = await startSshd();
    dir = mkdtempSync(join(tmpdir(), "blockhost-faults-"));
});
afterAll(async () => {
    await sshd.stop();
    rmSync(dir, { recursive: true, force: true });
});

async function failure(run: Promise<unknown>): Promise<BlockhostError> {
    const error: unknown = await run.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BlockhostError);
    return error as BlockhostError;
}

/** Starts a run that writes its pid and then hangs; gives both. */
async function hanging(transport: Transport, timeout = 60_000) {
    const file = join(dir, `pid${String(Math.random())}`);
    const ended = transport.run(`sh -c 'echo $$ >"$0"; trap "" TERM HUP; sleep 100; :' '${file}'`, {
        timeout,
    });
    ended.catch(() => undefined);
    await eventually(() => existsSync(file) && pidsIn(readFileSync(file, "utf8")).length === 1);
    return { ended, pid: pidsIn(readFileSync(file, "utf8"))[0] ?? 0 };
}

describe("connecting", () => {
    it("to nobody fails within the time for it, and says where", async () => {
        const port = await freePort();
        const transport = createTransport(sshd.config({ port, connectTimeout: 800 }));
        const started = Date.now();
        const error = await failure(transport.run(":"));
        expect(error.code).toBe("unreachable");
        expect(error.message).toContain(`127.0.0.1:${String(port)}`);
        expect(Date.now() - started).toBeLessThan(2_000);
    });

    it("to a server that is only just starting succeeds", async () => {
        const late = await startSshd();
        await late.stopListening();
        const transport = createTransport(late.config());
        const run = transport.run("echo in");
        await sleep(300);
        await late.start();
        expect((await run).stdout).toBe("in\n");
        await transport.close();
        await late.stop();
    });

    it.each([
        ["says nothing", ""],
        ["speaks something else", "HTTP/1.1 400 Bad Request\r\n\r\n"],
        ["sends garbage", "SSH-2.0-x\r\n" + "\u0000\u0001\u0002garbage".repeat(100)],
        ["speaks SSH 1", "SSH-1.5-old\r\n"],
    ])("to a server that %s ends at the time for it", async (_what, greeting) => {
        const server = createServer((socket) => {
            socket.on("error", () => undefined);
            if (greeting !== "") socket.write(greeting);
        });
        await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
        const port = (server.address() as AddressInfo).port;
        const started = Date.now();
        const error = await failure(createTransport(sshd.config({ port, connectTimeout: 700 })).run(":"));
        expect(error.code).toBe("unreachable");
        expect(Date.now() - started).toBeLessThan(2_000);
        server.close();
    });

    it("to a server that hangs up at once is `unreachable`", async () => {
        const server = createServer((socket) => socket.resetAndDestroy());
        await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
        const port = (server.address() as AddressInfo).port;
        const error = await failure(createTransport(sshd.config({ port, connectTimeout: 700 })).run(":"));
        expect(error.code).toBe("unreachable");
        server.close();
    });

    it("through a network that falls silent while logging in ends at the time for it", async () => {
        const proxy = await startProxy(sshd.port);
        const transport = createTransport(sshd.config({ port: proxy.port, connectTimeout: 700 }));
        const run = failure(transport.run(":"));
        await eventually(() => proxy.connections === 1);
        proxy.freeze();
        expect((await run).code).toBe("unreachable");
        await proxy.stop();
    });

    it("one failure answers all waiting runs", async () => {
        const transport = createTransport(sshd.config({ port: await freePort(), connectTimeout: 500 }));
        const started = Date.now();
        const all = await Promise.all(Array.from({ length: 20 }, () => failure(transport.run(":"))));
        expect(all.every((error) => error.code === "unreachable")).toBe(true);
        expect(Date.now() - started).toBeLessThan(2_000);
    });
});

describe("a connection", () => {
    it("that the server ended while idle is opened anew", async () => {
        const transport = createTransport(sshd.config());
        await transport.run(":");
        sshd.cut();
        await sleep(100);
        expect((await transport.run("echo again")).stdout).toBe("again\n");
        expect(transport.counters.connections).toBe(2);
        await transport.close();
    });

    it("is opened anew after the server was restarted", async () => {
        const own = await startSshd();
        const transport = createTransport(own.config());
        await transport.run(":");
        await own.stopListening();
        await sleep(50);
        await own.start();
        expect((await transport.run("echo again")).stdout).toBe("again\n");
        await transport.close();
        await own.stop();
    });

    it.each(["server", "network"])(
        "cut by the %s mid-run: unreachable, never sent again, dead on the host",
        async (by) => {
            const proxy = await startProxy(sshd.port);
            const transport = createTransport(sshd.config({ port: proxy.port }));
            const count = join(dir, `count-${by}`);
            const file = join(dir, `cut-${by}`);
            const ended = transport.run(`echo run >>'${count}'; sleep 100 & echo $! >'${file}'; wait`, {
                doing: "test",
            });
            ended.catch(() => undefined);
            await eventually(() => existsSync(file) && pidsIn(readFileSync(file, "utf8")).length === 1);
            if (by === "server") sshd.cut();
            else proxy.reset();
            const error = await failure(ended);
            expect(error.code).toBe("unreachable");
            expect(error.message).toContain("read again");
            await eventually(() => !lives(pidsIn(readFileSync(file, "utf8"))[0] ?? 0), 3_000);
            expect((await transport.run("echo again")).stdout).toBe("again\n");
            expect(readFileSync(count, "utf8")).toBe("run\n");
            await transport.close();
            await proxy.stop();
        },
    );

    it("half open: ended here at the deadline, and on the host by its own watchdog", async () => {
        const proxy = await startProxy(sshd.port);
        const transport = createTransport(sshd.config({ port: proxy.port }));
        const { ended, pid } = await hanging(transport, 1_000);
        proxy.freeze();
        const error = await failure(ended);
        expect(error.code).toBe("timeout");
        expect(error.message).toContain("watchdog");
        // 1 s of deadline, 2 s of grace, up to 1 s until the watchdog looks.
        await eventually(() => !lives(pid), 3_000);
        // The dead connection is found out and given up, without waiting for the keep-alive.
        await sleep(3_000);
        expect((await transport.run("echo again", { timeout: 5_000 })).stdout).toBe("again\n");
        expect(transport.counters.connections).toBe(2);
        await transport.close();
        await proxy.stop();
    });

    it("with its shell killed mid-run: unreachable, dead on the host, the next run fine on the same one", async () => {
        const transport = createTransport(sshd.config());
        const shell = pidsIn((await transport.run("echo $$")).stdout)[0] ?? 0;
        const { ended, pid } = await hanging(transport);
        process.kill(shell, "SIGKILL");
        expect((await failure(ended)).code).toBe("unreachable");
        await eventually(() => !lives(pid), 3_000);
        await eventually(() => sessionOf(shell).length === 0, 3_000);
        await transport.run(":");
        expect(transport.counters.connections).toBe(1);
        await transport.close();
    });

    it("closed while connecting fails the run and leaves nothing", async () => {
        const transport = createTransport(sshd.config());
        const run = failure(transport.run(":"));
        await transport.close();
        expect(["cancelled", "unreachable"]).toContain((await run).code);
        expect((await transport.run("echo again")).stdout).toBe("again\n");
        await transport.close();
        await eventually(() => sshd.sessions().length === 0);
    });

    it("when idle does not keep the process alive", async () => {
        const program = `
            import { createTransport } from ${JSON.stringify(resolve("provider/transport/index.ts"))};
            const config = JSON.parse(process.env.TEST_CONFIG ?? "{}");
            const transports = [createTransport(config), createTransport({ name: "here", address: "local" })];
            void Promise.all(transports.map((t) => t.run("sleep 0.3; echo ran"))).then((results) => {
                console.log(results.map((r) => r.stdout).join(""), Date.now());
            });`;
        const file = join(dir, "idle.mts");
        writeFileSync(file, program);
        const { stdout, at } = await new Promise<{ stdout: string; at: number }>((done, fail) => {
            const env = { ...process.env, TEST_CONFIG: JSON.stringify(sshd.config()) };
            execFile(resolve("node_modules/.bin/tsx"), [file], { env, timeout: 20_000 }, (error, out) => {
                if (error instanceof Error) fail(error);
                else done({ stdout: out, at: Date.now() });
            });
        });
        expect(stdout).toMatch(/^ran\nran\n/);
        expect(at - Number(stdout.trim().split(" ").pop())).toBeLessThan(1_500);
    });
});

describe("channels", () => {
    it.each([1, 2])("fewer than asked for (%i) are waited for", async (maxSessions) => {
        const few = await startSshd({ lines: [`MaxSessions ${String(maxSessions)}`] });
        const transport = createTransport(few.config());
        const results = await Promise.all(
            Array.from({ length: 32 }, (_, i) => transport.run(`echo ${String(i)}; sleep 0.02`)),
        );
        expect(results.map((r) => r.stdout.trim())).toEqual(Array.from({ length: 32 }, (_, i) => String(i)));
        expect(transport.counters).toMatchObject({ connections: 1, shells: maxSessions });
        await transport.close();
        await few.stop();
    });

    it("none at all is an error", async () => {
        const none = await startSshd({ lines: ["MaxSessions 0"] });
        const transport = createTransport(none.config());
        const error = await failure(transport.run(":"));
        expect(error.code).toBe("unreachable");
        expect(error.message).toContain("MaxSessions");
        await transport.close();
        await none.stop();
    });
});

describe("login shells", () => {
    it.each(["fish", "csh", "zsh", "dash", "bash", "busybox ash"])("%s starts our shell", async (shell) => {
        const [program = ""] = shell.split(" ");
        const found = execFileSync("sh", ["-c", `command -v ${program} || true`], {
            encoding: "utf8",
        }).trim();
        if (found === "") return;
        const server = await startSshd({ lines: [`ForceCommand exec ${shell} -c "$SSH_ORIGINAL_COMMAND"`] });
        const transport = createTransport(server.config());
        expect((await transport.run("echo in")).stdout).toBe("in\n");
        await transport.close();
        await server.stop();
    });

    it("may print anything before our shell starts", async () => {
        const noise = `printf 'Welcome\\n%s B\\n%s E 0' ${"a".repeat(32)} ${"0".repeat(32)}; echo hi >&2`;
        const server = await startSshd({
            lines: [`ForceCommand ${noise}; exec sh -c "$SSH_ORIGINAL_COMMAND"`],
        });
        const transport = createTransport(server.config());
        expect(await transport.run("echo in")).toMatchObject({ stdout: "in\n", stderr: "" });
        await transport.close();
        await server.stop();
    });

    it("that refuse are quoted", async () => {
        const server = await startSshd({
            lines: ["ForceCommand echo This account is not available.>&2; exit 1"],
        });
        const error = await failure(createTransport(server.config()).run(":"));
        expect(error.code).toBe("unsupported");
        expect(error.message).toContain("This account is not available.");
        await server.stop();
    });

    it("that never answer end at the time for connecting", async () => {
        const server = await startSshd({ lines: ["ForceCommand sleep 20"] });
        const error = await failure(createTransport(server.config({ connectTimeout: 800 })).run(":"));
        expect(error.code).toBe("timeout");
        await server.stop();
    });
});

describe("tools of the host", () => {
    /** A server whose users find only these programs; a text is a script. */
    async function withPath(programs: Record<string, string | true>): Promise<TestSshd> {
        const bin = mkdtempSync(join(dir, "bin-"));
        for (const [name, text] of Object.entries(programs)) {
            if (text === true) {
                symlinkSync(
                    execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
                    join(bin, name),
                );
            } else {
                writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
                chmodSync(join(bin, name), 0o755);
            }
        }
        mkdirSync(bin, { recursive: true });
        return startSshd({ lines: [`SetEnv PATH=${bin}`] });
    }

    it.each(["sudo: a password is required", "sudo: sorry, you must have a tty to run sudo"])(
        "sudo that says %j: what to put into sudoers",
        async (said) => {
            const server = await withPath({ sudo: `echo '${said}' >&2; exit 1` });
            const error = await failure(createTransport(server.config({ sudo: true })).run(":"));
            expect(error.code).toBe("auth");
            expect(error.message).toMatch(/\w+ ALL=\(root\) NOPASSWD: ALL/);
            expect(error.message).toContain(said);
            await server.stop();
        },
    );

    it.each(["sudo", "setsid"])("%s that is missing is named", async (tool) => {
        const server = await withPath({ sh: true });
        const error = await failure(createTransport(server.config({ sudo: tool === "sudo" })).run(":"));
        expect(error.code).toBe("unsupported");
        expect(error.message).toContain(`no \`${tool}\``);
        await server.stop();
    });

    it("a shell that is no plain command is refused at once", () => {
        expect(() => createTransport(sshd.config({ shell: "sh; reboot" }))).toThrow(/not a plain command/);
    });

    it("a missing shell is an error", async () => {
        const error = await failure(createTransport(sshd.config({ shell: "nosuchshell" })).run(":"));
        expect(error.code).toBe("unsupported");
        expect(error.message).toContain("nosuchshell");
        const local = createTransport({ name: "here", address: "local", shell: "nosuchshell" });
        expect((await failure(local.run(":"))).code).toBe("unsupported");
    });
});
