import { expect, test } from "vitest";
import { exampleNames, runExample } from "../../tools/example.mjs";

test("there are examples", () => {
    expect(exampleNames()).toEqual(
        expect.arrayContaining([
            "adopt",
            "basic",
            "chap-rotation",
            "clone-and-revert",
            "inline-host",
            "quickstart-go",
            "quickstart-python",
            "quickstart-ts-plugin",
            "quickstart-yaml",
        ]),
    );
});

test.each(exampleNames())("%s does what it says", async (name) => {
    await runExample(name);
});
