import { prepare } from "../../tools/prepare.mjs";

/**
 * For tests that run the Pulumi engine and the packed package, with programs in every language. Takes no time where all
 * is there already; what is built once takes longer than any test may.
 */
export default async function setup(): Promise<void> {
    await prepare({ packages: true, pulumi: true, packed: true, yaml: true, python: true, go: true });
}
