import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTransport } from "../../provider/transport";
import { processesMarked } from "../../tools/embedded-host/processes.mjs";
import { until } from "../../tools/embedded-host/ports.mjs";
import * as iscsi from "../../tools/iscsi.mjs";
import { checkout } from "../../tools/paths.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { attachLab, labState, startLab, stopLab, type Lab } from "./lab.mjs";
import { markVariable } from "./machine.mjs";

/** What other tests rely on when they use the lab. */

let lab: Lab;
beforeAll(async () => {
    lab = await startLab({ hosts: ["a", "c"] });
});
afterAll(() => lab.stop());

const a = () => lab.host("a");
const c = () => lab.host("c");
const output = async (host: ReturnType<typeof a>, script: string) => (await host.run(script)).stdout.trim();

describe("a host", () => {
    test("is who it says, with a kernel and a clock of its own", async () => {
        expect(await output(a(), "hostname; uname -r; cat /etc/machine-id")).toMatch(
            /^a\n6\.12\.\S+-cloud-amd64\n6c616200000040008000000000000001$/,
        );
        expect(await output(c(), "hostname; cat /etc/iscsi/initiatorname.iscsi")).toBe(
            "c\nInitiatorName=iqn.2024-01.org.blockhost.lab:c",
        );
        const lag = Date.now() / 1000 - Number(await output(a(), "date +%s"));
        expect(Math.abs(lag)).toBeLessThan(60);
    });

    test("is reached as users with and without sudo, by the provider's own transport", async () => {
        const whoami = async (configuration: Record<string, unknown>) => {
            const transport = createTransport({ name: "a", ...a().configuration(), ...configuration });
            try {
                return (await transport.run("id -un", { timeout: 60_000 })).stdout.trim();
            } finally {
                await transport.close();
            }
        };
        expect(await whoami({})).toBe("root");
        expect(await whoami({ user: "storage" })).toBe("storage");
        expect(await whoami({ user: "storage", sudo: true })).toBe("root");
        await expect(whoami({ user: "plain", sudo: true })).rejects.toMatchObject({ code: "auth" });
    });

    test("has empty disks under stable names, which take discards", async () => {
        expect(a().disks).toEqual(["disk1", "disk2", "disk3", "disk4"]);
        for (const disk of a().disks) {
            const path = a().diskPath(disk);
            expect(await output(a(), `blockdev --getsize64 ${path}; wipefs --noheadings ${path}`)).toBe(
                String(4 * 1024 ** 3),
            );
        }
        await a().run(`blkdiscard ${a().diskPath("disk4")}`);
    });

    test("has the kernel modules and the tools of a storage host", async () => {
        await a().run(`
            modprobe -a dm-thin-pool dm-snapshot dm-crypt dm-mirror dm-raid raid1 raid10 \
                target_core_mod target_core_iblock target_core_file iscsi_target_mod nvmet nvmet-tcp \
                nvme-tcp iscsi_tcp dm-multipath drbd loop xfs
            command -v lvm thin_check dmeventd targetcli nvme iscsiadm multipath drbdadm tgtadm fio mkfs.xfs \
                sg_inq cryptsetup mdadm systemd-run`);
    });

    test("says what failed, where, and how", async () => {
        await expect(a().run("echo said; echo why >&2; exit 3")).rejects.toThrow(
            /host a: status 3\n.*said\nwhy/s,
        );
        expect(await a().run("exit 3", { tolerate: true })).toMatchObject({ status: 3 });
    });
});

describe("the networks", () => {
    const reaches = async (address: string) =>
        (await c().run(`ping -c 1 -W 2 ${address}`, { tolerate: true })).status === 0;

    test("join the hosts by IPv4 and IPv6", async () => {
        for (const address of [...a().addresses.ipv4, ...a().addresses.ipv6]) {
            expect(await reaches(address), address).toBe(true);
        }
    });

    test("lead nowhere else", async () => {
        const server = createServer((socket) => socket.end("here\n"));
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as AddressInfo;
        expect(await said(port)).toBe("here\n");
        // The address by which QEMU's network would lead to this machine.
        const answer = await a().run(`busybox nc -w 5 10.0.2.2 ${port} </dev/null`, { tolerate: true });
        server.close();
        expect(answer.stdout).toBe("");
        expect(answer.status).not.toBe(0);
    });

    test("are cut one by one, and restored", async () => {
        const [first = "", second = ""] = a().addresses.ipv4;
        await a().cutLink("storage");
        expect([await reaches(first), await reaches(second)]).toEqual([false, true]);
        await a().restoreLink("storage");
        await until(() => reaches(first), { timeoutMs: 60_000, what: "reaching a again" });
    });

    test("the way in is cut and restored as well", async () => {
        await a().cutLink("outside");
        await expect(a().run("true", { timeoutMs: 3000 })).rejects.toThrow(/not done after/);
        await a().restoreLink("outside");
        a().disconnect();
        await a().run("true");
    });
});

describe("disks", () => {
    test("are pulled and plugged while the host runs, with what is on them", async () => {
        const path = a().diskPath("disk2");
        await a().run(`printf before | dd of=${path} conv=fsync status=none`);
        await a().pullDisk("disk2");
        expect(await output(a(), "ls /dev/disk/by-id")).not.toContain("disk2");
        expect(a().disks).toEqual(["disk1", "disk3", "disk4"]);
        await a().plugDisk("disk2");
        expect(await output(a(), `head -c 6 ${path}`)).toBe("before");
    });

    test("a new one is plugged in", async () => {
        await a().plugDisk("disk9", { size: "64M" });
        expect(await output(a(), `blockdev --getsize64 ${a().diskPath("disk9")}`)).toBe("67108864");
    });

    test("turn slow, flaky, read-only and broken, and good again", async () => {
        const disk = await a().faultyDisk("disk3");
        const write = `dd if=/dev/zero of=${disk.path} bs=4096 count=1 oflag=direct status=none`;
        const read = `dd if=${disk.path} of=/dev/null bs=4096 count=1 iflag=direct status=none`;
        const works = async (script: string) => (await a().run(script, { tolerate: true })).status === 0;

        expect([await works(read), await works(write)]).toEqual([true, true]);
        await disk.slow(700);
        const spent = "date +%s%3N";
        const [before, after] = (await output(a(), `${spent}; ${write}; ${spent}`)).split("\n").map(Number);
        expect((after ?? 0) - (before ?? 0)).toBeGreaterThanOrEqual(700);
        await disk.readOnly();
        expect([await works(read), await works(write)]).toEqual([true, false]);
        await disk.failing();
        expect([await works(read), await works(write)]).toEqual([false, false]);
        await disk.flaky({ up: 1, down: 1 });
        const seen = new Set<boolean>();
        await until(async () => seen.add(await works(write)).size === 2, {
            timeoutMs: 60_000,
            what: "flaky",
        });
        await disk.healthy();
        expect([await works(read), await works(write)]).toEqual([true, true]);
        await disk.remove();
    });
});

describe("power", () => {
    test("a cut loses what was not flushed, and nothing else", async () => {
        const disk = a().diskPath("disk1");
        await a().run(`
            echo 0 >/proc/sys/vm/dirty_writeback_centisecs
            vgcreate -q vg ${disk} && lvcreate -q -L 64M -n lv vg
            printf kept | dd of=/dev/vg/lv conv=fsync status=none
            echo kept >/root/kept && sync
            echo lost >/root/lost
            printf lost | dd of=/dev/vg/lv seek=1 bs=1M status=none`);
        await a().powerOff();
        expect(a().isOn()).toBe(false);
        await a().powerOn();
        expect(await output(a(), "cat /root/kept; cat /root/lost 2>/dev/null || true")).toBe("kept");
        expect(
            await output(
                a(),
                "head -c 4 /dev/vg/lv; dd if=/dev/vg/lv bs=1M skip=1 count=1 status=none | head -c 4 | od -An -tx1",
            ),
        ).toBe("kept 00 00 00 00");
        await a().run("vgremove -qf vg");
    });

    test("a host that is off is switched on without a disk that was pulled meanwhile", async () => {
        await c().powerOff();
        await c().pullDisk("disk4");
        await c().powerOn();
        expect(await output(c(), "lsblk -dno SERIAL | sort | xargs")).toBe(
            "lab-c-disk1 lab-c-disk2 lab-c-disk3",
        );
    });

    test("a kernel that crashes is told from a host that cannot be reached", async () => {
        await expect(a().run("echo c > /proc/sysrq-trigger")).rejects.toThrow(
            /the kernel of host a has crashed:[^]*sysrq/,
        );
        await a().powerOff();
        await a().powerOn();
    });

    test("a reboot is another boot, in order", async () => {
        const boot = "cat /proc/sys/kernel/random/boot_id";
        const before = await output(a(), boot);
        await a().run("echo unflushed >/root/unflushed");
        await a().reboot();
        expect(await output(a(), boot)).not.toBe(before);
        expect(await output(a(), "cat /root/unflushed")).toBe("unflushed");
    });
});

/** Past the page cache, into which targets do not write. */
const readDisk = (disk: string, bytes: number) =>
    `dd if=${a().diskPath(disk)} iflag=direct bs=4096 count=1 status=none | head -c ${bytes}`;

describe("targets and initiators", () => {
    test("LIO is reached over iSCSI from the other hosts and from outside", async () => {
        const iqn = "iqn.2024-01.com.example:lab";
        await a().run(`
            mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
            modprobe -a iscsi_target_mod target_core_iblock
            cd /sys/kernel/config/target
            mkdir -p core/iblock_0/disk && printf udev_path=${a().diskPath("disk1")} >core/iblock_0/disk/control
            printf 1 >core/iblock_0/disk/enable
            tpg=iscsi/${iqn}/tpgt_1
            mkdir -p $tpg/np/0.0.0.0:3260 $tpg/lun/lun_0
            ln -s "$PWD/core/iblock_0/disk" $tpg/lun/lun_0/disk
            printf 1 >$tpg/attrib/generate_node_acls
            printf 0 >$tpg/attrib/demo_mode_write_protect
            printf 0 >$tpg/attrib/authentication
            printf 1 >$tpg/enable`);
        const portal = `${a().addresses.ipv4[0]}:3260`;
        expect(await output(c(), `iscsiadm -m discovery -t st -p ${portal}`)).toContain(iqn);
        await c().run(`
            iscsiadm -m node -T ${iqn} -p ${portal} --login
            udevadm settle
            printf 'from c' | dd of=/dev/disk/by-path/ip-${portal}-iscsi-${iqn}-lun-0 conv=fsync status=none
            iscsiadm -m node -T ${iqn} -p ${portal} --logout`);
        expect(await output(a(), readDisk("disk1", 6))).toBe("from c");

        const login = await iscsi.login({ portal: `127.0.0.1:${a().portTo(3260)}`, iqn, lun: 0 });
        expect(login).toMatchObject({ ok: true });
    });

    test("nvmet is reached over NVMe/TCP by both networks", async () => {
        const nqn = "nqn.2024-01.com.example:lab";
        await a().run(`
            modprobe -a nvmet nvmet-tcp
            cd /sys/kernel/config/nvmet
            mkdir -p subsystems/${nqn}/namespaces/1 ports/1 ports/2
            printf 1 >subsystems/${nqn}/attr_allow_any_host
            printf ${a().diskPath("disk4")} >subsystems/${nqn}/namespaces/1/device_path
            printf 1 >subsystems/${nqn}/namespaces/1/enable
            for port in 1 2; do
                printf tcp >ports/$port/addr_trtype
                printf 4420 >ports/$port/addr_trsvcid
            done
            printf ipv4 >ports/1/addr_adrfam && printf ${a().addresses.ipv4[0]} >ports/1/addr_traddr
            printf ipv6 >ports/2/addr_adrfam && printf ${a().addresses.ipv6[1]} >ports/2/addr_traddr
            for port in 1 2; do ln -s "$PWD/subsystems/${nqn}" ports/$port/subsystems/; done`);
        await c().run(`
            modprobe nvme-tcp
            for address in ${a().addresses.ipv4[0]} ${a().addresses.ipv6[1]}; do
                nvme connect -t tcp -a $address -s 4420 -n ${nqn} >&2
                tries=0
                until [ -b /dev/nvme0n1 ]; do tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.1; done
                printf "%s" $address | dd of=/dev/nvme0n1 conv=fsync status=none
                nvme disconnect -n ${nqn} >&2
            done`);
        const written = a().addresses.ipv6[1] ?? "";
        expect(await output(a(), readDisk("disk4", written.length))).toBe(written);
    });

    test("one more port is forwarded", async () => {
        await a().run("/usr/sbin/sshd -p 5000 -o PidFile=/run/second-sshd.pid"); // returns once it listens
        expect(await a().forward(5000)).toBe(await a().forward(5000));
        expect(await said(a().portTo(5000))).toMatch(/^SSH-2\.0-/);
        await a().run("kill $(cat /run/second-sshd.pid)");
    });
});

/** What a port of this machine's loopback says before it hangs up. */
async function said(port: number): Promise<string> {
    const socket = connect({ host: "127.0.0.1", port });
    socket.setEncoding("utf8").end();
    let all = "";
    for await (const text of socket) all += text as string;
    return all;
}

describe("labs", () => {
    const parent = temporaryDirectory("lab-test");
    afterAll(() => removeDirectory(parent));

    test("are not made among other people's files, which stopping them would remove", async () => {
        const directory = join(parent, "files");
        mkdirSync(directory);
        writeFileSync(join(directory, "thesis"), "");
        await expect(startLab({ directory, hosts: ["a"] })).rejects.toThrow(/is not empty/);
        expect(existsSync(join(directory, "thesis"))).toBe(true);
    });

    test("run side by side, each with everything of its own, and leave nothing", async () => {
        const other = await startLab({ hosts: ["a"] });
        await other.host("a").run("hostname other");
        expect(await output(a(), "hostname")).toBe("a");
        expect(other.host("a").port).not.toBe(a().port);
        await other.stop();
        expect(labState(other.directory)).toBe("none");
        expect(existsSync(other.directory)).toBe(false);
        expect(a().isOn()).toBe(true);
    });

    /** A process of its own that starts a lab of host a in `directory`. */
    const start = (directory: string, options: string) => {
        const program = `import { startLab } from ${JSON.stringify(pathToFileURL(join(checkout, "test", "lab", "lab.mjs")).href)};
            const lab = await startLab({ directory: ${JSON.stringify(directory)}, hosts: ["a"], ${options} });
            lab.disconnect();
            console.log("started");`;
        return spawn(process.execPath, ["--input-type=module", "--eval", program], {
            stdio: ["ignore", "pipe", "inherit"],
        });
    };
    const started = (child: ReturnType<typeof start>) =>
        new Promise<void>((resolve, reject) => {
            child.stdout.setEncoding("utf8").once("data", () => resolve());
            child.once("exit", (status) => reject(new Error(`it ended with status ${status}`)));
        });

    test("end with the process that started them, even where it is killed", async () => {
        const directory = join(parent, "killed");
        const child = start(directory, "keep: false }); setInterval(() => {}, 1000); void ({");
        await started(child);
        const { mark } = JSON.parse(readFileSync(join(directory, "lab.json"), "utf8")) as { mark: string };
        expect(processesMarked(mark, markVariable).length).toBeGreaterThanOrEqual(3);
        child.kill("SIGKILL");
        const gone = () => processesMarked(mark, markVariable).length === 0;
        await until(gone, { timeoutMs: 10_000, what: "the end of all processes" });
        expect(labState(directory)).toBe("broken");
        await stopLab(directory);
        expect(labState(directory)).toBe("none");
    });

    test("outlive it where they shall, and are used and stopped by others", async () => {
        const directory = join(parent, "kept");
        const child = start(directory, "keep: true");
        const exited = new Promise((done) => child.once("exit", done));
        await started(child);
        expect(await exited).toBe(0);
        expect(labState(directory)).toBe("on");
        const attached = attachLab(directory);
        await attached.host("a").powerOff();
        await attached.host("a").powerOn();
        expect(await output(attached.host("a"), "hostname")).toBe("a");
        await attached.stop();
        expect(labState(directory)).toBe("none");
    });
});
