import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { lioTarget } from "../../provider/targets/lio";
import { nvmetTarget } from "../../provider/targets/nvmet";
import { tgtTarget } from "../../provider/targets/tgt";
import { Client, type ClientOptions, id } from "../support/client";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import { Acknowledged } from "./support/acknowledged";
import type { KernelAttached } from "./support/iscsiInitiator";
import { type KernelBackend, iscsiToKernel, nvmetExports } from "./support/labExports";
import { Load } from "./support/load";

/** Storage hosts that go down and come back, with exports that are in use. */

const KINDS = [
    { label: "LIO", of: (lab: Lab) => iscsiToKernel(lab, lioTarget, "lvm") },
    { label: "nvmet", of: (lab: Lab) => nvmetExports(lab, nvmetTarget, "lvm") },
] as const;

const COUNT = 50;
const USED = 5;

/**
 * Emulated, with the many exports of one test and the tgtd of another that takes its time to end, a host restarts in more
 * than the two minutes after which open-iscsi gives up by default (docs/attachments.md says how to set them).
 */
async function waitLonger(client: ReturnType<Lab["host"]>): Promise<void> {
    await client.run(
        "for f in /sys/class/iscsi_session/*/recovery_tmo; do [ ! -e $f ] || echo 600 > $f; done",
    );
}

describe.each(KINDS)("$label", ({ label, of }) => {
    let lab: Lab;
    let backend: KernelBackend;
    const opened: Client[] = [];
    const attachments: KernelAttached[] = [];

    const another = (options: ClientOptions = {}) => {
        const one = new Client(backend.host, options);
        opened.push(one);
        return one;
    };
    const args = (name: string) => ({
        protocol: backend.protocol,
        initiators: [backend.declares("first", name)],
    });
    const run = async (host: "a" | "c", script: string) => (await lab.host(host).run(script)).stdout.trim();
    const read = async (client: Client, state: ExportState) =>
        (await exportLifecycle.read(client.context, state))?.state;

    beforeAll(async () => {
        lab = await labOf("a", "c");
        backend = await of(lab);
    });
    afterEach(async () => {
        for (const one of attachments.splice(0)) await one.detach();
        await Promise.all(opened.splice(0).map((one) => one.close()));
    });
    afterAll(() => lab.stop());

    describe(`with ${String(COUNT)} exports`, () => {
        let exports: ExportState[];
        beforeAll(async () => {
            const client = another();
            const names = Array.from({ length: COUNT }, (_, i) => `v${String(i)}`);
            await Promise.all(names.map((name) => client.volume(name)));
            exports = await Promise.all(
                names.map((name) => client.export(`${name}-x`, name, args(`${name}-x`))),
            );
        });
        afterAll(async () => {
            const client = another();
            await Promise.all(exports.map((one) => client.delete(one)));
        });

        test.each(["is rebooted", "loses its power"])(
            "the host %s: all come back by themselves, and what used them goes on",
            { timeout: 900_000 },
            async (how) => {
                for (const one of exports.slice(0, USED)) attachments.push(await backend.attach(one, {}));
                await waitLonger(lab.host("c"));
                const load = await Load.start(
                    lab.host("c"),
                    attachments.map(({ device }) => device),
                    { durable: true },
                );
                await run("c", "sleep 3");
                const a = lab.host("a");
                if (how === "is rebooted") await a.reboot();
                else {
                    await a.powerOff();
                    await a.powerOn();
                }
                await run("a", "systemctl is-active blockhost-exports*.service");
                const client = another();
                for (const one of exports) expect(await read(client, one)).toEqual(one);
                // Long enough for an initiator that waits before it tries again.
                await run("c", "sleep 25");
                await load.stop();
            },
        );
    });

    test(
        "what LVM does not bring up at boot comes back too, by one command: with the activation-skip flag",
        { timeout: 900_000 },
        async () => {
            const a = lab.host("a");
            const client = another();
            await client.volume("skipped");
            const volume = await client.export("skipped-x", "skipped", args("skipped-x"));
            const first = await backend.attach(volume, {});
            await first.write(0, 4096, 0x5a);
            await first.detach();
            // nvmet cannot export what must not be written.
            const copy =
                label === "LIO"
                    ? await client.snapshot("copy", "skipped")
                    : await client.volume("copy", { source: { volume: id("skipped") } });
            const ofCopy = await client.export("copy-x", "copy", args("copy-x"));
            await client.volume("bare");
            await run(
                "a",
                `for lv in skipped copy bare; do lvchange -q -ky bhexports/$lv || exit; done
printf '#!/bin/sh\necho "$*" >> /run/lvchange\nexec /usr/sbin/lvchange "$@"\n' > /usr/local/sbin/lvchange
chmod 0755 /usr/local/sbin/lvchange && sync`,
            );
            await a.powerOff();
            await a.powerOn();
            // The flag does what it is for.
            expect(await run("a", "lvs --noheadings -o lv_active bhexports/bare")).toBe("");
            const commands = (await run("a", "cat /run/lvchange; rm /usr/local/sbin/lvchange")).split("\n");
            expect(commands).toEqual([expect.stringMatching(/bhexports\/copy.* .*bhexports\/skipped/)]);
            await run("a", "systemctl is-active blockhost-exports*.service");
            for (const one of [volume, ofCopy]) {
                expect(await read(another(), one)).toEqual(one);
                const attached = await backend.attach(one, {});
                expect(await attached.holds(0, 4096, 0x5a)).toBe(true);
                await attached.detach();
            }
            const last = another();
            for (const one of [ofCopy, copy, volume]) await last.delete(one);
        },
    );

    describe("with a disk missing at boot", () => {
        // A volume group of each test's own: the host remembers which one it knew under a name.
        let group = "bhlate";
        const pools = () => ({
            fast: { driver: "lvm", volumeGroup: "bhexports", thinPool: "pool" },
            late: { driver: "lvm", volumeGroup: group },
        });
        beforeEach(async () => {
            const disk = lab.host("a").diskPath("disk3");
            group = `${group}r`;
            await run("a", `wipefs -q -a ${disk}; vgcreate -q ${group} ${disk}`);
        });
        afterEach(() => run("a", `vgremove -q -y ${group} && [ ! -e /dev/${group} ]`));

        test(
            "the other exports come back; the one that needs it is drift, and healed by the next update",
            { timeout: 900_000 },
            async () => {
                const a = lab.host("a");
                const with3 = (more: ClientOptions = {}) =>
                    another({ ...more, configuration: { pools: pools() } });
                const client = with3();
                await client.volume("here");
                await client.volume("there", { pool: "late" });
                const here = await client.export("here-x", "here", args("here-x"));
                const there = await client.export("there-x", "there", {
                    ...args("there-x"),
                    source: "emb/late/there",
                });
                await a.powerOff();
                await a.pullDisk("disk3");
                await a.powerOn();
                const without = with3();
                expect(await read(without, here)).toEqual(here);
                // Never "gone": its volume group is missing, which proves nothing.
                expect((await read(without, there))?.drift).not.toEqual([]);
                expect(await read(without, there)).toMatchObject({ targetName: there.targetName });
                await (await backend.attach(here, {})).detach();
                await expect(backend.attach(there, {})).rejects.toThrow();
                await a.plugDisk("disk3");
                const healed = await with3().changeExport(there, {});
                expect(healed).toEqual(there);
                const attached = await backend.attach(healed, {});
                await attached.write(0, 4096, 0x33);
                await attached.detach();
                const last = with3();
                await last.delete(there);
                await last.delete(here);
            },
        );

        test(
            "the export that needs it comes back by itself once the disk is there",
            { timeout: 900_000 },
            async () => {
                const a = lab.host("a");
                const client = another({ configuration: { pools: pools() } });
                await client.volume("there", { pool: "late" });
                const there = await client.export("there-x", "there", {
                    ...args("there-x"),
                    source: "emb/late/there",
                });
                const first = await backend.attach(there, {});
                await first.write(0, 4096, 0x33);
                await first.detach();
                await a.powerOff();
                await a.pullDisk("disk3");
                const unit = "$(basename /etc/systemd/system/blockhost-exports*.service)";
                const state = () => run("a", `systemctl show -P ActiveState ${unit}`);
                const plugLate = async () => {
                    await vi.waitFor(() => expect(a.isOn()).toBe(true), { timeout: 60_000 });
                    await a.run(
                        `until journalctl -q -b -o cat -u ${unit} | grep -q "no block device"; do sleep 1; done; sleep 30`,
                        { timeoutMs: 400_000 },
                    );
                    expect(await state()).toBe("activating");
                    await a.plugDisk("disk3");
                };
                await Promise.all([a.powerOn(), plugLate()]);
                expect(await state()).toBe("active");
                const last = another({ configuration: { pools: pools() } });
                expect(await read(last, there)).toEqual(there);
                const attached = await backend.attach(there, {});
                expect(await attached.holds(0, 4096, 0x33)).toBe(true);
                await attached.detach();
                await last.delete(there);
            },
        );
    });

    test.runIf(label === "LIO")(
        "what targetcli has saved comes back beside ours, and is saved by it again without a change",
        { timeout: 900_000 },
        async () => {
            await run(
                "a",
                `truncate -s 16M /srv/theirs.img
targetcli /backstores/fileio create theirs /srv/theirs.img 16M
targetcli /iscsi create iqn.2001-01.org.elsewhere:disk
targetcli /iscsi/iqn.2001-01.org.elsewhere:disk/tpg1/luns create /backstores/fileio/theirs
targetcli /iscsi/iqn.2001-01.org.elsewhere:disk/tpg1/portals delete 0.0.0.0 3260 || :
targetcli /iscsi/iqn.2001-01.org.elsewhere:disk/tpg1/portals create 10.77.2.1 3260
targetcli saveconfig
systemctl unmask rtslib-fb-targetctl && systemctl enable rtslib-fb-targetctl`,
            );
            const theirs = () =>
                run(
                    "a",
                    `targetcli ls /iscsi/iqn.2001-01.org.elsewhere:disk; targetcli ls /backstores/fileio/theirs`,
                );
            const before = await theirs();
            const client = another();
            await client.volume("ours");
            const ours = await client.export("ours-x", "ours", args("ours-x"));
            expect(await theirs()).toBe(before);
            for (const how of ["reboot", "power cut", "restart of targetctl", "saveconfig and restart"]) {
                const a = lab.host("a");
                if (how === "reboot") await a.reboot();
                else if (how === "power cut") {
                    await a.powerOff();
                    await a.powerOn();
                } else if (how === "restart of targetctl")
                    await run("a", "systemctl restart rtslib-fb-targetctl");
                else await run("a", "targetcli saveconfig && systemctl restart rtslib-fb-targetctl");
                // A restart of a unit that ours is part of is over before ours is.
                await run(
                    "a",
                    "systemctl start 'blockhost-exports*.service' --all; systemctl is-active 'blockhost-exports*.service'",
                );
                expect(await theirs(), how).toBe(before);
                expect(await read(another(), ours), how).toEqual(ours);
                await (await backend.attach(ours, {})).detach();
            }
            // What targetctl restores of ours where our unit does not come after it: the next run puts it right.
            await run(
                "a",
                `systemctl disable -q --now "$(basename /etc/systemd/system/blockhost-exports*.service)"`,
            );
            const restored = async () => {
                await run("a", "systemctl restart rtslib-fb-targetctl");
                return run("a", "ls -d /sys/kernel/config/target/core/*/ours-x.*");
            };
            const copy = await restored();
            expect((await read(another(), ours))?.drift).not.toEqual([]);
            expect((await another().changeExport(ours, {})).drift).toEqual([]);
            expect(await run("a", "ls -d /sys/kernel/config/target/core/*/ours-x.*")).not.toBe(copy);
            expect(await theirs()).toBe(before);
            await restored();
            await another().delete(ours);
            expect(await run("a", "ls -d /sys/kernel/config/target/core/*/ours-x.* 2>/dev/null || :")).toBe(
                "",
            );
            expect(await theirs()).toBe(before);
        },
    );
});

describe.each([...KINDS, { label: "tgt", of: (lab: Lab) => iscsiToKernel(lab, tgtTarget, "lvm") }])(
    "$label, whose host is rebooted cleanly",
    ({ of }) => {
        test(
            "no write is lost that it had acknowledged, though nobody had flushed it",
            { timeout: 900_000 },
            async () => {
                const lab = await labOf("a", "c");
                const backend = await of(lab);
                const client = new Client(backend.host);
                await client.volume("v", { size: "512MiB" });
                const exported = await client.export("v-x", "v", {
                    protocol: backend.protocol,
                    initiators: [backend.declares("first", "v-x")],
                });
                const attached = await backend.attach(exported, {});
                await waitLonger(lab.host("c"));
                const writes = await Acknowledged.start(lab.host("c"), attached.device);
                await lab.host("a").reboot();
                expect(await writes.lost()).toEqual([]);
                await attached.detach();
                await client.delete(exported);
                await client.close();
                await lab.stop();
            },
        );
    },
);
