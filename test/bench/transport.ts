/** What the transport itself costs, beside a channel a run on the same kind of connection. */
import { createTransport } from "../../provider/transport";
import { connect } from "../../provider/transport/connect";
import { resolveHost } from "../../provider/transport/sshConfig";
import type { TransportConfig } from "../../provider/transport/types";

export interface TransportBench {
    /** Median of one run of an empty script through a kept shell, in milliseconds. */
    runMs: number;
    /** Median of one exec channel with a new `sh` for the same script, in milliseconds. */
    channelPerRunMs: number;
    /** Median from nothing to the first result: connection, login and shell, in milliseconds. */
    connectMs: number;
}

/** @param config of a host that does nothing else meanwhile; best a real sshd on loopback */
export async function benchTransport(config: TransportConfig): Promise<TransportBench> {
    const transport = createTransport(config);
    await transport.run(":");
    const runMs = await median(300, () => transport.run(":"));
    await transport.close();

    const connection = await connect(await resolveHost(config), config.connectTimeout ?? 10_000);
    const channelPerRunMs = await median(
        30,
        () =>
            new Promise((resolve, reject) => {
                connection.client.exec(config.sudo === true ? "sudo -n sh" : "sh", (error, channel) => {
                    if (error !== undefined) {
                        reject(error);
                        return;
                    }
                    channel.on("close", resolve).resume().stderr.resume();
                    channel.end(":\n");
                });
            }),
    );
    connection.destroy();

    const connectMs = await median(7, async () => {
        const fresh = createTransport(config);
        await fresh.run(":");
        return () => fresh.close();
    });
    return { runMs, channelPerRunMs, connectMs };
}

/** Median time of some calls one after the other; what a call gives back is done outside the time. */
async function median(count: number, call: () => Promise<unknown>): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
        const started = performance.now();
        const after = await call();
        times.push(performance.now() - started);
        if (typeof after === "function") await (after as () => Promise<void>)();
    }
    times.sort((a, b) => a - b);
    return times[Math.floor(count / 2)] ?? Number.NaN;
}
