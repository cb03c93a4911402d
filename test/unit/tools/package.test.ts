import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run as runCommand } from "../../../tools/command.mjs";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";
import { checkout } from "../../../tools/paths.mjs";

/** The package as `npm pack` makes it of a checkout that nothing was built in, and as a user's program sees it. */

let directory: string;
let tarball: string;
let listed: string[];

const run = async (command: string, args: string[], cwd: string) =>
    (await runCommand(command, args, { cwd })).stdout;

beforeAll(async () => {
    directory = temporaryDirectory("package-test");
    const clone = join(directory, "clone");
    mkdirSync(clone);
    const files = (await run("git", ["ls-files", "-co", "--exclude-standard"], checkout))
        .trimEnd()
        .split("\n");
    for (const file of files.filter((name) => existsSync(join(checkout, name)))) {
        mkdirSync(dirname(join(clone, file)), { recursive: true });
        cpSync(join(checkout, file), join(clone, file));
    }
    symlinkSync(join(checkout, "node_modules"), join(clone, "node_modules"));
    // Left from an earlier build.
    mkdirSync(join(clone, "dist"));
    writeFileSync(join(clone, "dist", "stale.js"), "");
    const said = await run("npm", ["pack", "--loglevel=error", "--pack-destination", directory], clone);
    tarball = join(directory, said.trimEnd().split("\n").at(-1) ?? "");
    listed = (await run("tar", ["-tzf", tarball], directory)).trimEnd().split("\n").sort();
});
afterAll(() => removeDirectory(directory));

test("npm pack builds first, and takes what belongs to the package only", () => {
    const { exports, bin } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
        exports: Record<string, string | Record<string, string>>;
        bin: Record<string, string>;
    };
    for (const path of [...Object.values(exports), ...Object.values(bin)].flatMap((one) =>
        typeof one === "string" ? [one] : Object.values(one),
    ))
        expect(listed).toContain(join("package", path));
    expect(listed).toContain("package/LICENSE");
    expect(listed).toContain("package/docs/getting-started.md");
    expect(listed).not.toContain("package/dist/stale.js");
    const elsewhere = listed.filter(
        (path) => !/^package\/(bin|dist|docs|plugin)\/|^package\/[A-Za-z]+(\.md|\.json)?$/.test(path),
    );
    expect(elsewhere).toEqual([]);
    expect(listed.filter((path) => /\/(test|tools)\//.test(path))).toEqual([]);
});

const program = `
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const data = new blockhost.Volume("data", { host: "san1", pool: "fast", size: "1GiB" });
const before = new blockhost.Snapshot("before", { volume: data });
const lun = new blockhost.Export("lun", {
    source: data,
    protocol: "iscsi",
    initiators: [{ iqn: "iqn.2024-01.com.example:db1", chap: { username: "db1", password: pulumi.secret("x") } }],
});
export const id: pulumi.Output<string> = before.id;
export const connection = lun.connection;
// @ts-expect-error: sizes are texts or numbers
new blockhost.Volume("wrong", { host: "san1", pool: "fast", size: true });
`;

test.each([
    ["node16", "node16"],
    ["esnext", "bundler"],
])("a strict program type-checks against it (module %s, resolution %s)", async (module, moduleResolution) => {
    const folder = join(directory, moduleResolution);
    const installed = join(folder, "node_modules", "pulumi-blockhost");
    mkdirSync(installed, { recursive: true });
    await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", installed], directory);
    // Its dependencies are installed already, beside this project's own.
    for (const name of Object.keys(dependencies())) link(folder, name);
    link(folder, "@types/node");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "program", private: true }));
    writeFileSync(join(folder, "index.ts"), program);
    const compilerOptions = {
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        target: "es2022",
        types: ["node"],
        module,
        moduleResolution,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["index.ts"] }));
    const tsc = join(checkout, "node_modules", "typescript", "bin", "tsc");
    expect(await run(process.execPath, [tsc, "-p", "."], folder)).toBe("");
});

function dependencies(): Record<string, string> {
    const read = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as Record<string, object>;
    return { ...read["dependencies"], ...read["peerDependencies"] };
}

function link(folder: string, name: string): void {
    const path = join(folder, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(join(checkout, "node_modules", name), path);
}
