import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../provider/errors";
import { NAME_MAX_LENGTH } from "../../provider/names";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { hexPorts, socketPattern } from "../../provider/targets/configfs/sections";
import { deriveDhchapKey } from "../../provider/targets/dhchap";
import { lioTarget } from "../../provider/targets/lio";
import { nvmetTarget } from "../../provider/targets/nvmet";
import { Client, type ClientOptions, MiB, refused } from "../support/client";
import type { Lab } from "./lab.mjs";
import { labOf } from "./support/labOf";
import type { KernelAs, KernelAttached } from "./support/iscsiInitiator";
import { type KernelBackend, iscsiToKernel, nvmetExports } from "./support/labExports";
import { connections, Load } from "./support/load";
import { connectNvme } from "./support/nvmeInitiator";

/** Exports of thin volumes by a kernel's targets, to another kernel's initiators. */

const LONGEST = "n".repeat(NAME_MAX_LENGTH);

/** What iscsiadm says of a target that turns the initiator away: its exit status 24. */
const REFUSED = "login failed due to authorization failure";

/** `says`: what an initiator says that has the wrong secret or none, is not named, or is shown the wrong proof. */
const KINDS = [
    {
        label: "LIO",
        helper: "lio",
        port: 3260,
        of: (lab: Lab) => iscsiToKernel(lab, lioTarget, "lvm"),
        says: {
            wrong: REFUSED,
            none: REFUSED,
            stranger: REFUSED,
            impostor: "non-retryable iSCSI login failure",
        },
    },
    {
        label: "nvmet",
        helper: "nvmet",
        port: 4420,
        of: (lab: Lab) => nvmetExports(lab, nvmetTarget, "lvm"),
        // By the error of the write to /dev/nvme-fabrics.
        says: {
            wrong: "Key was rejected",
            none: "Required key not available",
            stranger: "Input/output error",
            impostor: "Key was rejected",
        },
    },
] as const;

describe.each(KINDS)("$label", ({ helper, port, of, says }) => {
    let lab: Lab;
    let backend: KernelBackend;
    const opened: Client[] = [];
    const attachments: KernelAttached[] = [];

    const another = (options: ClientOptions = {}) => {
        const one = new Client(backend.host, options);
        opened.push(one);
        return one;
    };
    const servedAt = (...portals: string[]) =>
        another({ configuration: { targets: { [backend.protocol]: { helper, portals } } } });
    /** With the longest beginning of target names, and whatever else. */
    const withPrefix = (prefix: string, more: object = {}) =>
        another({
            configuration: {
                targets: {
                    [backend.protocol]: { helper, portals: lab.host("a").portals(port), prefix, ...more },
                },
            },
        });
    const make = async (client: Client, name: string, size = "4MiB"): Promise<ExportState> => {
        await client.volume(name, { size });
        return client.export(`${name}-x`, name, args(`${name}-x`));
    };
    const args = (name: string) => ({
        protocol: backend.protocol,
        initiators: [backend.declares("first", name)],
    });
    /** One that does not log in. */
    const guest = (name: string) => {
        const declared = backend.declares("first", name);
        return "iqn" in declared ? { ...declared, iqn: `${backend.initiator}-${name}` } : declared;
    };
    const attach = async (exported: ExportState, as: KernelAs = {}) => {
        const one = await backend.attach(exported, as);
        attachments.push(one);
        return one;
    };
    const run = async (host: "a" | "c", script: string) => (await lab.host(host).run(script)).stdout.trim();
    /** In preview, and where an export is made all the same; nothing comes of it. */
    const refusePort = async (at: number, on: string[], name: string, code: ErrorCode, reason: RegExp) => {
        const late = servedAt(...on.map((address) => `${address}:${String(at)}`));
        const given = { ...late.exportArgs(`${name}-x`, name, args(`${name}-x`)) };
        const { failures } = await exportLifecycle.check(late.context, undefined, given);
        expect(failures).toMatchObject([{ property: "portals" }]);
        expect(failures[0]?.reason).toMatch(reason);
        await refused(late.export(`${name}-x`, name, args(`${name}-x`)), code);
        const left = `ls -d /sys/kernel/config/*/*/*${name}-x* /sys/kernel/config/*/*/*/${name}-x* /var/lib/blockhost-*/exports/*/${name}-x*
grep -lx ${String(at)} /sys/kernel/config/nvmet/ports/*/addr_trsvcid`;
        expect(await run("a", `{ ${left}; } 2>/dev/null; :`)).toBe("");
    };

    beforeAll(async () => {
        lab = await labOf("a", "c");
        backend = await of(lab);
    });
    afterEach(async () => {
        for (const one of attachments.splice(0)) await one.detach();
    });
    afterAll(async () => {
        await Promise.all(opened.map((one) => one.close()));
        await lab.stop();
    });

    test("both sides prove who they are; what is written is on the volume", async () => {
        const exported = await make(another(), "auth");
        for (const [as, said] of [
            [{ secrets: "second" }, says.wrong],
            [{ secrets: "none" }, says.none],
            [{ stranger: true }, says.stranger],
            [{ impostor: true }, says.impostor],
        ] as const)
            await expect(attach(exported, as), JSON.stringify(as)).rejects.toThrow(said);
        const one = await attach(exported);
        await one.write(0, 4096, 0x5a);
        expect(await one.holds(0, 4096, 0x5a)).toBe(true);
        expect(await backend.firstByte(exported.devicePath)).toBe(0x5a);
    });

    test.runIf(helper === "lio")("the longest names and passwords get in", async () => {
        const client = withPrefix("iqn.2024-01.com.example:".padEnd(151, "x"));
        await client.volume("long");
        const who = {
            name: "iqn.2024-01.com.example:db1-".padEnd(223, "x"),
            chap: { username: "u".repeat(63), password: "p".repeat(255) },
            mutualChap: { username: "t".repeat(63), password: "q".repeat(255) },
        };
        const { name: iqn, chap, mutualChap } = who;
        const exported = await client.export(LONGEST, "long", {
            ...args(LONGEST),
            initiators: [{ iqn, chap, mutualChap }],
        });
        expect(exported.targetName).toHaveLength(223);
        const shorter = { ...chap, password: "p".repeat(254) };
        await expect(attach(exported, { who: { ...who, chap: shorter } })).rejects.toThrow(says.wrong);
        const one = await attach(exported, { who });
        await one.write(0, 4096, 0x5b);
        expect(await backend.firstByte(exported.devicePath)).toBe(0x5b);
    });

    test.runIf(helper === "nvmet")(
        "the longest names and keys get in, by a Diffie-Hellman exchange",
        async () => {
            const prefix = "nqn.2024-01.com.example:".padEnd(150, "x");
            const client = withPrefix(prefix, { dhGroup: "ffdhe2048" });
            await client.volume("long");
            const nqn = "nqn.2024-01.com.example:db1-".padEnd(222, "x");
            const [key, controllerKey, other] = ["host", "controller", "other"].map((purpose) =>
                deriveDhchapKey("a secret of more than thirty-two bytes", purpose, 64),
            ) as [string, string, string];
            const initiators = [{ nqn, dhchap: { key, controllerKey } }];
            const exported = await client.export(LONGEST, "long", { ...args(LONGEST), initiators });
            expect(exported.targetName).toHaveLength(222);
            const { data } = exported.connection;
            const to = {
                portal: (data["portals"] as string[][])[0]?.slice(0, 2).join(":") ?? "",
                subsystem: exported.targetName,
                uuid: String(data["vol_uuid"]),
                host: nqn,
            };
            const c = lab.host("c");
            const wrong = connectNvme(c, { ...to, key: other, controllerKey });
            await expect(wrong).rejects.toThrow(says.wrong);
            const impostor = connectNvme(c, { ...to, key, controllerKey: other });
            await expect(impostor).rejects.toThrow(says.impostor);
            await run("c", "dmesg -C");
            const { device, disconnect } = await connectNvme(c, { ...to, key, controllerKey });
            try {
                await run("c", `head -c 4096 /dev/zero | tr '\\000' Z | dd of=${device} oflag=direct`);
                expect(await backend.firstByte(exported.devicePath)).toBe(0x5a);
                expect(await run("c", "dmesg")).toContain(
                    "authenticated with hash hmac(sha256) dhgroup ffdhe2048",
                );
            } finally {
                await disconnect();
            }
        },
    );

    // Keys of NVMe: attachment.test.ts.
    test.runIf(helper === "lio")(
        "secrets are exchanged under I/O, which goes on; the next login needs the new ones",
        async () => {
            let exported = await make(another(), "rotate");
            const one = await attach(exported);
            const load = await Load.start(lab.host("c"), [one.device]);
            const before = await connections(lab.host("c"));
            const first = backend.declares("first", "rotate-x");
            const second = backend.declares("second", "rotate-x");
            const { mutualChap: _, ...alone } = second;
            // The initiator's, then the target's, which goes and comes back.
            for (const initiator of [{ ...first, ...alone }, second, alone, second]) {
                exported = await another().changeExport(exported, { initiators: [initiator] });
                expect(exported.drift).toEqual([]);
                expect(await connections(lab.host("c"))).toBe(before);
            }
            await load.stop();
            expect(await connections(lab.host("c"))).toBe(before);
            await one.detach();
            await expect(attach(exported)).rejects.toThrow(says.wrong);
            const impostor = attach(exported, { secrets: "second", impostor: true });
            await expect(impostor).rejects.toThrow(says.impostor);
            const now = await attach(exported, { secrets: "second" });
            await now.write(0, 4096, 0x77);
            expect(await backend.firstByte(exported.devicePath)).toBe(0x77);
        },
    );

    test("growth is seen while the device is in use", async () => {
        const client = another();
        const volume = await client.volume("grow", { size: "8MiB" });
        const exported = await client.export("grow-x", "grow", args("grow-x"));
        const one = await attach(exported);
        const load = await Load.start(lab.host("c"), [one.device], { sizeMiB: 8 });
        const before = await connections(lab.host("c"));
        await another().change(volume, { size: "64MiB" });
        expect(await one.capacity()).toBe(64 * MiB);
        await one.write(60 * MiB, 4096, 0x44);
        expect(await one.holds(60 * MiB, 4096, 0x44)).toBe(true);
        await load.stop();
        expect(await connections(lab.host("c"))).toBe(before);
    });

    test("discard frees what the thin pool had given", async () => {
        const exported = await make(another(), "trim", "32MiB");
        const used = () => run("a", `lvs --noheadings -o data_percent ${exported.devicePath}`).then(Number);
        const one = await attach(exported);
        await one.write(0, 32 * MiB, 0x61);
        expect(await used()).toBe(100);
        await run("c", `blkdiscard -o 0 -l ${String(16 * MiB)} ${one.device}`);
        expect(await used()).toBe(50);
        expect(await one.holds(20 * MiB, 4096, 0x61)).toBe(true);
    });

    test.runIf(helper === "lio")(
        "block size, queue depth, write cache and discard are what is asked for",
        async () => {
            const configured = (options: object) =>
                another({
                    configuration: {
                        pools: { files: { driver: "file", directory: "/srv/options", initialize: true } },
                        targets: { iscsi: { helper, portals: lab.host("a").portals(port), ...options } },
                    },
                });
            await run("a", "mkdir -p /srv/options");
            const client = configured({ blockSize: 4096, queueDepth: 8, writeCache: false });
            const volume = await client.volume("opt", { pool: "files", size: "8MiB" });
            const source = { ...args("opt-x"), source: "emb/files/opt", discard: false };
            const exported = await client.export("opt-x", "opt", source);
            const seen = async ({ device }: KernelAttached) =>
                run(
                    "c",
                    `d=/sys/block/${device.replace("/dev/", "")}; cat $d/queue/logical_block_size $d/device/scsi_disk/*/cache_type $d/queue/discard_max_bytes | tr '\\n' ' '`,
                );
            const depth = () =>
                run("a", "cat /sys/kernel/config/target/iscsi/*:opt-x:*/tpgt_1/acls/*/cmdsn_depth");
            const one = await attach(exported);
            expect(await seen(one)).toBe("4096 write through 0");
            expect(await depth()).toBe("8");
            await one.write(0, 4096, 0x21);
            expect(await one.holds(0, 4096, 0x21)).toBe(true);
            const changed = configured({ blockSize: 512, queueDepth: 16, writeCache: true });
            expect((await refused(changed.changeExport(exported, {}), "in-use")).message).toContain(
                "session-drop",
            );
            await one.detach();
            attachments.splice(attachments.indexOf(one), 1);
            const after = await configured({ blockSize: 512, queueDepth: 16, writeCache: true }).changeExport(
                exported,
                { discard: true },
            );
            const two = await attach(after);
            // The block size is of the data: it stays.
            expect(await seen(two)).toMatch(/^4096 write back [1-9]/);
            expect(await depth()).toBe("16");
            expect(await two.holds(0, 4096, 0x21)).toBe(true);
            await two.detach();
            attachments.splice(attachments.indexOf(two), 1);
            await client.delete(after);
            await client.delete(volume);
        },
    );

    test(
        "an export is made, changed, applied again and removed while twenty others carry on",
        { timeout: 900_000 },
        async () => {
            const client = another();
            const names = Array.from({ length: 20 }, (_, i) => `busy${String(i)}`);
            const exports = await Promise.all(names.map((name) => make(client, name)));
            const devices: string[] = [];
            for (const one of exports) devices.push((await attach(one)).device);
            const load = await Load.start(lab.host("c"), devices);
            const before = await connections(lab.host("c"));
            for (let round = 0; round < 3; round++) {
                const made = await make(another(), "other");
                const changed = await another().changeExport(made, {
                    initiators: [backend.declares("second", "other-x"), guest("more")],
                });
                expect(await another().changeExport(changed, {})).toEqual(changed);
                expect(changed.drift).toEqual([]);
                const [first] = exports;
                if (first === undefined) throw new Error("no export");
                // One of the twenty itself: applied again, with one more initiator, and back.
                const wider = await another().changeExport(first, {
                    initiators: [...first.initiators, guest("guest")],
                });
                exports[0] = await another().changeExport(wider, { initiators: first.initiators });
                // All boot files are run, as at the start of the host, though everything is there; the other unit stops.
                await run(
                    "a",
                    "for f in /etc/systemd/system/blockhost-*.service; do systemctl restart ${f##*/} || exit; done",
                );
                const last = another();
                await last.delete(changed);
                await last.delete(await last.volume("other"));
            }
            await load.stop();
            expect(await connections(lab.host("c"))).toBe(before);
            for (const one of attachments.splice(0)) await one.detach();
            await Promise.all(exports.map((one) => client.delete(one)));
        },
    );

    test("a volume made anew under its name does not answer to who still holds the former one", async () => {
        const client = another();
        const volume = await client.volume("again");
        const first = await client.export("again-x", "again", {
            ...args("again-x"),
            allow: ["session-drop"],
        });
        const held = await attach(first);
        await held.write(0, 4096, 0x11);
        // As a later run, which sees who is logged in.
        await another().delete(first);
        await another().delete(volume);
        const fresh = another();
        const second = await make(fresh, "again");
        await backend.fill(second.devicePath, 0x22);
        expect(second.targetName).not.toBe(first.targetName);
        expect(second.serial).not.toBe(first.serial);
        for (const word of ["vol_uuid", "volume_nguid"]) {
            const [was, is] = [first, second].map(({ connection }) => connection.data[word]);
            expect(is === undefined).toBe(backend.protocol === "iscsi");
            if (is !== undefined) expect(is).not.toBe(was);
        }
        // Whatever the client still has, it is not the new volume: not for reading, and not for writing. Both may hang.
        // Where the device has gone by now, `dd` is not to make a file of its name, which would keep the next one from it.
        await run(
            "c",
            `{ dd if=${held.device} bs=4096 count=1 iflag=direct of=/run/held & } >/dev/null 2>&1
{ head -c 4096 /dev/zero | dd of=${held.device} bs=4096 oflag=direct conv=nocreat & } >/dev/null 2>&1
sleep 5`,
        );
        await held.detach();
        expect(await run("c", `[ ! -e /run/held ] || tr '\\042' N < /run/held`)).not.toContain("N");
        expect(await backend.firstByte(second.devicePath)).toBe(0x22);
        await expect(attach(first)).rejects.toThrow();
        const now = await attach(second);
        expect(await now.holds(0, 4096, 0x22)).toBe(true);
    });

    test("a portal that the configuration no longer has is not taken from who is connected there", async () => {
        const exported = await make(another(), "moved");
        const one = await attach(exported);
        await one.write(0, 4096, 0x33);
        const portal = `${lab.host("a").addresses.ipv4[0] ?? ""}:${String(port + 7)}`;
        const elsewhere = () => servedAt(portal);
        const before = await connections(lab.host("c"));
        // LIO serves who is there for as long as they are; nvmet ends their connections.
        if (helper === "nvmet") await refused(elsewhere().changeExport(exported, {}), "in-use");
        else await elsewhere().changeExport(exported, {});
        expect(await one.holds(0, 4096, 0x33)).toBe(true);
        expect(await connections(lab.host("c"))).toBe(before);
        await one.detach();
        attachments.pop();
        const moved = await elsewhere().changeExport(exported, {});
        expect(moved.drift).toEqual([]);
        await expect(attach(exported)).rejects.toThrow();
        const now = await attach(moved);
        expect(await now.holds(0, 4096, 0x33)).toBe(true);
    });

    test.runIf(helper === "lio")(
        "a portal for all addresses that somebody else's target has is shared, and stays theirs",
        async () => {
            const address = lab.host("a").addresses.ipv4[0] ?? "";
            const other = "/sys/kernel/config/target/iscsi/iqn.2001-01.org.elsewhere:any";
            const seen = () =>
                run(
                    "a",
                    `find ${other} -type d | sort; cat ${other}/tpgt_1/enable ${other}/tpgt_1/np/*/iscsi; ss -Hltn sport = :${String(port + 9)} | tr -s ' '`,
                );
            await run(
                "a",
                `mkdir -p ${other}/tpgt_1/np/0.0.0.0:${String(port + 9)}; echo 1 > ${other}/tpgt_1/enable`,
            );
            const before = await seen();
            const elsewhere = () => servedAt(`${address}:${String(port + 9)}`);
            const client = elsewhere();
            const volume = await client.volume("shared");
            const exported = await client.export("shared-x", "shared", args("shared-x"));
            expect(exported.drift).toEqual([]);
            const one = await attach(exported);
            await one.write(0, 4096, 0x66);
            expect(await backend.firstByte(exported.devicePath)).toBe(0x66);
            expect(await elsewhere().changeExport(exported, {})).toEqual(exported);
            await one.detach();
            attachments.pop();
            const last = elsewhere();
            await last.delete(exported);
            await last.delete(volume);
            expect(await seen()).toBe(before);
            await run("a", `rmdir ${other}/tpgt_1/np/0.0.0.0:${String(port + 9)} ${other}/tpgt_1 ${other}`);
        },
    );

    test("a portal with an address that the host does not have is named, and nothing is made", async () => {
        await another().volume("absent");
        const own = lab.host("a").addresses.ipv4[0] ?? "";
        for (const address of ["10.77.1.99", "[fd77:1::99]"]) {
            const said = `the host has no address ${address.replace(/[[\]]/g, "")} .*it has .*${own}.*correct \`portals\``;
            await refusePort(port + 13, [own, address], "absent", "invalid", new RegExp(said, "s"));
        }
    });

    test("a portal that another daemon has is named, and nothing is made", async () => {
        const address = lab.host("a").addresses.ipv4[1] ?? "";
        // No export of the tests before has it.
        const taken = port + 11;
        await another().volume("taken");
        await run(
            "a",
            `systemd-run -q --unit=bh-squatter perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "${address}", LocalPort => ${String(taken)}, ReuseAddr => 1) or die; sleep 600'
until grep -qE '${socketPattern(hexPorts([taken]), "0A")}' /proc/net/tcp; do sleep 0.1; done`,
        );
        try {
            await refusePort(taken, [address], "taken", "in-use", /is taken by perl \(process \d+\)/);
        } finally {
            await run("a", "systemctl stop bh-squatter");
        }
        const elsewhere = servedAt(`${address}:${String(taken)}`);
        const exported = await elsewhere.export("taken-x", "taken", args("taken-x"));
        await (await attach(exported)).write(0, 4096, 1);
    });
});
