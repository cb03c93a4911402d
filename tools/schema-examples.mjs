// @ts-check
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "./paths.mjs";

/**
 * The programs that schema.json shows as examples, in one language.
 *
 * @param {"typescript" | "python" | "yaml"} language
 * @returns {{ of: string, text: string }[]} with the resource or function that each is an example of
 */
export function schemaExamples(language) {
    const { resources, functions } = JSON.parse(readFileSync(join(checkout, "schema.json"), "utf8"));
    return Object.entries({ ...resources, ...functions }).flatMap(([token, { description }]) =>
        [.../** @type {string} */ (description).matchAll(/^```(\w+)\n(.*?)^```$/gms)]
            .filter(([, name]) => name === language)
            .map(([, , text = ""]) => ({ of: token.replace(/^.*:/, ""), text })),
    );
}
