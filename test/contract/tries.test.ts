import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedHost, startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { NOTHING } from "../../provider/host/plan";
import { IncompleteCreation } from "../../provider/resources/creation";
import { volume } from "../../provider/resources/volume";
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

test("what is cancelled after it has begun says so, and is recorded; before, that nothing was changed", async () => {
    const client = new Client(host);
    await client.volume("before");
    const controller = new AbortController();
    const context = { ...client.context, signal: controller.signal };
    // The connection is cut while the steps are under way, and the user has enough of it in the pause before the next try.
    host.setTap(({ direction, chunk }) => {
        if (direction !== "in" || chunk.length < 1000) return;
        host.setTap(undefined);
        setTimeout(() => {
            host.cutConnections();
            setTimeout(() => {
                controller.abort();
            }, 20);
        }, 0);
        return undefined;
    });
    const error: unknown = await volume
        .create(context, client.volumeArgs("half", { size: "4MiB" }))
        .catch((reason: unknown) => reason);
    const failure = error instanceof IncompleteCreation ? error.cause : error;
    expect(failure).toMatchObject({
        code: "cancelled",
        details: { begun: true },
        message: expect.stringMatching(/half-way.*what to do: what was begun is on the host/s) as string,
    });
    expect(String(failure)).not.toContain("before");

    // The second operation of an update is in the middle of it, too.
    const second = {
        doing: "update",
        effect: "change",
        plan: () => NOTHING,
        result: () => undefined,
    } as const;
    const both = await refused(client.host.perform(second, context, true), "cancelled");
    expect(both.message).toMatch(/cancelled half-way/);
    const late = await refused(volume.create(context, client.volumeArgs("late")), "cancelled");
    expect(late.message).toMatch(/cancelled before anything was changed on the host/);
    expect((await client.volume("half")).sizeBytes).toBe(4 * MiB);
    await client.close();
});
