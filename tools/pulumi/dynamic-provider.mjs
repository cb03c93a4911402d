// @ts-check
/**
 * A stand-in for Pulumi's `pulumi-resource-pulumi-nodejs`, the provider of dynamic resources. Used only where the
 * official one is missing. As the official one does, it runs `@pulumi/pulumi/cmd/dynamic-provider` as found from the
 * program's folder, which is where the engine starts it.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "program.js"));
const script = require.resolve("@pulumi/pulumi/cmd/dynamic-provider");
process.argv.splice(1, 1, script);
require(script);

// An engine that was killed cannot say goodbye.
const parent = process.ppid;
setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
}, 1000).unref();
