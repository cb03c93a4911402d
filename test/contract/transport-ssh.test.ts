import { afterAll, beforeAll } from "vitest";
import { createTransport } from "../../provider/transport";
import type { TransportConfig } from "../../provider/transport/types";
import { startSshd, type TestSshd } from "./support/sshd";
import { testTransport } from "./transport";

let sshd: TestSshd;
beforeAll(async () => {
    sshd = await startSshd();
});
afterAll(() => sshd.stop());

const kinds: Record<string, Partial<TransportConfig>> = {
    sh: {},
    bash: { shell: "bash" },
    sudo: { sudo: true },
    "one shell": { maxSessions: 1 },
};

for (const [name, config] of Object.entries(kinds)) {
    testTransport(`ssh, ${name}`, { make: () => createTransport(sshd.config(config)), connections: 1 });
}
