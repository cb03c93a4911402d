import { type AddressInfo, type Socket, connect, createServer } from "node:net";

/** A way to a port of 127.0.0.1 that can be cut, at once or in the middle of what is sent. */
export interface TcpProxy {
    readonly port: number;
    /** Cuts all connections; new ones come through. */
    cut(): void;
    /** Lets so many bytes more in, from all connections together; the one after them cuts all. */
    cutAfter(bytes: number): void;
    close(): Promise<void>;
}

/** @param target the port that it leads to at the time, which may change */
export async function tcpProxy(target: () => number): Promise<TcpProxy> {
    const sockets = new Set<Socket>();
    let room = Infinity;
    const cut = () => {
        room = Infinity;
        for (const socket of sockets) socket.destroy();
    };
    const server = createServer({ noDelay: true }, (from) => {
        const to = connect({ host: "127.0.0.1", port: target(), noDelay: true });
        for (const [one, other] of [
            [from, to],
            [to, from],
        ] as const) {
            sockets.add(one);
            one.on("error", () => undefined);
            one.once("close", () => {
                sockets.delete(one);
                other.destroy();
            });
        }
        to.pipe(from);
        from.on("data", (chunk) => {
            if (chunk.length > room) {
                // What has come this far arrives before the connection ends.
                from.pause();
                to.end(chunk.subarray(0, room), cut);
                room = 0;
                return;
            }
            room -= chunk.length;
            if (!to.write(chunk)) {
                from.pause();
                to.once("drain", () => from.resume());
            }
        });
        from.on("end", () => to.end());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        port: (server.address() as AddressInfo).port,
        cut,
        cutAfter: (bytes) => {
            room = bytes;
        },
        close: async () => {
            cut();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}
