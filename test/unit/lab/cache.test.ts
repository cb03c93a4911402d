import { existsSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../../tools/lifetime.mjs";
import { prune, touch } from "../../lab/cache.mjs";

test("what was not used for two weeks goes, and nothing else", () => {
    const directory = temporaryDirectory("cache");
    const paths = ["image/old", "image/used", "booted/k1/a", "booted/k1/b", "booted/k2/a"].map((name) =>
        join(directory, name),
    );
    const old = new Date(Date.now() - 15 * 86_400_000);
    for (const path of paths) {
        mkdirSync(path, { recursive: true });
        utimesSync(path, old, old);
    }
    touch(join(directory, "image/used"));
    touch(join(directory, "booted/k1/b"));
    prune(directory);
    expect(paths.map((path) => existsSync(path))).toEqual([false, true, false, true, false]);
    expect(existsSync(join(directory, "booted/k2"))).toBe(false);
});
