// @ts-check
/**
 * `npm run sdk`: writes the SDKs for programs that use the plugin, from schema.json; with `-- --check`, only says whether
 * they are as it has them. Generated code is committed, so that nobody needs Go to use it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { removeDirectory, temporaryDirectory } from "./lifetime.mjs";
import { checkout } from "./paths.mjs";
import { prepare } from "./prepare.mjs";
import { generateSdk } from "./pulumi/sdk-generator.mjs";

const schema = join(checkout, "schema.json");

/**
 * Where each language's SDK goes, and which of the generated files are of no use to us.
 *
 * @type {{ language: "nodejs" | "python" | "go", folder: string, without: RegExp }[]}
 */
const languages = [
    {
        language: "nodejs",
        folder: "sdk/plugin",
        without: /^(package\.json|tsconfig\.json|README\.md|\.git\w+)$/,
    },
    { language: "python", folder: "sdk/python", without: /^\.git\w+$/ },
    { language: "go", folder: "sdk/go", without: /^\.git\w+$/ },
];

/** @param {string[]} args @returns {Promise<number>} exit status */
export async function sdk(args) {
    await prepare({ sdk: true });
    await generateSdk(schema, "check");
    const directory = temporaryDirectory("sdk");
    try {
        const stale = [];
        for (const { language, folder, without } of languages) {
            const made = join(directory, language);
            const from = language === "python" ? withoutCycles(directory) : schema;
            await generateSdk(from, language, made);
            for (const file of filesBelow(made)) if (without.test(file)) rmSync(join(made, file));
            if (language === "nodejs") {
                settleVersion(made);
                dropImportsOfSelf(made);
            }
            if (language === "go") keepGoSum(made, folder);
            if (!args.includes("--check")) replace(made, join(checkout, folder));
            else if (!same(made, join(checkout, folder))) stale.push(folder);
        }
        for (const folder of stale)
            process.stderr.write(`${folder} is not what schema.json comes to: run \`npm run sdk\`\n`);
        return stale.length === 0 ? 0 : 1;
    } finally {
        removeDirectory(directory);
    }
}

/**
 * Modules of the Python SDK import the resources that may be passed in place of an id at once, and a volume may start
 * with a snapshot, which is of a volume. Within types, only ids are declared there; a resource may be passed all the same.
 *
 * @param {string} directory
 */
function withoutCycles(directory) {
    const spec = JSON.parse(readFileSync(schema, "utf8"));
    for (const { properties = {} } of Object.values(spec.types)) {
        for (const property of Object.values(properties)) {
            const kept = property.oneOf?.filter(
                (/** @type {{ $ref?: string }} */ one) => !one.$ref?.startsWith("#/resources/"),
            );
            if (kept?.length !== 1) continue;
            delete property.oneOf;
            Object.assign(property, kept[0]);
        }
    }
    const file = join(directory, "acyclic.json");
    writeFileSync(file, JSON.stringify(spec));
    return file;
}

/**
 * The generated package reads its version from a package.json beside it. Ours is part of pulumi-blockhost, and a
 * package.json of a Pulumi plugin in it would make every program that has it ask for the plugin.
 *
 * @param {string} made
 */
function settleVersion(made) {
    const { version } = JSON.parse(readFileSync(schema, "utf8"));
    const file = join(made, "utilities.ts");
    const text = readFileSync(file, "utf8");
    const settled = text.replace(
        "let version = require('./package.json').version;",
        `let version = "${version}";`,
    );
    if (settled === text) throw new Error("the generated utilities.ts no longer reads package.json");
    writeFileSync(file, settled);
}

/**
 * A resource that may be passed to its own kind (a volume as a volume's source) is imported by the file that declares
 * it, which TypeScript refuses.
 *
 * @param {string} made
 */
function dropImportsOfSelf(made) {
    for (const name of readdirSync(made)) {
        if (!name.endsWith(".ts")) continue;
        const file = join(made, name);
        const text = readFileSync(file, "utf8");
        const self = /^export class (\w+) extends pulumi\.CustomResource/m.exec(text)?.[1];
        const mended = text.replace(
            /^import \{(.*)\} from "\.\/index";$/m,
            (_line, /** @type {string} */ names) => {
                const others = names.split(", ").filter((one) => one !== self);
                return others.length === 0 ? "" : `import {${others.join(", ")}} from "./index";`;
            },
        );
        if (mended !== text) writeFileSync(file, mended);
    }
}

/** go.sum belongs to the module, and is not generated. @param {string} made @param {string} folder */
function keepGoSum(made, folder) {
    for (const file of ["go.sum", "go.mod"]) {
        const kept = join(checkout, folder, file);
        if (existsSync(kept)) cpSync(kept, join(made, file));
    }
}

/** @param {string} from @param {string} to */
function replace(from, to) {
    rmSync(to, { recursive: true, force: true });
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to, { recursive: true });
}

/** @param {string} one @param {string} other */
function same(one, other) {
    const files = filesBelow(one);
    if (!existsSync(other) || filesBelow(other).join("\n") !== files.join("\n")) return false;
    return files.every((file) => readFileSync(join(one, file)).equals(readFileSync(join(other, file))));
}

/** @param {string} directory @returns {string[]} */
function filesBelow(directory) {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
        .filter((file) => !/(^|\/)(__pycache__|[^/]*\.egg-info|build)(\/|$)/.test(file))
        .sort();
}
