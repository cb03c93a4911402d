import { afterAll, beforeAll } from "vitest";
import { createTransport } from "../../provider/transport";
import type { TransportConfig } from "../../provider/transport/types";
import { startEmbeddedHost, type EmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { startSshd, type TestSshd } from "./support/sshd";
import { testTransport } from "./transport";

let sshd: TestSshd;
let embedded: EmbeddedHost;
beforeAll(async () => {
    sshd = await startSshd();
    embedded = await startEmbeddedHost({ tgt: false });
});
afterAll(async () => {
    await sshd.stop();
    await embedded.stop();
});

const kinds: Record<string, Partial<TransportConfig>> = {
    sh: {},
    bash: { shell: "bash" },
    sudo: { sudo: true },
    "one shell": { maxSessions: 1 },
};

for (const [name, config] of Object.entries(kinds)) {
    testTransport(`ssh, ${name}`, { make: () => createTransport(sshd.config(config)), connections: 1 });
}

testTransport("ssh, the embedded host", {
    make: () => {
        const { address, port, user, hostKey, privateKeyFile } = embedded;
        return createTransport({ name: "embedded", address, port, user, hostKey, privateKeyFile });
    },
    connections: 1,
});
