import { prepare } from "../../tools/prepare.mjs";

/** For tests that run the Pulumi engine and the packed package. Takes no time where all is there already. */
export default async function setup(): Promise<void> {
    await prepare({ packages: true, pulumi: true, packed: true });
}
