import { observeEpoch, parseEpoch } from "../../../provider/host/epoch";
import type { HostFacts } from "../../../provider/host/facts";
import type { Mark } from "../../../provider/host/mark";
import { clearLeftovers, willFlush } from "../../../provider/host/leftovers";
import { isEmpty, type Plan, type Step } from "../../../provider/host/plan";
import { Secret } from "../../../provider/sh";
import type {
    ExportFacts,
    ExportWanted,
    Target,
    TargetContext,
    TargetFacts,
    TargetRef,
} from "../../../provider/targets/types";

const NEXT = "---- harness: next ----";

/** Runs a script on a host as root. */
export type Run = (
    script: string,
    shell?: string,
) => Promise<{ status: number; stdout: string; stderr: string }>;

/** A real host with a kernel target, without the engine: plans, runs steps, reads back and plans again. */
export class KernelHost<Options> {
    /** As it was observed last. */
    private epoch = parseEpoch("");

    constructor(
        readonly target: Target<Options>,
        readonly ref: TargetRef<Options>,
        readonly run: Run,
    ) {}

    async sh(script: string): Promise<string> {
        const { status, stdout, stderr } = await this.run(script);
        if (status !== 0) throw new Error(`${script}: exit status ${String(status)}: ${stderr}`);
        return stdout;
    }

    /** Runs scripts one after the other in one call; returns what each printed. */
    async all(scripts: readonly string[]): Promise<string[]> {
        const text = scripts.map((script) => `(\n${script}\n) </dev/null || exit\necho '${NEXT}'`).join("\n");
        const { status, stdout, stderr } = await this.run(text);
        if (status !== 0) throw new StepFailed(status, stderr);
        return stdout.split(`${NEXT}\n`);
    }

    observe(only?: readonly string[]): Promise<TargetFacts> {
        return this.observeAfter([], only);
    }

    /** Does something, and observes. */
    after(script: string): Promise<TargetFacts> {
        return this.observeAfter([script]);
    }

    private async observeAfter(scripts: readonly string[], only?: readonly string[]): Promise<TargetFacts> {
        const look = [
            this.target.observe(this.ref, only).text,
            observeEpoch(this.ref.stateDirectory, true).text,
        ];
        const [printed, epoch] = (await this.all([...scripts, ...look])).slice(scripts.length);
        this.epoch = parseEpoch(epoch ?? "");
        return this.target.parse(this.ref, printed ?? "");
    }

    context(facts: TargetFacts, reserved: readonly string[] = []): TargetContext<Options> {
        const host: HostFacts = {
            pools: new Map(),
            targets: new Map([[this.ref.protocol, facts]]),
            units: new Map(),
            epoch: this.epoch,
            tools: new Set(),
            claims: [],
            reserved: new Set(reserved),
        };
        return { target: this.ref, facts, host };
    }

    /** Runs steps one after the other up to the first that fails, and observes. */
    steps(steps: readonly Step[]): Promise<TargetFacts> {
        return this.observeAfter(steps.map(({ script }) => script.text));
    }

    /** What a run that was cut short after its steps leaves to the next. */
    private async clear(): Promise<void> {
        const { stateDirectory } = this.ref;
        const clear = clearLeftovers(stateDirectory).steps.map(({ script }) => script.text);
        await this.all([`[ ! -d ${stateDirectory} ] || { ${willFlush(stateDirectory).text}\n}`, ...clear]);
    }

    /** Plans, runs, observes and plans again, until nothing is left to do; returns what was planned first. */
    async converge(plan: (context: TargetContext<Options>) => Plan, facts?: TargetFacts): Promise<Plan> {
        const first = plan(this.context(facts ?? (await this.observe())));
        let now = first;
        for (let round = 0; !isEmpty(now); round++) {
            if (round > 2)
                throw new Error(`still to be done: ${now.steps.map(({ label }) => label).join(", ")}`);
            now = plan(this.context(await this.steps(now.steps)));
        }
        await this.clear();
        return first;
    }

    ensure(want: ExportWanted, facts?: TargetFacts): Promise<Plan> {
        return this.converge((context) => this.target.ensure(context, want), facts);
    }

    remove(want: ExportWanted, facts?: TargetFacts): Promise<Plan> {
        return this.converge((context) => this.target.remove(context, want), facts);
    }

    async facts(name: string): Promise<ExportFacts | undefined> {
        return (await this.observe()).exports.get(name);
    }

    /** All that configfs has below the subsystem, secrets included: to compare before and after. */
    async dump(): Promise<string> {
        const root = this.ref.protocol === "iscsi" ? "target" : "nvmet";
        return this.sh(`cd /sys/kernel/config/${root} 2>/dev/null || exit 0
{ find . -name '*statistics' -prune -o -type l -printf '%p -> %l\\n' -o -type d -printf '%p/\\n'
grep -rs --exclude-dir='*statistics' --exclude-dir=pr . .; } | sort`);
    }
}

export class StepFailed extends Error {
    constructor(
        readonly status: number,
        readonly stderr: string,
    ) {
        super(`exit status ${String(status)}: ${stderr}`);
    }
}

export function mark(resource: string, generation = "0123456789abcdef"): Mark {
    const owner = { installation: "default", organization: "acme", project: "shop", stack: "prod", resource };
    return { kind: "export", owner, generation, phase: "ready", extra: {} };
}

export const CLIENT = "iqn.2024-01.com.example:client";
export const OTHER = "iqn.2024-01.com.example:other";
export const CHAP = { username: "alice", password: new Secret("Sesame-Open-1") };
export const MUTUAL = { username: "the-target", password: new Secret("I-am-the-target") };
