import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Client, POOL, refused } from "../support/client";
import type { Lab } from "./lab.mjs";
import { CLEAR_CLIENT, CLIENT_IQN, CLIENT_NQN, LEAVINGS } from "./support/attachments";
import { POOLS } from "./support/labExports";
import { labOf } from "./support/labOf";

/** Storage hosts whose kernel lacks what an export needs, or has not been told to use it yet; and clients that lack it. */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const KINDS = [
    { protocol: "iscsi", helper: "lio", port: 3260, module: "iscsi_target_mod", clients: "iscsi_tcp" },
    { protocol: "nvme-tcp", helper: "nvmet", port: 4420, module: "nvmet_tcp", clients: "nvme_tcp" },
] as const;

let lab: Lab;
const opened: Client[] = [];
const runOn = async (host: "a" | "c", script: string) =>
    (await lab.host(host).run(script, { timeoutMs: 600_000 })).stdout.trim();
const run = (script: string) => runOn("a", script);

beforeAll(async () => {
    lab = await labOf("a", "c");
    await run("mkdir -p /srv/exports");
});
afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
});
afterAll(() => lab.stop());

describe.each(KINDS)("$helper", ({ protocol, helper, port, module, clients }) => {
    const another = () => {
        const one = new Client({
            configuration: (more: Readonly<Record<string, unknown>> = {}) =>
                lab.host("a").configuration({
                    pools: { [POOL]: POOLS.file },
                    targets: { [protocol]: { helper, portals: lab.host("a").portals(port) } },
                    ...more,
                }),
        });
        opened.push(one);
        return one;
    };
    const name = `un-${helper}`;
    const args =
        protocol === "iscsi"
            ? { protocol, initiators: [{ iqn: "iqn.2024-01.com.example:one" }] }
            : { protocol, initiators: [{ nqn: "nqn.2024-01.com.example:one" }] };

    const guest =
        protocol === "iscsi"
            ? { iqn: "iqn.2024-01.com.example:two" }
            : { nqn: "nqn.2024-01.com.example:two" };

    test("a module that the kernel does not have is named, with its package; volumes are made all the same", async () => {
        await run(
            `p=$(modinfo -n ${module}); echo "$p" > /root/${module}; mv "$p" /root/${module}.ko; depmod`,
        );
        try {
            const client = another();
            await client.volume(name);
            const error = await refused(client.export(name, name, args), "not-found");
            expect(error.message).toContain(module);
            expect(error.details.hint).toMatch(/package/);
            expect(await run("ls /var/lib/blockhost/exports/* 2>/dev/null || :")).toBe("");
        } finally {
            await run(`mv /root/${module}.ko "$(cat /root/${module})"; depmod`);
        }
    });

    test("where modules are not loaded and configfs is not mounted, the export sees to both", async () => {
        await run("! mountpoint -q /sys/kernel/config || umount /sys/kernel/config");
        const client = another();
        const exported = await client.export(name, name, args);
        expect(exported.drift).toEqual([]);
        expect(await run("stat -f -c %T /sys/kernel/config")).toBe("configfs");
        await client.delete(exported);
        await client.delete(await client.volume(name));
    });

    test("with a full state directory nothing is made, and what to do is said; with room again it is", async () => {
        await run(
            "mkdir -p /var/lib/blockhost && cp -a /var/lib/blockhost /run/kept && mount -t tmpfs -o size=128k,mode=0700 none /var/lib/blockhost && cp -a /run/kept/. /var/lib/blockhost/",
        );
        const fill = () => run("head -c 1M /dev/zero > /var/lib/blockhost/fill 2>/dev/null || :");
        try {
            await another().volume(name);
            await fill();
            for (let twice = 0; twice < 2; twice++) {
                const error = await refused(another().export(name, name, args), "no-space");
                expect(error.details.hint).toBeTruthy();
            }
            expect(await run(`ls -d /sys/kernel/config/*/*/*${name}* 2>/dev/null || :`)).toBe("");
            await run("rm /var/lib/blockhost/fill");
            const exported = await another().export(name, name, args);
            expect(exported.drift).toEqual([]);
            await fill();
            const changed = { initiators: [...exported.initiators, guest] };
            await refused(another().changeExport(exported, changed), "no-space");
            await run("rm /var/lib/blockhost/fill");
            const wider = await another().changeExport(exported, changed);
            expect(wider.drift).toEqual([]);
            await another().delete(wider);
            expect(await run(`ls -d /sys/kernel/config/*/*/*${name}* 2>/dev/null || :`)).toBe("");
        } finally {
            await run("rm -f /var/lib/blockhost/fill; umount /var/lib/blockhost; rm -rf /run/kept");
        }
    });

    test("a module that a client's kernel does not have is named, with its package; with it the client attaches", async () => {
        const storage = another();
        await storage.volume(name);
        const initiators = [protocol === "iscsi" ? { iqn: CLIENT_IQN } : { nqn: CLIENT_NQN }];
        const exported = await storage.export(name, name, { protocol, initiators });
        const client = new Client({
            configuration: (more: Readonly<Record<string, unknown>> = {}) =>
                lab.host("c").configuration(more),
        });
        opened.push(client);
        await runOn("c", CLEAR_CLIENT);
        // One that is loaded would be as good as there.
        await runOn(
            "c",
            `modprobe -r ${clients}; [ ! -e /sys/module/${clients} ] || exit
p=$(modinfo -n ${clients}); echo "$p" > /root/${clients}; mv "$p" /root/${clients}.ko; depmod`,
        );
        try {
            const error = await refused(client.attach(name, exported.connection), "unsupported");
            expect(error.message).toContain(`no module ${clients}`);
            expect(error.details.hint).toMatch(/package/);
            expect(await runOn("c", LEAVINGS)).toBe("");
        } finally {
            await runOn("c", `mv /root/${clients}.ko "$(cat /root/${clients})"; depmod`);
        }
        const attached = await client.attach(name, exported.connection);
        expect(attached.drift).toEqual([]);
        await client.delete(attached);
        expect(await runOn("c", LEAVINGS)).toBe("");
        await storage.delete(exported);
        await storage.delete(await storage.volume(name));
    });
});
