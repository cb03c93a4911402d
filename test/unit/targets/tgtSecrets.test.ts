import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Step } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import { shownMegabytes } from "../../../provider/targets/tgt/show";
import { inquire, qemuIo } from "./initiator";
import { CLIENT, TgtHost } from "./tgtHost";

/** What reaches the host, watched from outside. */

let host: TgtHost;

beforeEach(async () => {
    host = await TgtHost.start();
});

afterEach(async () => {
    await host.stop();
});

test("no secret is on any command line or in any environment while exports are made, changed and removed", () => {
    const secrets = ["Sesame-Open-1", "Sesame-Open-2", "I-am-the-target"];
    const initiators = (password: string) => [
        {
            name: CLIENT,
            chap: { username: "alice", password: new Secret(password) },
            mutualChap: { username: "t", password: new Secret("I-am-the-target") },
        },
    ];
    const log = join(host.directory, "strace");
    let processes = 0;
    const traced = (scripts: readonly Step["script"][]) => {
        for (const script of scripts) {
            const input = `main() {\n(\n${script.text}\n) </dev/null\n}\nmain\n`;
            const args = ["-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", log, "sh"];
            const { status, stderr } = spawnSync("strace", args, { input, encoding: "utf8" });
            expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
            const seen = readFileSync(log, "utf8");
            processes += (seen.match(/execve\(/g) ?? []).length;
            for (const secret of secrets) expect(seen).not.toContain(secret);
            expect(seen).not.toMatch(/tgtadm/);
        }
    };
    const steps = (want: Parameters<typeof tgtTarget.ensure>[1]) =>
        tgtTarget.ensure(host.context(), want).steps.map(({ script }) => script);
    const want = host.want("pg", { initiators: initiators("Sesame-Open-1") });
    traced(steps(want));
    traced(steps({ ...want, initiators: initiators("Sesame-Open-2") }));
    traced([tgtTarget.observe(host.ref)]);
    traced(tgtTarget.remove(host.context(), want).steps.map(({ script }) => script));
    expect(processes).toBeGreaterThan(10);
});

test("no secret is in what an observation prints", () => {
    host.ensure(host.want("pg"));
    expect(host.sh(tgtTarget.observe(host.ref)).stdout).not.toContain("Sesame");
});

test.each([
    'it\'s "quoted" $(touch bh-tgt-pwned) `id` %41 ; & | <x> ü \\ *',
    "BLOCKHOST_TGT",
    "-rf",
    "__END__",
])("a device path is only ever a path: %s", (name) => {
    const devicePath = host.device(name);
    const want = host.want("pg", { devicePath });
    host.ensure(want);
    const facts = host.facts("pg");
    expect(facts).toMatchObject({ devicePath, differences: [] });
    const login = {
        portal: host.portal,
        target: facts?.targetName ?? "?",
        initiator: CLIENT,
        chap: want.initiators[0]?.chap,
    };
    expect(qemuIo(login, "write -P 7 0 512").ok).toBe(true);
    expect(readFileSync(devicePath)[0]).toBe(7);
    expect(host.sh("test -e bh-tgt-pwned").status).toBe(1);
    host.remove(want);
    expect(inquire(login).ok).toBe(false);
});

test("sizes are compared as tgtd shows them", () => {
    for (const bytes of [512, 4096, 999_936, 1_000_448, 123_456_512, 10 * 1024 ** 3, 3 * 1024 ** 4 + 512]) {
        const want = host.want("pg", {
            devicePath: host.device(`s${String(bytes)}`, bytes),
            sizeBytes: bytes,
        });
        host.ensure(want);
        const shown = /LUN: 1\n[^]*?Size: (\d+) MB/.exec(host.admin("--op", "show", "--mode", "target"))?.[1];
        expect(shownMegabytes(bytes)).toBe(Number(shown));
        host.remove(want);
    }
});
