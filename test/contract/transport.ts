/** The contract of a transport as tests: `testTransport(name, make)` runs all of it over one kind. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasCode } from "../../provider/errors";
import type { RunOptions, Transport } from "../../provider/transport/types";
import { eventually, lives, pidsIn } from "./support/processes";

export interface TransportCase {
    /** Makes a fresh transport. */
    make: () => Transport | Promise<Transport>;
    /** Connections that 100 runs take: 1, or 0 on this machine itself. */
    connections: number;
}

export function testTransport(name: string, { make, connections }: TransportCase): void {
    describe(`transport: ${name}`, () => {
        let transport: Transport;
        let dir: string;
        const run = (script: string, options?: RunOptions) => transport.run(script, options);
        const read = (file: string) =>
            existsSync(join(dir, file)) ? readFileSync(join(dir, file), "utf8") : "";
        /** Waits for a file that a script writes, and gives the pids in it. */
        const pids = async (file: string, count = 1) => {
            await eventually(() => pidsIn(read(file)).length >= count);
            return pidsIn(read(file));
        };

        beforeAll(async () => {
            transport = await make();
            dir = mkdtempSync(join(tmpdir(), "blockhost-run-"));
        });
        afterAll(async () => {
            await transport.close();
            rmSync(dir, { recursive: true, force: true });
        });

        describe("results", () => {
            it("gives output, errors and exit status apart", async () => {
                expect(await run("echo out; echo err >&2; exit 3")).toMatchObject({
                    exitStatus: 3,
                    stdout: "out\n",
                    stderr: "err\n",
                });
            });

            it.each([
                [":", 0],
                ["", 0],
                ["# only a comment", 0],
                ["false", 1],
                ["exit 255", 255],
                ["set -e; false; echo not reached", 1],
                ["f() { return 7; }; f", 7],
                ["return 5", 5],
                ["(exit 4)", 4],
                ["exec sh -c 'exit 9'", 9],
                ["trap 'exit 6' EXIT; exit 1", 6],
            ])("exit status of %j is %i", async (script, exitStatus) => {
                expect(await run(script)).toMatchObject({ exitStatus, stdout: "" });
            });

            it("gives 128 + n for a script killed by signal n", async () => {
                const self = "read -r pid rest </proc/self/stat; kill -9 $pid";
                expect((await run(self)).exitStatus).toBe(137);
            });

            it("keeps output without a newline at its end", async () => {
                expect(await run("printf abc; printf def >&2")).toMatchObject({
                    stdout: "abc",
                    stderr: "def",
                });
            });

            it("keeps bytes that are text and marks those that are not", async () => {
                const { stdout } = await run("printf 'a\\001\\002\\377\\r\\n\\303\\244'");
                expect(stdout).toBe("a\u0001\u0002\ufffd\r\nä");
            });

            it("takes 5 MB of output on both streams", async () => {
                const { stdout, stderr } = await run(
                    "head -c 5000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2",
                );
                expect(stdout).toBe("x".repeat(5_000_000));
                expect(stderr).toBe("y".repeat(1_000_000));
            });

            it("takes a script of 2 MB", async () => {
                const { stdout } = await run(`cat <<'E'\n${"0123456789abcde\n".repeat(125_000)}E\nexit 0`);
                expect(stdout.length).toBe(2_000_000);
            });

            it("ends a run whose output has no end", async () => {
                const error: unknown = await run(
                    "echo $(read -r p x </proc/self/stat; echo $p) >&2; yes",
                ).catch((e: unknown) => e);
                expect(hasCode(error, "command-failed")).toBe(true);
                expect(String(error)).toContain("64 MiB");
            });

            it("passes lines on as they come", async () => {
                const seen = join(dir, "seen");
                const lines: string[] = [];
                // The script goes on only when its first line has arrived here.
                await run(
                    `echo one; while [ ! -e '${seen}' ]; do sleep 0.01; done; echo two ü; printf three`,
                    {
                        timeout: 10_000,
                        onLine: (line) => {
                            lines.push(line);
                            writeFileSync(seen, "");
                        },
                    },
                );
                expect(lines).toEqual(["one", "two ü"]);
            });
        });

        describe("the script's surroundings", () => {
            it("are a POSIX locale, a full path, a private umask and no input", async () => {
                const { stdout } = await run('echo "$LC_ALL"; umask; echo "$PATH"; cat; pwd');
                expect(stdout).toMatch(/^C\n0077\n.*\/usr\/sbin.*\n\/\n$/);
            });

            it("leave no descriptor of ours open", async () => {
                const { stdout } = await run(
                    "ls -l /proc/self/fd | grep -c pipe:; ls /proc/self/fd | grep '^9$'; echo end",
                );
                expect(stdout).toMatch(/end\n$/);
                expect(stdout).not.toMatch(/^9$/m);
            });

            it("are the same for every run", async () => {
                await run(
                    "x=1; cd /usr; umask 0; alias echo=false; f() { :; }; set -f; exec >/dev/null 2>&1; trap : TERM",
                );
                expect(
                    (await run('echo "x=$x"; pwd; umask; f 2>/dev/null || echo none; echo *')).stdout,
                ).toMatch(/^x=\n\/\n0077\nnone\n.*\busr\b/);
            });

            it("do not show the frames' nonce", async () => {
                const { stdout } = await run(
                    'set; echo "args $# $*"; cat /proc/self/environ; ps -ef || true',
                );
                expect(stdout).not.toMatch(/\b[0-9a-f]{32} [BE]\b/);
                expect(stdout).toContain("args 0");
            });
        });

        describe("hostile text", () => {
            it.each(["(", "'", '"', "echo 'open", "if true", "}", "done", "x() {", "<<E", "`", "$(", "\\"])(
                "%j is a result, and the next run is fine",
                async (script) => {
                    await run(script);
                    expect((await run("echo fine")).stdout).toBe("fine\n");
                },
            );

            it("reports a syntax error with its place", async () => {
                const { exitStatus, stderr } = await run("fi");
                expect(exitStatus).toBeGreaterThan(0);
                expect(stderr).toMatch(/syntax error/i);
            });

            it.each([
                "'; touch FILE; '",
                "\n}\ntouch FILE\n{\n",
                "')\ntouch FILE\n",
                "$(touch FILE)",
                "`touch FILE`",
                "'\\''; touch FILE #",
            ])("data %j does not get out of its quotes", async (data) => {
                const file = join(dir, "hostile");
                const text = data.replaceAll("FILE", file);
                const { stdout } = await run(`printf %s '${text.replaceAll("'", "'\\''")}'`);
                expect(stdout).toBe(text);
                expect(existsSync(file)).toBe(false);
            });

            it("output that looks like frames is output", async () => {
                const fake = `${"a".repeat(32)} E 0\\n${"0".repeat(32)} K 0\\n`;
                const { stdout, exitStatus } = await run(`printf '${fake}'; exit 8`);
                expect(stdout).toBe(fake.replaceAll("\\n", "\n"));
                expect(exitStatus).toBe(8);
            });

            it("refuses a NUL before anything is sent", async () => {
                const before = transport.counters.runs;
                await expect(run("echo a\0b")).rejects.toMatchObject({ code: "invalid" });
                expect(transport.counters.runs).toBe(before);
            });

            it("any text that is quoted comes back as it was", async () => {
                const text = fc.string({ unit: "binary", maxLength: 300 }).map((t) => t.replaceAll("\0", ""));
                await fc.assert(
                    fc.asyncProperty(text, async (value) => {
                        const wellFormed = Buffer.from(value).toString();
                        const quoted = `'${wellFormed.replaceAll("'", "'\\''")}'`;
                        const { stdout } = await run(`printf %s ${quoted}; printf .`);
                        expect(stdout).toBe(`${wellFormed}.`);
                    }),
                    { numRuns: 300 },
                );
            });

            it("any script leaves the shell fit for the next", async () => {
                const shells = transport.counters.shells;
                const word = fc.constantFrom(
                    ..."' \" ` \\ $ ( ) { } ; & | \n < > << EOF # if then fi do done case esac ! bh_run eval exit return : echo '' = [ ] * ?".split(
                        " ",
                    ),
                );
                const script = fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 25 });
                await fc.assert(
                    fc.asyncProperty(script, async (words) => {
                        // Names and paths that it may make up end up in a folder of its own.
                        const text = words.join(" ").replaceAll("\0", "").replaceAll("/", "");
                        await run(`cd '${dir}' || exit\n${text}`, { timeout: 5_000 });
                        expect((await run("echo fine")).stdout).toBe("fine\n");
                    }),
                    { numRuns: 300 },
                );
                expect(transport.counters.shells - shells).toBeLessThan(5);
            });
        });

        describe("many runs", () => {
            it("64 at once share a few shells", async () => {
                const results = await Promise.all(
                    Array.from({ length: 64 }, (_, i) =>
                        run(`echo ${String(i)}; sleep 0.01; echo ${String(i)} >&2`),
                    ),
                );
                results.forEach((result, i) => {
                    expect(result).toMatchObject({ stdout: `${String(i)}\n`, stderr: `${String(i)}\n` });
                });
            });

            it("100 take one connection and at most four shells", async () => {
                const fresh = await make();
                for (let i = 0; i < 100; i++) await fresh.run(":");
                expect(fresh.counters).toMatchObject({ connections, shells: 1, runs: 100 });
                await Promise.all(Array.from({ length: 100 }, () => fresh.run(":")));
                expect(fresh.counters).toMatchObject({ connections, runs: 200 });
                expect(fresh.counters.shells).toBeLessThanOrEqual(4);
                expect(fresh.counters.bytesSent).toBeGreaterThan(200 * 32);
                expect(fresh.counters.bytesReceived).toBeGreaterThan(200 * 32);
                await fresh.close();
            });

            it("have no network delay in them", async () => {
                const times: number[] = [];
                for (let i = 0; i < 50; i++) times.push((await run(":")).duration);
                expect(times.sort((a, b) => a - b)[25]).toBeLessThan(20);
            });
        });

        describe("ends", () => {
            /** Writes the pids of a tree: the script, a child that ignores TERM, one in another process group. */
            const tree = (file: string) =>
                `f='${join(dir, file)}'; : >>"$f"
                sh -c 'trap "" TERM HUP INT; echo $$ >>"$0"; while :; do sleep 1; done' "$f" &
                timeout 50 sh -c 'echo $$ >>"$0"; sleep 50; :' "$f" &
                ( ( sleep 50 & echo $! >>"$f" ) & )
                while [ "$(wc -l <"$f")" -lt 3 ]; do sleep 0.01; done; echo 1 >>"$f"; wait; sleep 60`;

            const dead = async (file: string) => {
                const all = (await pids(file, 4)).filter((pid) => pid > 1);
                expect(all.length).toBe(3);
                await eventually(() => !all.some(lives));
            };

            it("cancelled before it begins, nothing is sent", async () => {
                const before = transport.counters.runs;
                await expect(run(":", { signal: AbortSignal.abort() })).rejects.toMatchObject({
                    code: "cancelled",
                });
                expect(transport.counters.runs).toBe(before);
            });

            it("cancelled while it waits for a shell, nothing is sent", async () => {
                const fresh = await make();
                const stop = new AbortController();
                const busy = Array.from({ length: 8 }, () => fresh.run("sleep 0.5"));
                const waiting = fresh.run("echo never", { signal: stop.signal });
                stop.abort();
                await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
                await Promise.all(busy);
                expect(fresh.counters.runs).toBe(8);
                await fresh.close();
            });

            it("cancelled while it runs, its whole tree is dead and the next run is fine", async () => {
                const stop = new AbortController();
                const ended = run(tree("cancel"), { signal: stop.signal, doing: 'create volume "x"' });
                await pids("cancel", 4);
                stop.abort();
                const error: unknown = await ended.catch((e: unknown) => e);
                expect(hasCode(error, "cancelled")).toBe(true);
                expect(String(error)).toContain('create volume "x" on host');
                await dead("cancel");
                expect((await run("echo fine")).stdout).toBe("fine\n");
            });

            it("past its deadline, its whole tree is dead", async () => {
                const started = Date.now();
                const ended = run(tree("deadline"), { timeout: 700 });
                await expect(ended).rejects.toMatchObject({ code: "timeout" });
                expect(Date.now() - started).toBeLessThan(3_000);
                await dead("deadline");
            });

            it("a daemon with a session of its own outlives the end, the kill and the connection", async () => {
                const daemon = (file: string) => `setsid sleep 50 & echo $! >>'${join(dir, file)}'`;
                const fresh = await make();
                await fresh.run(daemon("daemon"));
                await fresh
                    .run(`${daemon("daemon")}; sleep 0.3; sleep 50`, { timeout: 800 })
                    .catch(() => undefined);
                await fresh.run(daemon("daemon"));
                await sleep(100);
                await fresh.close();
                const all = await pids("daemon", 3);
                await sleep(200);
                expect(all.map(lives)).toEqual([true, true, true]);
                for (const pid of all) process.kill(pid, "SIGKILL");
            });

            it("at its normal end nothing of ours is left but the shell and its guard", async () => {
                const fresh = await make();
                const { stdout } = await fresh.run("echo $$");
                const shell = pidsIn(stdout)[0] ?? 0;
                await fresh.run("sleep 0.1");
                const session = (): number => sessionOf(shell).length;
                await eventually(() => session() === 2, 3_000);
                await fresh.close();
                await eventually(() => session() === 0, 3_000);
            });

            it("with the kept shell killed, the run is `unreachable` and its tree dead", async () => {
                const ended = run(tree("killed").replace("echo 1 >>", () => "echo $$ >>"));
                ended.catch(() => undefined);
                const all = await pids("killed", 4);
                process.kill(all[3] ?? 0, "SIGKILL");
                await eventually(() => !all.some(lives));
                const error: unknown = await ended.catch((e: unknown) => e);
                expect(hasCode(error, "unreachable")).toBe(true);
                expect(String(error)).toContain("unknown");
                expect((await run("echo fine")).stdout).toBe("fine\n");
            });

            it("with the connection closed by us, the tree is dead", async () => {
                const fresh = await make();
                const ended = fresh.run(tree("close"));
                ended.catch(() => undefined);
                await pids("close", 4);
                await fresh.close();
                await expect(ended).rejects.toMatchObject({
                    code: expect.stringMatching(/unreachable|cancelled/) as string,
                });
                await dead("close");
                expect((await fresh.run("echo again")).stdout).toBe("again\n");
                await fresh.close();
            });
        });
    });
}

/** Pids of the living processes of a session, as the host's kill finds them. */
export function sessionOf(leader: number): number[] {
    return readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((pid) => {
            try {
                const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
                const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
                return Number(fields[3]) === leader && fields[0] !== "Z";
            } catch {
                // It ended while we looked.
                return false;
            }
        });
}
