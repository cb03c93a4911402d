import { prepare } from "../../tools/prepare.mjs";

/** For tests that start tgtd, sshd and initiators. Takes no time where they are installed. */
export default async function setup(): Promise<void> {
    await prepare({ packages: true });
}
