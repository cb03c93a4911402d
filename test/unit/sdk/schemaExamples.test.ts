import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { removeDirectory, temporaryDirectory } from "../../../tools/lifetime.mjs";
import { checkout } from "../../../tools/paths.mjs";
import { schemaExamples } from "../../../tools/schema-examples.mjs";

/**
 * The examples in schema.json are programs that the SDKs take. Those in Python are checked with the sources, by mypy
 * (tools/pulumi/python.mjs).
 */

const directory = temporaryDirectory("schema-examples");
afterAll(() => removeDirectory(directory));

interface Schema {
    readonly resources: Record<string, { inputProperties: object; requiredInputs?: string[] }>;
    readonly functions: Record<string, { inputs: { properties: object; required?: string[] } }>;
}
const schema = JSON.parse(readFileSync(join(checkout, "schema.json"), "utf8")) as Schema;
const all = [...Object.keys(schema.resources), ...Object.keys(schema.functions)].map((token) =>
    token.replace(/^.*:/, ""),
);

test.each(["typescript", "python", "yaml"] as const)(
    "every resource and function has an example in %s",
    (language) => {
        expect(schemaExamples(language).map(({ of }) => of)).toEqual(all);
    },
);

test("those in TypeScript compile against the plugin's SDK", () => {
    mkdirSync(join(directory, "node_modules"));
    for (const name of ["@pulumi", "@types"])
        symlinkSync(join(checkout, "node_modules", name), join(directory, "node_modules", name));
    const files = schemaExamples("typescript").map(({ of, text }) => {
        const file = join(directory, `${of}.ts`);
        writeFileSync(file, text);
        return file;
    });
    const program = ts.createProgram(files, {
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.Node16,
        moduleResolution: ts.ModuleResolutionKind.Node16,
        types: ["node"],
        typeRoots: [join(directory, "node_modules", "@types")],
        paths: { "pulumi-blockhost/plugin": [join(checkout, "sdk", "plugin", "index.ts")] },
    });
    const problems = ts
        .getPreEmitDiagnostics(program)
        .map(({ file, messageText }) => `${file?.fileName ?? ""}: ${JSON.stringify(messageText)}`);
    expect(problems).toEqual([]);
});

interface YamlProgram {
    readonly resources?: Record<string, { type: string; properties: object }>;
    readonly variables?: Record<string, { "fn::invoke": { function: string; arguments: object } }>;
}

test("those in YAML give what the schema asks for, and nothing else", () => {
    for (const { of, text } of schemaExamples("yaml")) {
        const { resources = {}, variables = {} } = parse(text) as YamlProgram;
        const given = [
            ...Object.values(resources).map(({ type, properties }) => {
                const spec = schema.resources[type.replace(":", ":index:")];
                return { properties, may: spec?.inputProperties, must: spec?.requiredInputs };
            }),
            ...Object.values(variables).map(({ "fn::invoke": call }) => {
                const spec = schema.functions[call.function.replace(":", ":index:")]?.inputs;
                return { properties: call.arguments, may: spec?.properties, must: spec?.required };
            }),
        ];
        expect(given.length, of).toBeGreaterThan(0);
        for (const { properties, may, must = [] } of given) {
            const names = Object.keys(properties);
            expect(Object.keys(may ?? {}), of).toEqual(expect.arrayContaining(names));
            expect(names, of).toEqual(expect.arrayContaining(must));
        }
    }
});
