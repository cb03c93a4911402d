import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TcpProxy, tcpProxy } from "../../faults/tcpProxy";

/** The way that fault tests cut connections to hosts of the lab. */

let proxy: TcpProxy;
let received: string;
const accepted = new Set<Socket>();
const server = createServer((socket) => {
    accepted.add(socket);
    socket.setEncoding("utf8").on("data", (text) => (received += String(text)));
    socket.on("error", () => undefined);
    socket.write("hello");
});
beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    proxy = await tcpProxy(() => (server.address() as AddressInfo).port);
});
afterAll(async () => {
    await proxy.close();
    for (const socket of accepted) socket.destroy();
    server.close();
});

async function client(): Promise<Socket> {
    received = "";
    const socket = connect({ host: "127.0.0.1", port: proxy.port });
    socket.on("error", () => undefined);
    const [greeting] = (await once(socket, "data")) as [Buffer];
    expect(greeting.toString()).toBe("hello");
    return socket;
}

describe("a way that can be cut", () => {
    test("leads there, and is cut with all that uses it, not for those who come after", async () => {
        const sockets = [await client(), await client()];
        const closed = sockets.map((socket) => once(socket, "close"));
        proxy.cut();
        await Promise.all(closed);
        (await client()).destroy();
    });

    test("lets in as many bytes as it is told, and not one more", async () => {
        const socket = await client();
        proxy.cutAfter(5);
        const closed = once(socket, "close");
        socket.write("123");
        await expect.poll(() => received).toBe("123");
        socket.write("4567");
        socket.write("89");
        await closed;
        await expect.poll(() => received).toBe("12345");
        const next = await client();
        next.write("x".repeat(100));
        await expect.poll(() => received.length).toBe(100);
        next.destroy();
    });
});
