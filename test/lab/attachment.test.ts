import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { readConnection } from "../../provider/clients/connection";
import { attach } from "../../provider/clients/plan";
import { exportLifecycle, type ExportState } from "../../provider/resources/export";
import { deriveDhchapKey } from "../../provider/targets/dhchap";
import { refused } from "../support/client";
import type { Lab } from "./lab.mjs";
import { NEEDLES, watchCommandLines } from "./support/commandLines";
import { Load } from "./support/load";
import {
    Both,
    CHAP,
    CLEAR_CLIENT,
    CLEAR_STORAGE,
    CLIENT_IQN,
    CLIENT_NQN,
    DB,
    KEYS,
    LEAVINGS,
    MUTUAL,
    SAN,
    labOfTwo,
    prepareStorage,
} from "./support/attachments";

/** Exports of one host attached on another, by real initiators. */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

let lab: Lab;
let stop: () => Promise<void>;
let both: Both;
const a = () => lab.host("a");
const c = () => lab.host("c");

beforeAll(async () => {
    ({ lab, stop } = await labOfTwo());
    await prepareStorage(a());
    both = new Both(lab);
});
beforeEach(async () => {
    await both.close();
    await c().run(CLEAR_CLIENT);
    await a().run(CLEAR_STORAGE);
    both = new Both(lab);
});
afterAll(async () => {
    await both.close();
    await stop();
});

const PROTOCOLS = ["iscsi", "nvme-tcp"] as const;
const other = (purpose: string) => deriveDhchapKey("another secret of thirty-two bytes", purpose);
const left = async () => (await c().run(LEAVINGS)).stdout;

function withOther(lun: ExportState, data: Readonly<Record<string, unknown>>): ExportState {
    return { ...lun, connection: { ...lun.connection, data: { ...lun.connection.data, ...data } } };
}

describe.each(PROTOCOLS)("over %s", (protocol) => {
    const iscsi = protocol === "iscsi";

    test("what is written on the client is on the storage host; nothing is left after it", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        expect(one).toMatchObject({ drift: [], deviceBytes: data.sizeBytes });
        expect(one.devicePath).toMatch(/^\/dev\/disk\/by-id\//);
        await c().run(`printf 'from the client' | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
        const read = `dd if=${data.path} bs=4096 count=1 iflag=direct status=none | head -c 15`;
        expect((await a().run(read)).stdout).toBe("from the client");
        expect(await both.read(one)).toEqual(one);
        await both.detach(one);
        expect(await left()).toBe("");
        expect(await both.read(one)).toBeUndefined();
        await both.remove(lun, data);
    });

    test("what was only written, and detached at once, is on the storage host", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        await c().run(
            `yes blockhost | head -c 50331648 | dd of=${one.devicePath} bs=1M iflag=fullblock conv=notrunc status=none`,
        );
        await both.detach(one);
        expect(await left()).toBe("");
        const sum = "head -c 50331648 | sha256sum";
        const { stdout } = await a().run(`dd if=${data.path} bs=1M iflag=direct status=none | ${sum}`);
        expect(stdout).toBe((await a().run(`yes blockhost | ${sum}`)).stdout);
    });

    test("from under whom has it open, which has to be allowed, it is taken with all that was written", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        // What is open is not written out by being closed, and this is too little for the kernel to begin by itself.
        const { stdout: holder } = await c().run(`rm -f /run/written
{ exec 3<>${one.devicePath}; yes blockhost | head -c 8388608 >&3; : > /run/written; exec sleep 300; } </dev/null >/dev/null 2>&1 &
until [ -e /run/written ]; do sleep 0.1; done; echo $!`);
        try {
            expect((await refused(both.detach(one), "in-use")).message).toContain("sleep");
            await both.detach({ ...one, allow: ["session-drop"] });
        } finally {
            await c().run(`kill ${holder.trim()}`);
        }
        expect(await left()).toBe("");
        const sum = "head -c 8388608 | sha256sum";
        const { stdout } = await a().run(`dd if=${data.path} bs=1M iflag=direct status=none | ${sum}`);
        expect(stdout).toBe((await a().run(`yes blockhost | ${sum}`)).stdout);
    });

    test("a client that has the name of another host is refused, and nothing is made", async () => {
        const file = iscsi ? "/etc/iscsi/initiatorname.iscsi" : "/etc/nvme/hostnqn";
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const { stdout: name } = await c().run(`cat ${file}`);
        await a().run(
            `mkdir -p ${file.replace(/[^/]*$/, "")} && { [ ! -e ${file} ] || cp ${file} /run/name; } && printf '%s' '${name}' > ${file}`,
        );
        try {
            both.hosts.get(SAN).forget();
            await both.hosts.get(SAN).facts();
            const told = await refused(both.attach("pg", lun), "unsupported");
            expect(told.message).toContain(`${DB} and ${SAN} have the same`);
            expect(await left()).toBe("");
        } finally {
            await a().run(`if [ -e /run/name ]; then mv /run/name ${file}; else rm ${file}; fi`);
        }
        both.hosts.get(SAN).forget();
        await both.hosts.get(SAN).facts();
        await both.detach(await both.attach("pg", lun));
    });

    test("from a storage host that is off it is detached by `force` only, and nothing is left", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        await a().powerOff();
        try {
            const told = await refused(both.detach(one), "in-use");
            expect(told.details.hint).toContain("force");
            await both.detach({ ...one, force: true });
            expect(await left()).toBe("");
        } finally {
            await a().powerOn();
        }
    });

    test("`ignoreErrors` passes over a step that fails and tells what stays, which has to be logged out from", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun, { multipath: "none" });
        // The client's way out of a connection takes nothing: open-iscsi's logout, or the kernel's file.
        await c().run(
            iscsi
                ? `printf '#!/bin/sh
case " $* " in *" --logout "*) echo "iscsiadm: initiator reported error (9 - internal error)" >&2; exit 9 ;; esac
exec /usr/sbin/iscsiadm "$@"
' > /usr/local/bin/iscsiadm; chmod 0755 /usr/local/bin/iscsiadm`
                : `mount --bind /dev/full ${DELETE_CONTROLLER}`,
        );
        try {
            const told = await refused(both.detach(one), "command-failed");
            expect(told.message).toContain(iscsi ? "cannot be logged out from" : "cannot be removed");
            await both.close();
            both = new Both(lab);
            await both.detach({ ...one, ignoreErrors: true });
            const stays = iscsi ? "session" : "controller";
            expect(both.warnings.join()).toMatch(new RegExp(`there stay .*${stays}.*\`ignoreErrors\``));
            expect(await left()).toContain(`/sys/class/${iscsi ? "iscsi_session" : "nvme"}/`);
        } finally {
            await c().run(`rm -f /usr/local/bin/iscsiadm; umount ${DELETE_CONTROLLER} 2>/dev/null; :`);
        }
        // What is left is nobody's: it is not touched, and what to do is said.
        await both.close();
        both = new Both(lab);
        const hint = (await refused(both.attach("pg", lun), "not-ours")).details.hint ?? "";
        await c().run(/\(((?:iscsiadm|nvme) .*)\)/.exec(hint)?.[1] ?? "false");
        await both.close();
        both = new Both(lab);
        const again = await both.attach("pg", lun);
        expect(again.drift).toEqual([]);
        await both.detach(again);
        expect(await left()).toBe("");
    });

    test("with a full state directory nothing is attached, and what to do is said; with room again it is", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        await c().run(
            "mkdir -p /var/lib/blockhost && mount -t tmpfs -o size=128k,mode=0700 none /var/lib/blockhost",
        );
        try {
            await c().run("head -c 1M /dev/zero > /var/lib/blockhost/fill 2>/dev/null || :");
            for (let twice = 0; twice < 2; twice++) {
                const told = await refused(both.attach("pg", lun), "no-space");
                expect(told.details.hint).toBeTruthy();
            }
            expect((await c().run("ls -d /sys/class/iscsi_session/s* /sys/class/nvme/* || :")).stdout).toBe(
                "",
            );
            await c().run("rm /var/lib/blockhost/fill");
            const one = await both.attach("pg", lun);
            expect(one.drift).toEqual([]);
            await both.detach(one);
        } finally {
            await c().run("umount /var/lib/blockhost");
        }
        expect(await left()).toBe("");
    });

    test("wrong credentials are refused, and none at all, and nothing is left", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const wrong = iscsi ? { auth_password: "Wrong-Sesame-12" } : { dhchap_key: other("host") };
        const mutual = iscsi ? { auth_password_in: "Wrong-Sesame-12" } : { dhchap_ctrl_key: other("ctrl") };
        const keys = iscsi
            ? ["auth_username", "auth_password", "auth_username_in", "auth_password_in"]
            : ["dhchap_key", "dhchap_ctrl_key"];
        const none = Object.fromEntries(keys.map((key) => [key, undefined]));
        for (const data of [wrong, mutual, none]) {
            await refused(both.attach("pg", withOther(lun, data)), "auth");
            expect(await left()).toBe("");
        }
    });

    test("of an export that does not admit the client, or is gone, it is told so, and nothing is left", async () => {
        for (const name of ["pg", "logs"]) await both.volume(name);
        const lun = await both.export("pg", protocol);
        // Portals answer for as long as one export has them.
        await both.export("logs", protocol);
        const stranger = "2024-01.com.example:stranger";
        const initiators = [iscsi ? { iqn: `iqn.${stranger}` } : { nqn: `nqn.${stranger}` }];
        const closed = await exportLifecycle.update(both.context, lun, { ...lun, initiators });
        await refused(both.attach("pg", lun), "auth");
        expect(await left()).toBe("");
        await both.remove(closed);
        const gone = await refused(both.attach("pg", lun), "auth");
        expect(gone.details.hint).toContain("pulumi refresh");
        expect(await left()).toBe("");
    });

    test("another unit under the export's name is refused, and nothing is left", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        await a().run(showAnother(lun));
        const { details } = await refused(both.attach("pg", lun), "not-found");
        const { serial, vol_uuid: uuid } = lun.connection.data;
        expect(details.stderr).toMatch(
            new RegExp(`identity: /dev/\\S+ .* ${ANOTHER}, not ${String(iscsi ? serial : uuid)}`),
        );
        expect(await left()).toBe("");
    });

    test("growth is seen with the device in use, which is not detached before it is free", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun, { sizeBytes: data.sizeBytes });
        const { devicePath } = one;
        await c().run(`mkfs.ext4 -q ${devicePath} && mkdir -p /mnt/pg && mount ${devicePath} /mnt/pg`);
        await c().run("echo hello > /mnt/pg/file");
        expect((await refused(both.detach(one), "in-use")).message).toContain("/mnt/pg");
        const grown = await both.grow(data, "128MiB");
        const after = await both.change(one, { sizeBytes: grown.sizeBytes });
        expect(after).toMatchObject({ deviceBytes: grown.sizeBytes, devicePath, drift: [] });
        expect((await c().run("cat /mnt/pg/file && umount /mnt/pg")).stdout).toBe("hello\n");
        const { stdout } = await c().run(`sleep 300 < ${devicePath} >/dev/null 2>&1 & echo $!`);
        expect((await refused(both.detach(after), "in-use")).message).toContain("sleep");
        await c().run(`kill ${stdout.trim()}`);
        await both.detach(after);
        expect(await left()).toBe("");
    });

    test("over IPv6 is as over IPv4, and comes back", async () => {
        await both.close();
        both = new Both(lab, { portals: (port) => [`[fd77:1::1]:${String(port)}`] });
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        expect(one).toMatchObject({ drift: [], deviceBytes: data.sizeBytes });
        await c().run(`head -c 4096 /dev/zero | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
        await refused(both.remove(lun), "in-use");
        await c().reboot();
        await vi.waitFor(async () => expect(await both.read(one)).toEqual(one), {
            timeout: 120_000,
            interval: 5_000,
        });
        await both.detach(one);
        expect(await left()).toBe("");
        await both.remove(lun, data);
    });

    test("no secret is on a command line of either host, or for every user to read", async () => {
        const secrets = [CHAP, MUTUAL].map(({ password }) => password);
        const keys = [KEYS.key, KEYS.controllerKey, other("host"), other("ctrl")];
        const needles = [...secrets, "Another-Word-12", ...keys.map((key) => key.split(":")[2] ?? "")];
        const watches: (() => Promise<string[]>)[] = [];
        try {
            for (const host of [a(), c()]) {
                await host.run(WATCH_COMMANDS);
                watches.push(await watchCommandLines(host, needles));
            }
            await both.close();
            both = new Both(lab);
            const data = await both.volume("pg");
            const lun = await both.export("pg", protocol);
            const one = await both.attach("pg", lun);
            const initiators = iscsi
                ? [{ iqn: CLIENT_IQN, chap: { ...CHAP, password: "Another-Word-12" }, mutualChap: MUTUAL }]
                : [{ nqn: CLIENT_NQN, dhchap: { key: other("host"), controllerKey: other("ctrl") } }];
            const rotated = await exportLifecycle.update(both.context, lun, { ...lun, initiators });
            const after = await both.change(one, { connection: rotated.connection });
            expect(after).toMatchObject({ drift: [] });
            for (const host of [a(), c()]) {
                const found = async (script: string) => {
                    const { stdout } = await host.run(script);
                    return needles.filter((needle) => stdout.includes(needle));
                };
                expect(await found(READ_SECRETS)).not.toEqual([]);
                expect(
                    await found(`setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '${READ_SECRETS}'`),
                ).toEqual([]);
            }
            await both.detach(after);
            await both.remove(rotated, data);
            for (const host of [a(), c()]) {
                const { stdout } = await host.run("cat /run/commands");
                expect(stdout).toMatch(
                    host === a() ? /\/mkdir .*nqn|\/mkdir .*iqn/ : /\/(iscsiadm|nvme|dd) /,
                );
                expect(needles.filter((needle) => stdout.includes(needle))).toEqual([]);
            }
            for (const seen of watches) expect(await seen()).toEqual([]);
        } finally {
            await both.close();
            for (const host of [a(), c()]) await host.run(`rm -rf /usr/local/bin/* /run/commands ${NEEDLES}`);
        }
    });

    test("is one remote run once the client is known, and so is each change, and detaching", async () => {
        const data = await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const { counters } = both.hosts.get(DB);
        await both.hosts.get(DB).facts();
        let before = counters.runs;
        const oneRun = async <Result>(what: string, doing: Promise<Result>): Promise<Result> => {
            const result = await doing;
            expect(counters.runs - before, what).toBe(1);
            before = counters.runs;
            return result;
        };
        let one = await oneRun("attach", both.attach("pg", lun, { sizeBytes: data.sizeBytes }));
        const { sizeBytes } = await both.grow(data, "128MiB");
        one = await oneRun("grow", both.change(one, { sizeBytes }));
        expect(one).toMatchObject({ deviceBytes: sizeBytes, drift: [] });
        const initiators = iscsi
            ? [{ iqn: CLIENT_IQN, chap: { ...CHAP, password: "Another-Word-12" }, mutualChap: MUTUAL }]
            : [{ nqn: CLIENT_NQN, dhchap: { key: other("host"), controllerKey: other("ctrl") } }];
        const { connection } = await exportLifecycle.update(both.context, lun, { ...lun, initiators });
        one = await oneRun("other credentials", both.change(one, { connection }));
        expect(one.drift).toEqual([]);
        await oneRun("detach", both.detach(one));
        expect(await left()).toBe("");
    });

    test("of two, one is detached and its export removed, while the other is used", async () => {
        const volumes = [await both.volume("pg"), await both.volume("logs")] as const;
        const [pg, logs] = [await both.export("pg", protocol), await both.export("logs", protocol)];
        const [one, two] = [await both.attach("pg", pg), await both.attach("logs", logs)];
        const { stdout } = await c().run(`sleep 300 < ${two.devicePath} >/dev/null 2>&1 & echo $!`);
        await refused(both.remove(pg), "in-use");
        await both.detach(one);
        // Another process, as one that removes the export later.
        const later = new Both(lab);
        await later.remove(pg, volumes[0]);
        await later.close();
        await refused(both.remove(logs), "in-use");
        expect(await both.read(two)).toMatchObject({ drift: [], devicePath: two.devicePath });
        await c().run(`head -c 4096 /dev/zero | dd of=${two.devicePath} conv=fsync,notrunc status=none`);
        await c().run(`kill ${stdout.trim()}`);
        await both.detach(two);
        await both.remove(logs, volumes[1]);
        expect(await left()).toBe("");
    });

    test("cut short after any step is finished by the next run", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        for (let count = 1; ; count++) {
            const { steps, total } = await stepsOf(both, lun);
            if (count > total) break;
            for (const step of steps.slice(0, count)) await c().run(`(\n${step}\n) </dev/null`);
            const next = new Both(lab);
            const one = await next.attach("pg", lun);
            expect(one, `after ${String(count)} steps`).toMatchObject({ drift: [] });
            await next.detach(one);
            await next.close();
            expect(await left(), `after ${String(count)} steps`).toBe("");
        }
    });

    test("one cut short that is of another export by then leaves nothing of the former", async () => {
        for (const name of ["pg", "logs"]) await both.volume(name);
        const [pg, logs] = [await both.export("pg", protocol), await both.export("logs", protocol)];
        const { steps } = await stepsOf(both, pg);
        // What every run makes first.
        await c().run(`mkdir -p -m 0700 ${both.hosts.get(DB).config.stateDirectory}`);
        for (const step of steps.slice(0, -1)) await c().run(`(\n${step}\n) </dev/null`);
        const next = new Both(lab);
        const one = await next.attach("pg", logs);
        expect(one.drift).toEqual([]);
        await next.detach(one);
        await next.close();
        expect(await left()).toBe("");
    });

    test(
        "is made by itself where the client boots while the storage host is off, once that is on",
        { timeout: 1_500_000 },
        async () => {
            const all = [];
            for (const name of ["pg", "logs"]) {
                await both.volume(name);
                const one = await both.attach(name, await both.export(name, protocol));
                await c().run(`printf ${name} | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
                all.push(one);
            }
            // As a power cut of both, for else open-iscsi's sessions hold the client's shutdown up for two minutes.
            await Promise.all([a().powerOff(), c().powerOff()]);
            try {
                await c().powerOn();
                // Twice: the first trial is the boot's own. open-iscsi's own logins come before it, half a minute for each portal.
                const tried =
                    "journalctl -q -b -o cat -u blockhost-attachments | grep -c -e 'not attached: logs pg' -e 'not attached: pg logs' || :";
                await vi.waitFor(
                    async () => expect(Number((await c().run(tried)).stdout)).toBeGreaterThan(1),
                    {
                        timeout: 600_000,
                        interval: 5_000,
                    },
                );
                for (const one of all) expect((await both.read(one))?.drift).not.toEqual([]);
            } finally {
                await a().powerOn();
            }
            for (const one of all) {
                const { devicePath, name } = one;
                await vi.waitFor(
                    async () => expect(await both.read(one)).toMatchObject({ drift: [], devicePath }),
                    { timeout: 240_000, interval: 5_000 },
                );
                // What the kernel shows already, udev may not have named yet; the unit waits for that.
                await c().run(`until [ -e ${devicePath} ]; do sleep 1; done`);
                const { stdout } = await c().run(`head -c ${String(name.length)} ${devicePath}`);
                expect(stdout).toBe(name);
            }
            await c().run("until systemctl is-active blockhost-attachments; do sleep 1; done");
            for (const one of all) await both.detach(one);
            expect(await left()).toBe("");
        },
    );

    test("comes back after a restart of the client and of the storage host", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", protocol);
        const one = await both.attach("pg", lun);
        await c().reboot();
        await vi.waitFor(
            async () => {
                expect(await both.read(one)).toMatchObject({ drift: [], devicePath: one.devicePath });
            },
            { timeout: 120_000, interval: 5_000 },
        );
        await c().run(`head -c 4096 /dev/zero | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
        await a().powerOff();
        await a().powerOn();
        await vi.waitFor(
            async () => {
                expect(await both.read(one)).toMatchObject({ drift: [] });
            },
            { timeout: 240_000, interval: 5_000 },
        );
        await c().run(`head -c 4096 /dev/zero | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
        await both.detach(one);
        expect(await left()).toBe("");
    });
});

test("NVMe keys come, go and are exchanged while the device is in use, and nobody notices", async () => {
    await both.volume("pg");
    const open = { nqn: CLIENT_NQN };
    let lun = await both.export("pg", "nvme-tcp", { initiators: [open] });
    let one = await both.attach("pg", lun);
    const { devicePath } = one;
    const controllers = () => c().run("ls -d /sys/class/nvme/nvme* | wc -l; dmesg | grep -c 'error' || :");
    const before = (await controllers()).stdout;
    const load = await Load.start(c(), [devicePath], { sizeMiB: 8 });
    const keys = [
        { key: KEYS.key },
        KEYS,
        { key: other("host"), controllerKey: other("ctrl") },
        { key: other("host"), controllerKey: KEYS.controllerKey },
        KEYS,
        undefined,
    ];
    for (const dhchap of keys) {
        const initiators = [dhchap === undefined ? open : { ...open, dhchap }];
        lun = await exportLifecycle.update(both.context, lun, { ...lun, initiators });
        one = await both.change(one, { connection: lun.connection });
        expect(one).toMatchObject({ drift: [], devicePath });
        expect((await controllers()).stdout).toBe(before);
    }
    // As a run leaves it that is killed while the kernel connects.
    await c().run(`set -- /sys/class/nvme/nvme*
get() { cat "$1/$2"; }
printf %s "nqn=$(get $1 subsysnqn),transport=tcp,$(get $1 address | sed 's/,src_addr.*//'),hostnqn=$(cat /etc/nvme/hostnqn),hostid=$(cat /etc/nvme/hostid),duplicate_connect" > /dev/nvme-fabrics`);
    expect((await both.read(one))?.drift).toEqual([expect.stringContaining("connected twice")]);
    one = await both.change(one, {});
    expect(one.drift).toEqual([]);
    expect((await controllers()).stdout).toBe(before);
    await load.stop();
    await both.detach(one);
    expect(await left()).toBe("");
});

/** Of the client, another password. */
async function rotate(lun: ExportState, password: string): Promise<ExportState> {
    const initiators = [{ iqn: CLIENT_IQN, chap: { ...CHAP, password }, mutualChap: MUTUAL }];
    return exportLifecycle.update(both.context, lun, { ...lun, initiators });
}

test("other iSCSI credentials come with another session, while nobody uses the device; that one comes back", async () => {
    await both.volume("pg");
    const lun = await both.export("pg", "iscsi");
    const one = await both.attach("pg", lun);
    const { devicePath, targetName } = one;
    await c().run(
        `iscsiadm -m node -T ${targetName} -o update -n node.session.timeo.replacement_timeout -v 600`,
    );
    await c().run(`mkfs.ext4 -q ${devicePath} && mkdir -p /mnt/pg && mount ${devicePath} /mnt/pg`);
    const { connection } = await rotate(lun, "Another-Word-12");
    expect((await refused(both.change(one, { connection }), "in-use")).message).toContain("/mnt/pg");
    // After a boot nothing else would let it in.
    expect((await c().run("grep -rh 'auth.password =' /etc/iscsi/nodes")).stdout).toContain(
        "Another-Word-12",
    );
    expect((await both.read(one))?.drift.join()).toContain("would log in again with others");
    await c().run("echo hello > /mnt/pg/file && umount /mnt/pg");
    const after = await both.change(one, { connection });
    expect(after).toMatchObject({ drift: [], devicePath });
    expect((await c().run("cat /sys/class/iscsi_session/session*/recovery_tmo")).stdout).toBe("600\n");
    await a().powerOff();
    await a().powerOn();
    await vi.waitFor(async () => expect(await both.read(after)).toEqual(after), {
        timeout: 240_000,
        interval: 5_000,
    });
    expect((await c().run(`mount ${devicePath} /mnt/pg && cat /mnt/pg/file; umount /mnt/pg`)).stdout).toBe(
        "hello\n",
    );
    await both.detach(after);
    expect(await left()).toBe("");
});

test("where iscsid cannot be started nothing is attached, and it is named; one that was stopped is started", async () => {
    const units = "iscsid.socket iscsid.service";
    await both.volume("pg");
    const lun = await both.export("pg", "iscsi");
    await c().run(`systemctl mask -q --now ${units}`);
    try {
        const told = await refused(both.attach("pg", lun), "unsupported");
        expect(told.summary).toContain("iscsid");
        expect(told.details.hint).toContain("iscsid.socket");
        expect(await left()).toBe("");
        await c().run(`systemctl unmask -q ${units}; systemctl stop ${units}`);
        const one = await both.attach("pg", lun);
        expect(one.drift).toEqual([]);
        await both.detach(one);
        expect(await left()).toBe("");
    } finally {
        await c().run(`systemctl unmask -q ${units}; systemctl start iscsid.socket || :`);
    }
});

describe("over several paths", () => {
    const multipathd = (verb: "start" | "stop") =>
        c().run(
            verb === "start"
                ? "systemctl unmask -q multipathd.service multipathd.socket; systemctl start multipathd"
                : "multipath -F >/dev/null 2>&1; systemctl stop multipathd.socket multipathd; rm -f /etc/multipath.conf; :",
        );
    afterEach(async () => {
        await both.close();
        await c().run(CLEAR_CLIENT);
        await multipathd("stop");
    });

    test("where multipathd is asked for, it has to run, and to take the device", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", "iscsi");
        const absent = await refused(both.attach("pg", lun, { multipath: "require" }), "unsupported");
        expect(absent.message).toContain("multipathd does not run");
        expect(absent.details.property).toBe("multipath");
        expect(await left()).toBe("");
        await c().run("printf 'blacklist {\\n devnode \".*\"\\n}\\n' > /etc/multipath.conf");
        await multipathd("start");
        await both.close();
        both = new Both(lab);
        const blacklisted = await refused(both.attach("pg", lun, { multipath: "require" }), "command-failed");
        expect(blacklisted.details.hint).toContain("blacklist");
        expect(await left()).toBe("");
    });

    test("where they are preferred, they are joined while multipathd runs; else the device is that of one", async () => {
        await both.volume("pg");
        const lun = await both.export("pg", "iscsi");
        for (const [runs, paths, link, block] of [
            [false, 1, "wwn-0x", "sd"],
            [true, 2, "dm-uuid-mpath-", "dm-"],
        ] as const) {
            if (runs) await multipathd("start");
            both.hosts.get(DB).forget();
            const one = await both.attach("pg", lun, { multipath: "prefer" });
            expect(one).toMatchObject({ multipathed: runs, drift: [] });
            expect(one.paths).toHaveLength(paths);
            expect(one.devicePath).toContain(`/dev/disk/by-id/${link}`);
            expect((await c().run(`readlink -f ${one.devicePath}`)).stdout).toContain(`/dev/${block}`);
            await both.detach(one);
            expect(await left()).toBe("");
        }
    });

    test.each(PROTOCOLS)(
        "over %s I/O goes on with one cut, growth is seen in use, nothing is left",
        async (protocol) => {
            const iscsi = protocol === "iscsi";
            if (iscsi) await multipathd("start");
            const data = await both.volume("pg");
            const lun = await both.export("pg", protocol);
            const one = await both.attach("pg", lun, { multipath: "require", sizeBytes: data.sizeBytes });
            expect(one).toMatchObject({ multipathed: true, drift: [] });
            const joined = iscsi ? "dmsetup ls --target multipath" : "lsblk -dno NAME,TRAN | grep nvme";
            expect((await c().run(`${joined} | wc -l`)).stdout.trim()).toBe("1");
            const paths = iscsi ? "/sys/class/iscsi_session/session*" : "/sys/class/nvme/nvme*";
            expect((await c().run(`ls -d ${paths} | wc -l`)).stdout.trim()).toBe("2");
            const write = (text: string) =>
                c().run(`printf '${text}' | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
            const found = async () =>
                (await a().run(`dd if=${data.path} bs=4096 count=1 iflag=direct status=none | head -c 5`))
                    .stdout;
            await write("first");
            await a().cutLink("storage");
            await write("later");
            expect(await found()).toBe("later");
            const seen = await both.read(one);
            expect(seen?.drift.join()).toMatch(/path/);
            await a().restoreLink("storage");
            await vi.waitFor(async () => expect(await both.read(one)).toMatchObject({ drift: [] }), {
                timeout: 240_000,
                interval: 5_000,
            });
            const { stdout } = await c().run(`sleep 600 < ${one.devicePath} >/dev/null 2>&1 & echo $!`);
            const grown = await both.grow(data, "128MiB");
            const after = await both.change(one, { sizeBytes: grown.sizeBytes });
            expect(after).toMatchObject({
                deviceBytes: grown.sizeBytes,
                devicePath: one.devicePath,
                drift: [],
            });
            expect((await refused(both.detach(after), "in-use")).message).toContain("sleep");
            await c().run(`kill ${stdout.trim()}`);
            await both.detach(after);
            expect(await left()).toBe("");
        },
    );

    test("a portal that was taken out and comes back is a path again", async () => {
        await multipathd("start");
        await both.volume("pg");
        const lun = await both.export("pg", "iscsi");
        const one = await both.attach("pg", lun);
        const { devicePath } = one;
        const [portal] = lun.connection.data["target_portals"] as string[];
        const fewer = withOther(lun, { target_portals: [portal] });
        const alone = await both.change(one, { connection: fewer.connection });
        expect(alone).toMatchObject({ drift: [], devicePath, paths: [{ portal }] });
        const again = await both.change(alone, { connection: lun.connection });
        expect(again).toMatchObject({ drift: [], devicePath });
        expect(again.paths).toHaveLength(2);
        await both.detach(again);
        expect(await left()).toBe("");
    });

    test("other credentials come one path after the other, and whoever uses the device does not notice", async () => {
        await multipathd("start");
        await both.volume("pg");
        let lun = await both.export("pg", "iscsi");
        let one = await both.attach("pg", lun, { multipath: "require" });
        const { devicePath } = one;
        const load = await Load.start(c(), [devicePath], { sizeMiB: 8 });
        for (const password of ["Another-Word-12", "A-Third-Word-34"]) {
            lun = await rotate(lun, password);
            one = await both.change(one, { connection: lun.connection });
            expect(one).toMatchObject({ drift: [], devicePath, multipathed: true });
            expect(one.paths.map(({ state }) => state)).toEqual(["LOGGED_IN", "LOGGED_IN"]);
        }
        await load.stop();
        await both.detach(one);
        expect(await left()).toBe("");
    });

    test("with all its sessions ended by hand it is not detached while it is open, and an update brings it back", async () => {
        await multipathd("start");
        const data = await both.volume("pg");
        const lun = await both.export("pg", "iscsi");
        const one = await both.attach("pg", lun, { multipath: "require" });
        // Written, and not brought to the storage host yet.
        const { stdout } = await c().run(`sleep 600 <> ${one.devicePath} >/dev/null 2>&1 & echo $!
printf later | dd of=${one.devicePath} conv=notrunc status=none iflag=fullblock bs=4096
iscsiadm -m session --logout >/dev/null`);
        both.hosts.get(DB).forget();
        const seen = await both.read(one);
        expect(seen).toMatchObject({ devicePath: one.devicePath, paths: [] });
        expect(seen?.drift).toContain("missing: no session");
        expect((await refused(both.detach(seen ?? one), "in-use")).message).toContain("sleep");
        const back = await both.change(seen ?? one, {});
        expect(back).toMatchObject({ drift: [], devicePath: one.devicePath, multipathed: true });
        await c().run(`kill ${stdout.trim()}`);
        await both.detach(back);
        expect(await left()).toBe("");
        expect((await a().run(`head -c 5 ${data.path}`)).stdout).toBe("later");
    });

    test("all come back after a restart beside open-iscsi's own logins and multipathd", async () => {
        const units = "open-iscsi.service multipathd.service";
        await c().run(
            `systemctl unmask -q ${units} multipathd.socket; systemctl enable -q ${units} 2>/dev/null`,
        );
        await multipathd("start");
        try {
            await both.volume("pg");
            const lun = await both.export("pg", "iscsi");
            const one = await both.attach("pg", lun, { multipath: "require" });
            await c().run(`printf kept | dd of=${one.devicePath} conv=fsync,notrunc status=none`);
            await c().reboot();
            await vi.waitFor(
                async () => {
                    expect(await both.read(one)).toMatchObject({
                        drift: [],
                        devicePath: one.devicePath,
                        multipathed: true,
                    });
                },
                { timeout: 240_000, interval: 5_000 },
            );
            const { stdout } = await c().run(
                `systemctl is-active ${units} blockhost-attachments; ls -d /sys/class/iscsi_session/session* | wc -l; head -c 4 ${one.devicePath}`,
            );
            expect(stdout).toBe("active\nactive\nactive\n2\nkept");
            expect(await both.change(one, {})).toMatchObject({ drift: [], devicePath: one.devicePath });
            await both.detach(one);
            expect(await left()).toBe("");
        } finally {
            await c().run(`systemctl disable -q ${units} 2>/dev/null; :`);
        }
    });
});

/** What can be read of what the kernel shows of targets and sessions, and of files. */
const READ_SECRETS = `find /sys/kernel/config/target /sys/kernel/config/nvmet /sys/class/nvme/*/ /sys/class/iscsi_session/*/ \\
    -type f \\( -name "*dhchap*" -o -name "*pass*" \\) -exec cat {} + 2>/dev/null
grep -rs . /var/lib/blockhost /etc/iscsi /etc/nvme 2>/dev/null; :`;

/** Every command that is started by its name is written down, with its arguments, by one of that name before it. */
const WATCH_COMMANDS = `rm -f /run/commands; : > /run/commands
for f in /usr/sbin/* /usr/bin/*; do
    case \${f##*/} in sh | dash | bash | rbash | perl* | python* | '[') continue ;; esac
    printf '#!/bin/dash\\nprintf "%%s\\\\n" "%s $*" >> /run/commands\\nexec %s "$@"\\n' "$f" "$f" > "/usr/local/bin/\${f##*/}"
done
chmod -R 0755 /usr/local/bin`;

/** What a controller goes by, where there is one. */
const DELETE_CONTROLLER = "/sys/class/nvme/nvme*/delete_controller";

/** Serial number or UUID. */
const ANOTHER = "01234567-89ab-8def-8123-456789abcdef";

/** The export's name leads to another unit from now on. LIO renames only one that is shown to nobody. */
function showAnother({ protocol, targetName }: ExportState): string {
    return protocol === "iscsi"
        ? `cd /sys/kernel/config/target
s=$(echo core/*/pg.*) lun=iscsi/${targetName}/tpgt_1/lun/lun_0 mapped=iscsi/${targetName}/tpgt_1/acls/${CLIENT_IQN}/lun_0
rm $mapped/blockhost $lun/blockhost && printf ${ANOTHER} > $s/wwn/vpd_unit_serial &&
ln -s $PWD/$s $lun/blockhost && ln -s $PWD/$lun $mapped/blockhost`
        : `cd /sys/kernel/config/nvmet/subsystems/${targetName}/namespaces/1
printf 0 > enable && printf ${ANOTHER} > device_uuid && printf 1 > enable`;
}

/** Scripts of a first attempt's steps. */
async function stepsOf(client: Both, lun: ExportState): Promise<{ steps: string[]; total: number }> {
    const host = client.hosts.get(DB);
    host.forget();
    const facts = await host.facts(client.context);
    if (facts.client === undefined) throw new Error("the client was not read");
    const { name, owner, connection } = client.args("pg", lun);
    const plan = attach(
        {
            facts: facts.client,
            stateDirectory: host.config.stateDirectory,
            tools: facts.tools,
            reserved: new Set(),
        },
        {
            name,
            mark: {
                kind: "attachment",
                owner: { installation: "default", ...owner },
                generation: "0123456789abcdef",
                phase: "ready",
                extra: {},
            },
            connection: readConnection(connection),
            multipath: "prefer",
        },
    );
    const steps = plan.steps.map(({ script }) => script.text);
    return { steps, total: steps.length };
}
