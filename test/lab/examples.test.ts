import { describe, test } from "vitest";
import { exampleNames, needsLab, runExample } from "../../tools/example.mjs";

/** Examples that need hosts with real kernels; the others are a matter of `test/e2e/examples.test.ts`. */
describe("an example", async () => {
    for (const name of exampleNames()) {
        if (!(await needsLab(name))) continue;
        test(`${name} does what it says`, async () => {
            await runExample(name);
        });
    }
});
