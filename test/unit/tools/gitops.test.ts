import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkout } from "../../../tools/paths.mjs";

/** The pipeline of examples/gitops, as far as it can be tried without GitHub and Kubernetes. */

// As Pulumi's own SDK brings it.
const require = createRequire(join(checkout, "node_modules", "@pulumi", "pulumi", "package.json"));
const yaml = require("js-yaml") as { load(text: string): unknown };
const folder = join(checkout, "examples", "gitops");
const workflows = join(folder, ".github", "workflows");

interface Workflow {
    on: Record<string, unknown>;
    permissions: Record<string, string>;
    jobs: Record<
        string,
        { "runs-on": string; steps: { uses?: string; run?: string; with?: Record<string, unknown> }[] }
    >;
}

const load = (file: string) => yaml.load(readFileSync(file, "utf8"));

test.each(readdirSync(workflows))("%s has steps whose scripts are shell", (name) => {
    const { on, permissions, jobs } = load(join(workflows, name)) as Workflow;
    expect(Object.keys(on).length).toBeGreaterThan(0);
    expect(permissions["contents"]).toBe("read");
    const steps = Object.values(jobs).flatMap((job) => job.steps);
    expect(steps.length).toBeGreaterThan(0);
    for (const { uses, run } of steps) {
        expect([uses, run].filter((one) => one !== undefined)).toHaveLength(1);
        if (run !== undefined) execFileSync("sh", ["-n"], { input: run });
        // Versions of actions are pinned, to a major one at least.
        if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d/);
    }
});

test("pull requests only preview, on hosts that are read-only, with a key that may only read", () => {
    const text = readFileSync(join(workflows, "preview.yml"), "utf8");
    const { on, jobs } = load(join(workflows, "preview.yml")) as Workflow;
    expect(Object.keys(on)).toEqual(["pull_request"]);
    const steps = Object.values(jobs).flatMap((job) => job.steps);
    const readOnly = steps.findIndex(({ run }) => run?.includes("readOnly") === true);
    const preview = steps.findIndex((step) => step.with?.["command"] === "preview");
    expect(readOnly).toBeGreaterThanOrEqual(0);
    expect(preview).toBeGreaterThan(readOnly);
    expect(text).not.toMatch(/command: up|pulumi up|destroy/);
    expect(text).not.toMatch(/STORAGE_SSH_KEY \}\}/);
});

test("the operator's stack neither prints secrets nor deletes data", () => {
    const stack = load(join(folder, "operator", "stack.yaml")) as {
        kind: string;
        spec: { destroyOnFinalize: boolean; envRefs: Record<string, { type: string }> };
    };
    expect(stack.kind).toBe("Stack");
    expect(stack.spec.destroyOnFinalize).toBe(false);
    for (const { type } of Object.values(stack.spec.envRefs)) expect(type).toBe("Secret");
});
