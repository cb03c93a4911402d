import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageSchema } from "../provider/faces/plugin/schema";
import { checkout } from "./paths.mjs";

/** `npm run schema`: writes schema.json; with `--check`, only says whether it is as the definitions have it. */
const file = join(checkout, "schema.json");
const now = `${JSON.stringify(packageSchema(), null, 4)}\n`;
if (!process.argv.includes("--check")) {
    writeFileSync(file, now);
} else if (readFileSync(file, "utf8") !== now) {
    process.stderr.write("schema.json is not what the definitions come to: run `npm run schema`\n");
    process.exitCode = 1;
}
