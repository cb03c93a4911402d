/** A TCP relay on loopback that can go silent or cut, as networks do. */
import { connect, createServer, type Socket } from "node:net";

export interface Proxy {
    readonly port: number;
    /** Connections taken so far. */
    readonly connections: number;
    /** Makes the connections of now half open: nothing is passed on any more, and nothing said. */
    freeze(): void;
    /** Resets every connection. */
    reset(): void;
    stop(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
    const pairs = new Set<[Socket, Socket]>();
    let freezes = 0;
    let connections = 0;
    const server = createServer((near) => {
        connections++;
        // Those that come after a freeze are passed on.
        const born = freezes;
        const live = (): boolean => born === freezes;
        const far = connect({ port: target, host: "127.0.0.1", noDelay: true });
        near.setNoDelay(true);
        const pair: [Socket, Socket] = [near, far];
        pairs.add(pair);
        for (const [from, to] of [
            [near, far],
            [far, near],
        ] as const) {
            from.on("data", (chunk) => live() && to.write(chunk));
            from.on("end", () => live() && to.end());
            from.on("error", () => to.destroy());
            from.on("close", () => {
                if (live()) to.destroy();
            });
        }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const end = (): void => {
        for (const [near, far] of pairs) {
            near.resetAndDestroy();
            far.destroy();
        }
        pairs.clear();
    };
    return {
        port: typeof address === "object" && address !== null ? address.port : 0,
        get connections() {
            return connections;
        },
        freeze: () => void freezes++,
        reset: end,
        stop: () => {
            end();
            return new Promise((resolve) => server.close(() => resolve()));
        },
    };
}
