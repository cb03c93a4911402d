import { describe, test } from "vitest";
import { examplesOn, runExample } from "../../tools/example.mjs";

/** Examples that need hosts with real kernels; the others are a matter of `test/e2e/examples.test.ts`. */
describe("an example", async () => {
    test.each(await examplesOn("lab"))("%s does what it says", async (name) => {
        await runExample(name);
    });
});
