import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Faults on hosts of the lab. */
const labFaults = "test/faults/lab-*.test.ts";

/** What is tried on emulated hosts of the lab by `npm test`, which is to stay short; `npm run test:lab` runs all. */
const labShare = ["test/lab/examples.test.ts"];

/** Hosts of the lab share the machine's cores: one file at a time, after everything else. */
const lab = (name: string) => ({
    name,
    globalSetup: ["test/setup/lab.ts"],
    poolOptions: { forks: { singleFork: true } },
    testTimeout: 900_000,
    hookTimeout: 600_000,
});

/** One project a kind of test: each brings the machine to the state that it needs, and no further. */
export default defineConfig({
    test: {
        // Tests start daemons and mount file systems: a process each, so that one that hangs can be ended.
        pool: "forks",
        setupFiles: ["test/setup/worker.ts"],
        teardownTimeout: 20_000,
        // Stacks, daemons and hosts wait for each other more than they compute; Vitest would leave a core idle.
        maxWorkers: Math.max(2, availableParallelism() - 1),
        minWorkers: 1,
        // What fails now and then shows itself where people work; a pipeline's machine may be anybody's, and busy. The
        // reporter names each test that it took more than one try.
        retry: process.env["CI"] === undefined ? 0 : 2,
        projects: [
            {
                extends: true,
                test: {
                    name: "unit",
                    hookTimeout: 120_000,
                    include: ["test/unit/**/*.test.ts"],
                    testTimeout: 120_000,
                },
            },
            {
                extends: true,
                test: {
                    name: "contract",
                    include: ["test/contract/**/*.test.ts"],
                    globalSetup: ["test/setup/daemons.ts"],
                    testTimeout: 120_000,
                    hookTimeout: 180_000,
                },
            },
            { extends: true, test: { ...lab("lab"), include: labShare, sequence: { groupOrder: 1 } } },
            {
                extends: true,
                test: {
                    ...lab("lab-long"),
                    include: ["test/lab/**/*.test.ts"],
                    exclude: labShare,
                    sequence: { groupOrder: 2 },
                },
            },
            {
                extends: true,
                test: { ...lab("lab-faults"), include: [labFaults], sequence: { groupOrder: 3 } },
            },
            {
                extends: true,
                test: {
                    name: "e2e",
                    include: ["test/e2e/**/*.test.ts"],
                    globalSetup: ["test/setup/engine.ts"],
                    testTimeout: 300_000,
                    hookTimeout: 300_000,
                },
            },
            {
                extends: true,
                test: {
                    name: "faults",
                    include: ["test/faults/**/*.test.ts"],
                    exclude: [labFaults],
                    globalSetup: ["test/setup/daemons.ts"],
                    // One test tries many points.
                    testTimeout: 900_000,
                    hookTimeout: 120_000,
                },
            },
        ],
    },
});
