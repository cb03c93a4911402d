import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";
import { checkout } from "../../../tools/paths.mjs";

/**
 * What Pulumi keeps in every resource's state as its provider. A change of a single byte is an update of every resource
 * that exists, so its text is pinned here.
 */
const DIGEST = "291f71bac2f4889f3078253b23050e7bf56c2dcdf942395c4133bc6d0c3e45b7";

let directory: string;
beforeAll(() => {
    directory = temporaryDirectory("shim");
});
afterAll(() => removeDirectory(directory));

/** The shim as compiled by a build in a folder of its own. */
async function serialised(name: string, options: ts.CompilerOptions): Promise<string> {
    const folder = join(directory, name, "dist");
    mkdirSync(folder, { recursive: true });
    const source = readFileSync(join(checkout, "sdk", "nodejs", "shim.ts"), "utf8");
    const { outputText } = ts.transpileModule(source, { compilerOptions: options });
    writeFileSync(join(folder, "shim.js"), outputText);
    writeFileSync(join(directory, name, "package.json"), "{}");
    const { shim } = createRequire(join(folder, "x.js"))("./shim.js") as { shim: unknown };
    return (await pulumi.runtime.serializeFunction(() => shim)).text;
}

const shipped: ts.CompilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };

test("is the same from every build, and as it was", async () => {
    const one = await serialised("one", shipped);
    const other = await serialised("a somewhat longer folder", {
        ...shipped,
        sourceMap: true,
        removeComments: true,
    });
    expect(other).toBe(one);
    expect(createHash("sha256").update(one).digest("hex")).toBe(DIGEST);
});

test("is small, and holds no path, secret or code of the provider", async () => {
    process.env["BLOCKHOST_SHIM_TEST"] = "a secret of the environment";
    const text = await serialised("content", shipped);
    delete process.env["BLOCKHOST_SHIM_TEST"];
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2048);
    expect(text).not.toContain(directory);
    expect(text).not.toContain(checkout);
    expect(text).not.toContain("a secret of the environment");
    const required = [...text.matchAll(/require\((.*?)\)/g)].map(([, what]) => what);
    expect(new Set(required)).toEqual(new Set(['"pulumi-blockhost/dynamic"']));
});
