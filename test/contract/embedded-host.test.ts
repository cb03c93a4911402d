import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { generateKeyPair } from "../../tools/embedded-host/keys.mjs";
import { processesMarked } from "../../tools/embedded-host/processes.mjs";

interface Outcome {
    stdout: string;
    stderr: string;
    status: number | null;
    signal: string | undefined;
}

function connect(host: EmbeddedHost, auth: ssh2.ConnectConfig = {}): Promise<ssh2.Client> {
    const client = new ssh2.Client();
    return new Promise((resolve, reject) => {
        client.on("ready", () => resolve(client)).on("error", reject);
        client.connect({
            host: host.address,
            port: host.port,
            username: host.user,
            privateKey: readFileSync(host.privateKeyFile),
            ...auth,
        });
    });
}

function open(client: ssh2.Client, command: string): Promise<ssh2.ClientChannel> {
    return new Promise((resolve, reject) => {
        client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)));
    });
}

async function run(client: ssh2.Client, command: string, input = ""): Promise<Outcome> {
    const channel = await open(client, command);
    const outcome: Outcome = { stdout: "", stderr: "", status: null, signal: undefined };
    channel.on("data", (data: Buffer) => (outcome.stdout += data.toString()));
    channel.stderr.on("data", (data: Buffer) => (outcome.stderr += data.toString()));
    channel.on("exit", (status: number | null, signal?: string) => {
        outcome.status = status;
        outcome.signal = signal;
    });
    channel.end(input);
    await new Promise((resolve) => channel.on("close", resolve));
    return outcome;
}

const closed = (client: ssh2.Client) => new Promise<void>((resolve) => client.once("close", () => resolve()));

async function eventually(condition: () => boolean): Promise<void> {
    await expect.poll(condition, { timeout: 5000, interval: 10 }).toBe(true);
}

function isAlive(pid: number): boolean {
    try {
        // A zombie that nobody has waited for yet is dead, too.
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
        return false;
    }
}

let host: EmbeddedHost;
beforeAll(async () => {
    host = await startEmbeddedHost({ password: "open sesame", maxSessions: 3 });
});
afterAll(() => host.stop());

describe("a command", () => {
    let client: ssh2.Client;
    beforeAll(async () => {
        client = await connect(host);
    });
    afterAll(() => client.end());

    test("gets its input with its end, and gives output, errors and status", async () => {
        expect(await run(client, "cat; echo oops >&2; exit 3", "hello")).toEqual({
            stdout: "hello",
            stderr: "oops\n",
            status: 3,
            signal: undefined,
        });
    });

    test("that a signal ended says which", async () => {
        expect(await run(client, "kill -9 $$")).toMatchObject({ status: null, signal: "SIGKILL" });
    });

    test("gets the client's signals, with its whole process group", async () => {
        const channel = await open(
            client,
            "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done",
        );
        let stdout = "";
        const exit = new Promise((resolve) => channel.on("exit", resolve));
        channel.on("data", (data: Buffer) => {
            stdout += data.toString();
            if (stdout === "ready\n") channel.signal("TERM");
        });
        expect(await exit).toBe(7);
        expect(stdout).toContain("got it");
    });

    test("passes many bytes both ways, unharmed", async () => {
        const outcome = await run(client, "cat", "0123456789abcdef".repeat(500_000));
        expect(outcome.stdout.length).toBe(8_000_000);
    });

    test("gives its errors, too, when they come while output waits for the client to take more", async () => {
        const channel = await open(client, "(sleep 1; echo oops >&2) & head -c 4000000 /dev/zero; wait");
        const taken = { out: 0, err: "" };
        channel.stderr.on("data", (data: Buffer) => (taken.err += data.toString()));
        await sleep(2000);
        channel.on("data", (data: Buffer) => (taken.out += data.length));
        await new Promise((resolve) => channel.on("close", resolve));
        expect(taken).toEqual({ out: 4_000_000, err: "oops\n" });
    });

    test("sees nothing of our environment", async () => {
        const { stdout } = await run(client, "env");
        expect(
            stdout
                .split("\n")
                .map((line) => line.split("=")[0])
                .sort()
                .filter(Boolean),
        ).toEqual(["BLOCKHOST_EMBEDDED_HOST", "HOME", "LOGNAME", "PATH", "PWD", "SHELL", "USER"]);
    });

    test("is answered within a few milliseconds", async () => {
        const channel = await open(client, "cat");
        const rounds = 20;
        const started = performance.now();
        for (let round = 0; round < rounds; round++) {
            const answer = new Promise((resolve) => channel.once("data", resolve));
            channel.write("x\n");
            await answer;
        }
        // With Nagle's algorithm it would be 40 ms each.
        expect((performance.now() - started) / rounds).toBeLessThan(20);
        channel.end();
    });
});

test("a connection has no more than so many sessions at once", async () => {
    const client = await connect(host);
    const channels = await Promise.all([1, 2, 3].map(() => open(client, "cat")));
    await expect(open(client, "true")).rejects.toThrow(/Channel open failure/);
    expect(host.counters.refusedSessions).toBe(1);
    await new Promise((resolve) => channels[0]?.once("close", resolve).resume().end());
    expect((await run(client, "echo again")).stdout).toBe("again\n");
    client.end();
});

test("lets nobody in with a wrong key, user or password", async () => {
    const other = generateKeyPair().privateKey;
    for (const auth of [
        { privateKey: other },
        { username: "nobody" },
        { privateKey: "", password: "guess" },
    ]) {
        await expect(connect(host, auth)).rejects.toThrow(/authentication/);
    }
    const client = await connect(host, { privateKey: "", password: "open sesame" });
    client.end();
});

test("commands live on when the connection is cut, with their pipes closed", async () => {
    const client = await connect(host);
    const channel = await open(client, "trap '' HUP; cat; exec sleep 300");
    const gone = closed(client);
    channel.write("x");
    await new Promise((resolve) => channel.once("data", resolve));
    const session = host.sessions().find(({ command }) => command.includes("sleep 300"));
    client.on("error", () => {});
    expect(host.cutConnections()).toBeGreaterThan(0);
    await gone;
    // cat has met the end of its input
    const pid = session?.pid ?? 0;
    await eventually(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep"));
    host.killShells();
    await eventually(() => !isAlive(pid));
});

test("a tap sees what passes, and can cut the connection in the middle of it", async () => {
    const client = await connect(host);
    client.on("error", () => {});
    const gone = closed(client);
    let seen = "";
    host.setTap(({ direction, chunk }) => {
        if (direction !== "in") return;
        seen += chunk.toString();
        return Buffer.from("first");
    });
    const channel = await open(client, "cat > received");
    channel.end("first second");
    await gone;
    host.setTap(undefined);
    expect(seen).toBe("first second");
    const file = `${host.directory}/home/received`;
    await expect.poll(() => readFileSync(file, "utf8"), { interval: 10 }).toBe("first");
});

test("can be out of reach, and back with another key", async () => {
    await host.setReachable("refused");
    await expect(connect(host)).rejects.toThrow(/ECONNREFUSED/);
    await host.setReachable("silent");
    await expect(connect(host, { readyTimeout: 200 })).rejects.toThrow(/Timed out/);
    host.cutConnections();
    await host.setReachable("yes");
    const before = host.hostKey;
    host.changeHostKey();
    expect(host.hostKey).not.toBe(before);
    let shown = "";
    const client = await connect(host, {
        hostHash: "sha256",
        hostVerifier: (key: string) => {
            shown = Buffer.from(key, "hex").toString("base64").replace(/=+$/, "");
            return true;
        },
    });
    client.end();
    expect(`SHA256:${shown}`).toBe(host.hostKey);
});

test("a power cut ends everything that it started, in the background and in other sessions too", async () => {
    const client = await connect(host);
    client.on("error", () => {});
    const { stdout } = await run(
        client,
        "setsid sleep 300 >/dev/null 2>&1 & echo $!; sleep 300 >/dev/null 2>&1 & echo $!",
    );
    const pids = stdout.trim().split("\n").map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    const gone = closed(client);
    await host.powerOff();
    await gone;
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect(host.tgt?.pid).toBeUndefined();
    await expect(connect(host)).rejects.toThrow(/ECONNREFUSED/);
    await host.powerOn();
    const again = await connect(host);
    expect((await run(again, `tgtadm -C ${host.tgt?.controlPort} --mode sys --op show`)).status).toBe(0);
    again.end();
});

test("two hosts do not meet, and nothing is left of one that was stopped", async () => {
    const other = await startEmbeddedHost({ name: "other", pools: ["a", "b"] });
    expect(other.port).not.toBe(host.port);
    expect(other.tgt?.controlPort).not.toBe(host.tgt?.controlPort);
    expect(Object.keys(other.poolDirectories)).toEqual(["a", "b"]);
    const client = await connect(other);
    client.on("error", () => {});
    const { stdout } = await run(client, "echo $BLOCKHOST_EMBEDDED_HOST");
    await run(client, "setsid sleep 300 >/dev/null 2>&1 &");
    expect(processesMarked(stdout.trim())).toHaveLength(2);
    await other.stop();
    expect(processesMarked(stdout.trim())).toEqual([]);
    expect(() => readFileSync(other.privateKeyFile)).toThrow(/ENOENT/);
    expect(host.tgt?.pid).toBeDefined();
});

test("started again in the same directory, it is the same host", async () => {
    const first = await startEmbeddedHost({ dir: `${host.directory}/again`, tgt: false });
    await first.stop();
    const second = await startEmbeddedHost({ dir: `${host.directory}/again`, tgt: false, port: first.port });
    expect(second.hostKey).toBe(first.hostKey);
    const client = await connect(second);
    client.end();
    await second.stop();
});
