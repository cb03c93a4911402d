import { describe, expect, test } from "vitest";
import { exampleNames, examplesOn, runExample } from "../../tools/example.mjs";

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
    test.each(await examplesOn("embedded"))("%s does what it says", async (name) => {
        await runExample(name);
    });
});
