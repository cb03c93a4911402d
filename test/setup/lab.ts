import { prepare } from "../../tools/prepare.mjs";

/** For tests on real storage hosts in QEMU, some of them by whole stacks. Takes no time where their disk image is there already. */
export default async function setup(): Promise<void> {
    await prepare({ packages: true, lab: true, pulumi: true, packed: true });
}
