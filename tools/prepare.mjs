// @ts-check
/**
 * Brings a machine to the state that tests, examples and the quickstart need. Every step is skipped at once where its
 * result is there already. Uses nothing but Node's own modules, as it runs before `npm install`.
 */
import { fetchEmulator, findEmulator } from "../test/lab/emulator.mjs";
import { buildImage, findImage } from "../test/lab/image/index.mjs";
import { temporaryDirectory } from "./lifetime.mjs";
import { packageIsUnpacked, unpackPackage } from "./packed.mjs";
import { installDebianPackages, missingDebianPackages } from "./prepare/debian-packages.mjs";
import { installNpmPackages, npmPackagesAreInstalled } from "./prepare/npm-packages.mjs";
import { withLock } from "./prepare/lock.mjs";
import { createProgress } from "./prepare/progress.mjs";
import { buildSdkGenerator, findSdkGenerator } from "./pulumi/sdk-generator.mjs";
import { buildPulumiCli, findPulumiCli } from "./pulumi/cli.mjs";
import { findPython, preparePython } from "./pulumi/python.mjs";
import { buildGoProgram, findGoProgram } from "./pulumi/go-program.mjs";
import { buildYamlHost, findYamlHost } from "./pulumi/yaml-host.mjs";
import { pulumiEnvironment } from "./pulumi/environment.mjs";
import { checkout } from "./paths.mjs";

/**
 * @typedef {object} Needs
 * @property {boolean} [packages] Debian packages: tgt, sshd, iSCSI initiators, mkfs
 * @property {boolean} [lab] QEMU and the disk image of the lab's hosts
 * @property {boolean} [pulumi] the Pulumi CLI
 * @property {boolean} [yaml] its language host for YAML programs
 * @property {boolean} [python] its SDK for Python programs
 * @property {boolean} [go] the example in Go, compiled
 * @property {boolean} [sdk] the generator of SDKs
 * @property {boolean} [packed] node_modules/pulumi-blockhost, packed from the sources
 */

/**
 * @typedef {object} Prepared
 * @property {import("./pulumi/cli.mjs").PulumiCli | undefined} cli with `pulumi` only
 * @property {(directory?: string) => Record<string, string>} pulumiEnvironment the whole environment of a Pulumi that
 *     keeps everything in `directory`; without one, in a temporary directory that goes with this process
 */

/**
 * @param {Needs} needs the npm packages are always brought
 * @returns {Promise<Prepared>}
 */
export async function prepare(needs) {
    const progress = createProgress();
    const cli = needs.pulumi ? findPulumiCli() : undefined;

    // The long one first; the others, which mostly wait for the network, run beside it.
    const steps = [
        needs.pulumi && !cli
            ? progress.step("building the Pulumi CLI, once, which takes some minutes", buildPulumiCli)
            : cli,
        needs.yaml &&
            !findYamlHost() &&
            progress.step("building Pulumi's YAML language host, once", buildYamlHost),
        needs.go && !findGoProgram() && progress.step("compiling the example in Go, once", buildGoProgram),
        needs.sdk &&
            !findSdkGenerator() &&
            progress.step("building the generator of SDKs, once", buildSdkGenerator),
        needs.python && !findPython() && progress.step("preparing a Python environment, once", preparePython),
        prepareMachine(needs, progress),
        prepareNode(needs, progress),
    ];
    // Let every step come to its end, so that a failure leaves nothing running and no message is lost.
    const results = await Promise.allSettled(steps);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const found = cli ?? (needs.pulumi ? findPulumiCli() : undefined);

    return {
        cli: found,
        pulumiEnvironment(directory = temporaryDirectory("pulumi")) {
            if (!found) throw new Error("prepare() was not asked for pulumi");
            const environment = pulumiEnvironment(found, directory, needs.yaml ? findYamlHost() : undefined);
            const python = needs.python ? findPython() : undefined;
            const go = needs.go ? findGoProgram() : undefined;
            return {
                ...environment,
                ...(python && { BLOCKHOST_PYTHON: python }),
                ...(go && { BLOCKHOST_GO_PROGRAM: go }),
            };
        },
    };
}

/**
 * @param {Needs} needs
 * @param {ReturnType<typeof createProgress>} progress
 */
async function prepareMachine(needs, progress) {
    const packages = missingDebianPackages(needs);
    if (packages.length > 0) {
        await progress.step(`installing ${packages.join(", ")}`, (say) =>
            installDebianPackages(packages, say),
        );
    }
    if (needs.lab && !findEmulator()) {
        await progress.step("fetching the QEMU of Debian's backports, once", fetchEmulator);
    }
    if (needs.lab && !findImage()) {
        await progress.step(
            "building the disk image of the lab's hosts, once, which takes some minutes",
            buildImage,
        );
    }
}

/**
 * @param {Needs} needs
 * @param {ReturnType<typeof createProgress>} progress
 */
async function prepareNode(needs, progress) {
    if (!npmPackagesAreInstalled()) {
        await progress.step("installing npm packages", (say) =>
            withLock(`npm ci in ${checkout}`, async () => {
                if (!npmPackagesAreInstalled()) await installNpmPackages(say);
            }),
        );
    }
    if (needs.packed && !packageIsUnpacked()) await progress.step("packing pulumi-blockhost", unpackPackage);
}
