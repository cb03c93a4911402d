import { describe, expect, test } from "vitest";
import { exampleNames, needsLab, runExample } from "../../tools/example.mjs";

test("there are examples", () => {
    expect(exampleNames()).toEqual(
        expect.arrayContaining([
            "adopt",
            "basic",
            "chap-rotation",
            "clone-and-revert",
            "inline-host",
            "lvm-iscsi-nvme",
            "quickstart-go",
            "quickstart-python",
            "quickstart-ts-plugin",
            "quickstart-yaml",
        ]),
    );
});

describe("an example", async () => {
    // The others are a matter of `test/lab/examples.test.ts`.
    for (const name of exampleNames()) {
        if (await needsLab(name)) continue;
        test(`${name} does what it says`, async () => {
            await runExample(name);
        });
    }
});
