// @ts-check
/**
 * `npm run plugin`: the plugin as `pulumi plugin install` takes it, one archive a platform, named as Pulumi looks for
 * them below a `pluginDownloadURL`:
 *
 *     pulumi-resource-blockhost-v<version>-<os>-<arch>.tar.gz
 *
 * In it are the executable, a Node.js script, and all packages that it needs; Node.js itself is not. Nothing in it is
 * native, so all archives hold the same.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "./command.mjs";
import { removeDirectory, temporaryDirectory } from "./lifetime.mjs";
import { pack } from "./packed.mjs";
import { checkout } from "./paths.mjs";
import { prepare } from "./prepare.mjs";
import { createProgress } from "./prepare/progress.mjs";

const platforms = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"];

const executable = `#!/usr/bin/env node
require("./node_modules/pulumi-blockhost/dist/provider/faces/plugin/main.js")
    .main(process.argv.slice(2))
    .catch((error) => {
        console.error(error);
        process.exit(1);
    });
`;

/** @param {string[]} args @returns {Promise<number>} exit status */
export async function plugin(args) {
    await prepare({});
    const directory = resolve(args[0] ?? join(checkout, "dist", "plugin"));
    const archives = await createProgress().step("packing the plugin", () => packPlugin(directory));
    process.stdout.write(`${archives.join("\n")}\n`);
    return 0;
}

/**
 * @param {string} directory where the archives go
 * @returns {Promise<string[]>} their paths
 */
export async function packPlugin(directory) {
    const work = temporaryDirectory("plugin");
    try {
        const tarball = await pack(work);
        const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
        const sdk = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")).devDependencies[
            "@pulumi/pulumi"
        ];
        const content = join(work, "content");
        mkdirSync(content);
        const dependencies = { "pulumi-blockhost": `file:${tarball}`, "@pulumi/pulumi": sdk };
        writeFileSync(join(content, "package.json"), JSON.stringify({ private: true, dependencies }));
        await run(
            "npm",
            ["install", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
            {
                cwd: content,
            },
        );
        // It names a path of this machine.
        writeFileSync(
            join(content, "package.json"),
            JSON.stringify({ private: true, name: "pulumi-resource-blockhost", version }),
        );
        await run("rm", [
            "-rf",
            join(content, "package-lock.json"),
            join(content, "node_modules", ".package-lock.json"),
            join(content, "node_modules", ".bin"),
        ]);
        writeFileSync(join(content, "pulumi-resource-blockhost"), executable, { mode: 0o755 });
        mkdirSync(directory, { recursive: true });
        const [first = "", ...others] = platforms.map((platform) =>
            join(directory, `pulumi-resource-blockhost-v${version}-${platform}.tar.gz`),
        );
        await run("tar", ["-czf", first, "-C", content, "--owner=0", "--group=0", "--sort=name", "."]);
        for (const other of others) cpSync(first, other);
        return [first, ...others];
    } finally {
        removeDirectory(work);
    }
}
