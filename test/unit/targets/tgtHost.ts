import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostFacts } from "../../../provider/host/facts";
import type { Mark } from "../../../provider/host/mark";
import { isEmpty, type Plan, type Step } from "../../../provider/host/plan";
import { observeEpoch, parseEpoch } from "../../../provider/host/epoch";
import { clearLeftovers, willFlush } from "../../../provider/host/leftovers";
import { Secret, type Sh, sh } from "../../../provider/sh";
import { tgtTarget } from "../../../provider/targets/tgt";
import type { TgtContext } from "../../../provider/targets/tgt/model";
import type { TgtOptions } from "../../../provider/targets/tgt/options";
import type { ExportWanted, TargetFacts, TargetRef } from "../../../provider/targets/types";

/** A private tgtd on loopback with a state directory of its own, and the steps of plans run in plain `sh`. */
export class TgtHost {
    readonly directory: string;
    readonly port: number;
    readonly controlPort: number;
    /** As it is configured; another configuration may take its place. */
    ref: TargetRef<TgtOptions>;
    private process: ChildProcess | undefined;

    private constructor(directory: string, port: number, controlPort: number) {
        this.directory = directory;
        this.port = port;
        this.controlPort = controlPort;
        this.ref = {
            protocol: "iscsi",
            helper: "tgt",
            portals: [this.portal],
            options: { prefix: "iqn.2010-10.org.blockhost:", controlPort },
            stateDirectory: join(directory, "state with 'quote"),
        };
    }

    static async start(): Promise<TgtHost> {
        const directory = mkdtempSync(join(tmpdir(), "bh-tgt-"));
        const controlPort = freeControlPort();
        const host = new TgtHost(directory, await freePort(), controlPort);
        await host.boot();
        return host;
    }

    get portal(): string {
        return `127.0.0.1:${String(this.port)}`;
    }

    get pid(): number {
        const pid = this.process?.pid;
        if (pid === undefined) throw new Error("tgtd is not running");
        return pid;
    }

    get alive(): boolean {
        return this.process?.exitCode === null && this.process.signalCode === null;
    }

    async boot(): Promise<void> {
        const args = ["-f", "-C", String(this.controlPort), "--iscsi", `portal=${this.portal}`];
        this.process = spawn("tgtd", args, { stdio: "ignore" });
        for (let i = 0; i < 200; i++) {
            if (this.admin("--mode", "portal", "--op", "show").includes(this.portal)) return;
            await sleep(25);
        }
        throw new Error("tgtd did not start");
    }

    /** Ends tgtd the hard way: all it held is lost. */
    async kill(): Promise<void> {
        const child = this.process;
        if (child === undefined || !this.alive) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
    }

    async stop(): Promise<void> {
        await this.kill();
        for (const end of ["", ".lock"])
            rmSync(`/var/run/tgtd/socket.${String(this.controlPort)}${end}`, { force: true });
        rmSync(this.directory, { recursive: true, force: true });
    }

    /** What `tgtadm` prints; errors included. */
    admin(...args: string[]): string {
        const result = spawnSync("tgtadm", ["-C", String(this.controlPort), "--lld", "iscsi", ...args], {
            encoding: "utf8",
        });
        return result.stdout + result.stderr;
    }

    /** A device of that many bytes. */
    device(name: string, bytes = 16 * 1024 * 1024): string {
        const path = join(this.directory, name);
        if (!existsSync(path)) writeFileSync(path, "");
        truncateSync(path, bytes);
        return path;
    }

    sh(script: Sh | string): { status: number; stdout: string; stderr: string } {
        const input = `main() {\n(\n${typeof script === "string" ? script : script.text}\n) </dev/null\n}\nmain\n`;
        const result = spawnSync("sh", [], { input, encoding: "utf8" });
        return { status: result.status ?? 128, stdout: result.stdout, stderr: result.stderr };
    }

    /** Runs a step while this process does other things. */
    async runAsync(step: Step): Promise<void> {
        const child = spawn("sh", [], { stdio: ["pipe", "ignore", "pipe"] });
        let stderr = "";
        child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
        child.stdin.end(`main() {\n(\n${step.script.text}\n) </dev/null\n}\nmain\n`);
        const status = await new Promise<number | null>((resolve) => child.once("exit", resolve));
        if (status !== 0) throw new StepFailed(step.label, status ?? 128, stderr);
    }

    observe(only?: readonly string[]): TargetFacts {
        const { stdout, stderr } = this.sh(tgtTarget.observe(this.ref, only));
        if (stderr !== "") throw new Error(stderr);
        return tgtTarget.parse(this.ref, stdout);
    }

    context(facts = this.observe(), reserved: readonly string[] = []): TgtContext {
        const host: HostFacts = {
            pools: new Map(),
            targets: new Map([["iscsi", facts]]),
            units: new Map(),
            epoch: parseEpoch(this.sh(observeEpoch(this.ref.stateDirectory, true)).stdout),
            tools: new Set(),
            claims: [],
            reserved: new Set(reserved),
        };
        return { target: this.ref, facts, host };
    }

    /** Runs steps one after the other until one fails, and leaves behind what a run does that is cut short after them. */
    run(steps: readonly Step[]): void {
        const { stateDirectory } = this.ref;
        this.sh(sh`mkdir -p ${stateDirectory}\n${willFlush(stateDirectory)}`);
        for (const step of steps) {
            const { status, stderr } = this.sh(step.script);
            if (status !== 0) throw new StepFailed(step.label, status, stderr);
        }
    }

    /** Plans, runs, observes and plans again, until nothing is left to do; returns what was planned first. */
    converge(plan: (context: TgtContext) => Plan): Plan {
        const first = plan(this.context());
        let now = first;
        for (let round = 0; !isEmpty(now); round++) {
            if (round > 3)
                throw new Error(`still to be done: ${now.steps.map(({ label }) => label).join(", ")}`);
            this.run(now.steps);
            now = plan(this.context());
        }
        this.run(clearLeftovers(this.ref.stateDirectory).steps);
        return first;
    }

    ensure(want: ExportWanted): Plan {
        return this.converge((context) => tgtTarget.ensure(context, want));
    }

    remove(want: ExportWanted): Plan {
        return this.converge((context) => tgtTarget.remove(context, want));
    }

    want(name: string, changes: Partial<ExportWanted> = {}): ExportWanted {
        const devicePath = this.device(`${name}.img`);
        return {
            name,
            mark: mark(name),
            devicePath,
            sizeBytes: 16 * 1024 * 1024,
            readOnly: false,
            initiators: [{ name: CLIENT, chap: CHAP }],
            addresses: [],
            portals: [],
            discard: false,
            ...changes,
        };
    }

    facts(name: string) {
        return this.observe().exports.get(name);
    }
}

export class StepFailed extends Error {
    constructor(
        readonly label: string,
        readonly status: number,
        readonly stderr: string,
    ) {
        super(`${label}: exit status ${String(status)}: ${stderr}`);
    }
}

export const CLIENT = "iqn.2024-01.com.example:client";
export const OTHER = "iqn.2024-01.com.example:other";
export const CHAP = { username: "alice", password: new Secret("Sesame-Open-1") };

export function mark(resource: string, generation = "0123456789abcdef"): Mark {
    const owner = { installation: "default", organization: "acme", project: "shop", stack: "prod", resource };
    return { kind: "export", owner, generation, phase: "ready", extra: {} };
}

export function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = createServer().once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => {
                resolve(typeof address === "object" && address !== null ? address.port : 0);
            });
        });
    });
}

function freeControlPort(): number {
    for (;;) {
        const port = 1000 + Math.floor(Math.random() * 31_000);
        if (!existsSync(`/var/run/tgtd/socket.${String(port)}`)) return port;
    }
}
