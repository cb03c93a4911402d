import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkout } from "../../tools/paths.mjs";

test("every test that the list of csi-sanity's cases names is there", () => {
    const folder = join(checkout, "test", "contract");
    const list = readFileSync(join(folder, "csi-sanity.md"), "utf8");
    const named = [...list.matchAll(/([\w./-]+\.ts): “([^”]+)”/g)];
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(
        ([, file = "", name = ""]) => !readFileSync(join(folder, file), "utf8").includes(`"${name}"`),
    );
    expect(missing.map(([text]) => text)).toEqual([]);
});
