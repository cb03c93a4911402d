import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Blockhost from "../../../sdk/nodejs/index";
import { checkout } from "../../../tools/paths.mjs";

/**
 * `pulumi-blockhost` as users have it: packed, in node_modules. An `import` by name from inside the checkout would be
 * Node's self-reference and lead to the checkout itself.
 */
export const blockhost = createRequire(join(checkout, "node_modules", "program.js"))(
    "pulumi-blockhost",
) as typeof Blockhost;
