import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { Client, MiB, refused } from "../support/client";

/** How often an operation is tried is the host's configuration. */

let host: EmbeddedHost;
beforeAll(async () => {
    host = await startEmbeddedHost({ tgt: false });
});
afterAll(() => host.stop());

/** The connection is cut once, as soon as a script begins to pass. */
function cutNextRun(): void {
    host.setTap(({ direction, chunk }) => {
        if (direction !== "in" || chunk.length < 1000) return;
        host.setTap(undefined);
        setImmediate(() => host.cutConnections());
        return undefined;
    });
}

test("an operation whose answer was lost is tried again, unless there is to be one try only", async () => {
    const once = new Client(host, { configuration: { tries: 1 } });
    await once.volume("before");
    cutNextRun();
    const error = await refused(once.volume("once"), "unreachable");
    expect(error.details.host).toBe("emb");
    expect((await once.volume("once")).sizeBytes).toBe(4 * MiB);
    await once.close();

    const usual = new Client(host);
    await usual.volume("before");
    cutNextRun();
    expect((await usual.volume("usual")).sizeBytes).toBe(4 * MiB);
    expect(usual.host.counters.connections).toBe(2);
    await usual.close();
});
