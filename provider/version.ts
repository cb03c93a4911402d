import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The package's folder: of this file in the sources, of `dist` where it is compiled. */
export const packageDirectory = directoryOf(__dirname);

/** Of the package, as in package.json. */
export const { version } = JSON.parse(readFileSync(join(packageDirectory, "package.json"), "utf8")) as {
    version: string;
};

function directoryOf(here: string): string {
    const above = dirname(here);
    return above.endsWith("/dist") ? dirname(above) : above;
}
