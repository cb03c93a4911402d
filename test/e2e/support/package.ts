import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Blockhost from "../../../sdk/nodejs/index";
import { checkout } from "../../../tools/paths.mjs";

/**
 * `pulumi-blockhost` as users have it: packed, in node_modules. An `import` by name from inside the checkout would be
 * Node's self-reference and lead to the checkout itself.
 */
const require = createRequire(join(checkout, "node_modules", "program.js"));
export const blockhost = require("pulumi-blockhost") as typeof Blockhost;

/** What programs import, by face: the same classes with the same arguments. */
export const FACES = [
    { face: "dynamic", blockhost },
    { face: "plugin", blockhost: require("pulumi-blockhost/plugin") as typeof Blockhost },
] as const;

/** How a program's file imports one of them. */
export const IMPORTS = { dynamic: "pulumi-blockhost", plugin: "pulumi-blockhost/plugin" } as const;
