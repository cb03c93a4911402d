import type { HostFacts } from "../../../provider/host/facts";
import type { Mark } from "../../../provider/host/mark";
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

/** Runs a script on a host as root. */
export type Run = (
    script: string,
    shell?: string,
) => Promise<{ status: number; stdout: string; stderr: string }>;

/** A real host with a kernel target, without the engine: plans, runs steps, reads back and plans again. */
export class KernelHost<Options> {
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

    async observe(only?: readonly string[]): Promise<TargetFacts> {
        return this.target.parse(this.ref, await this.sh(this.target.observe(this.ref, only).text));
    }

    context(facts: TargetFacts, reserved: readonly string[] = []): TargetContext<Options> {
        const host: HostFacts = {
            pools: new Map(),
            targets: new Map([[this.ref.protocol, facts]]),
            units: new Map(),
            tools: new Set(),
            claims: [],
            reserved: new Set(reserved),
        };
        return { target: this.ref, facts, host };
    }

    /** Runs steps one after the other up to the first that fails. */
    async steps(steps: readonly Step[]): Promise<void> {
        const text = steps
            .map(
                ({ label, script }) =>
                    `(\n${script.text}\n) </dev/null || { s=$?; echo 'in: ${label.replaceAll("'", "")}' >&2; exit $s; }`,
            )
            .join("\n");
        const { status, stderr } = await this.run(text);
        if (status !== 0) throw new StepFailed(status, stderr);
    }

    /** Plans, runs, observes and plans again, until nothing is left to do; returns what was planned first. */
    async converge(plan: (context: TargetContext<Options>) => Plan): Promise<Plan> {
        const first = plan(this.context(await this.observe()));
        let now = first;
        for (let round = 0; !isEmpty(now); round++) {
            if (round > 2)
                throw new Error(`still to be done: ${now.steps.map(({ label }) => label).join(", ")}`);
            await this.steps(now.steps);
            now = plan(this.context(await this.observe()));
        }
        return first;
    }

    ensure(want: ExportWanted): Promise<Plan> {
        return this.converge((context) => this.target.ensure(context, want));
    }

    remove(want: ExportWanted): Promise<Plan> {
        return this.converge((context) => this.target.remove(context, want));
    }

    async facts(name: string): Promise<ExportFacts | undefined> {
        return (await this.observe()).exports.get(name);
    }

    /** All that configfs has below the subsystem, secrets included: to compare before and after. */
    async dump(): Promise<string> {
        const root = this.ref.protocol === "iscsi" ? "target" : "nvmet";
        return this.sh(`cd /sys/kernel/config/${root} 2>/dev/null || exit 0
{ find . -type l -printf '%p -> %l\\n' -o -type d -printf '%p/\\n'
grep -rs . . | grep -v -e /statistics/ -e /fabric_statistics/ -e alua; } | sort`);
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
