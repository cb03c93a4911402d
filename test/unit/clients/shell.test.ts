import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { body } from "../../../provider/clients/body";
import { flush, refuseUsers, refuseUsersSince, takeDown } from "../../../provider/clients/detach";
import { explain } from "../../../provider/clients/explain";
import { observeClient } from "../../../provider/clients/observe";
import { parseClient } from "../../../provider/clients/parse";
import { attach } from "../../../provider/clients/plan";
import { readConnection } from "../../../provider/clients/connection";
import type { Credentials, Declared } from "../../../provider/clients/types";
import { Secret } from "../../../provider/sh";
import { KERNEL_PACKAGES } from "../../../provider/targets/configfs/explain";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { ISCSI, Made, NQN, NVME, SERIAL, TARGET, UUID } from "./made";

let made: Made;
beforeEach(() => {
    made = new Made();
});
afterEach(() => {
    made.remove();
});
const read = (path: string) => readFileSync(join(made.root, path), "utf8");

describe("NVMe keys", () => {
    const derive = (purpose: string) => deriveDhchapKey("a secret of more than thirty-two bytes", purpose);
    const [K1, K2, C1] = [derive("one"), derive("two"), derive("controller")];
    const login = (credentials: Credentials, functions = "") =>
        made.run(body(NVME, credentials, 0, "/nonexistent").text, functions, "login");
    const keyed = (key: string, controllerKey?: string): Credentials => ({
        key: new Secret(key),
        ...(controllerKey === undefined ? {} : { controllerKey: new Secret(controllerKey) }),
    });
    const gone = (name: string) => read(`sys/class/nvme/${name}/delete_controller`) === "1\n";
    /** The kernel's part: a controller with the keys that it was asked to connect with. */
    const connecting = (keys: { key?: string; controllerKey?: string }) => {
        const at = "$R/sys/class/nvme/nvme1";
        return `dd() {
    cat > "$R/asked"; [ -d "${at}" ] || mkdir -p "${at}/nvme0c1n1"
    for f in transport subsysnqn address state; do cp "$R/sys/class/nvme/nvme0/$f" "${at}/$f"; done
    echo live > "${at}/state"; echo 1 > "${at}/nvme0c1n1/nsid"; : > "${at}/delete_controller"
    echo ${keys.key ?? "none"} > "${at}/dhchap_secret"; echo ${keys.controllerKey ?? "none"} > "${at}/dhchap_ctrl_secret"
}`;
    };

    test.each<[string, Parameters<Made["controller"]>[0], Parameters<Made["controller"]>[0]]>([
        ["given", {}, { key: K1 }],
        ["made bidirectional", { key: K1 }, { key: K1, controllerKey: C1 }],
        ["exchanged", { key: K1, controllerKey: C1 }, { key: K2, controllerKey: C1 }],
        ["taken away", { key: K1 }, {}],
        ["made one-way", { key: K1, controllerKey: C1 }, { key: K1 }],
    ])("are %s by another controller, before the former goes", (_, before, after = {}) => {
        made.controller(before);
        const { key, controllerKey } = after;
        const credentials = key === undefined ? {} : keyed(key, controllerKey);
        expect(login(credentials, connecting(after))).toMatchObject({ status: 0, stderr: "" });
        expect(read("asked")).toContain(",duplicate_connect");
        expect(gone("nvme0")).toBe(true);
        expect(gone("nvme1")).toBe(false);
    });

    test("are for root alone, also where another portal cannot be reached", () => {
        made.controller({ key: K1, controllerKey: C1 });
        const mode = (name: string) => statSync(join(made.root, "sys/class/nvme", name)).mode & 0o777;
        const two = { ...NVME, portals: ["10.0.0.5:4420", "10.0.0.6:4420"], paths: "all" as const };
        const { status } = made.run(
            body(two, keyed(K1, C1), 0, "/nonexistent").text,
            "dd() { echo 'timed out'; return 1; }",
            "login",
        );
        expect(status).not.toBe(0);
        expect([mode("nvme0/dhchap_secret"), mode("nvme0/dhchap_ctrl_secret")]).toEqual([0o600, 0o600]);
    });

    test.each([
        ["takes none", "transport=%s,traddr=%s,nqn=%s\n"],
        ["does not tell what it takes", ""],
    ])("are refused where the client's kernel %s, before it is asked for anything", (_, takes) => {
        made.controller();
        made.file("dev/nvme-fabrics", takes);
        const refused = login(keyed(K1), connecting({ key: K1 }));
        expect(refused.status).not.toBe(0);
        expect(explain(refused.stderr)).toMatchObject({
            code: "unsupported",
            summary: "the client's kernel has no NVMe in-band authentication",
        });
        expect(existsSync(join(made.root, "asked"))).toBe(false);
        expect(login({}).status).toBe(0);
    });

    test("go into no file where the kernel has no device for connections", () => {
        made.controller();
        // As after the look at what it takes.
        const gone = `dd() { rm -f "$R/dev/nvme-fabrics"; command dd "$@"; }`;
        const other = { ...NVME, target: `${NQN}:other` };
        const { status } = made.run(body(other, keyed(K1), 0, "/nonexistent").text, gone, "login");
        expect(status).toBe(1);
        expect(existsSync(join(made.root, "dev/nvme-fabrics"))).toBe(false);
    });

    test("that fit leave the controller alone", () => {
        made.controller({ key: K1, controllerKey: C1 });
        expect(login(keyed(K1, C1))).toMatchObject({ status: 0, stderr: "" });
        expect(gone("nvme0")).toBe(false);
    });

    test("where another controller has come already, only the former goes", () => {
        made.controller({ key: K1 });
        made.controller({ key: K2 }, "live", "nvme1");
        expect(login(keyed(K2), "dd() { exit 9; }")).toMatchObject({ status: 0, stderr: "" });
        expect([gone("nvme0"), gone("nvme1")]).toEqual([true, false]);
    });

    test.each([
        ["the first", "live", "live", [false, true]],
        ["the second, where the first does not answer", "connecting", "live", [true, false]],
        ["both, where none answers", "connecting", "connecting", [false, false]],
    ])("of two controllers that fit at one portal %s stays", (_, first, second, went) => {
        made.controller({ key: K1 }, first);
        made.controller({ key: K1 }, second, "nvme1");
        expect(login(keyed(K1), "dd() { exit 9; }")).toMatchObject({ status: 0, stderr: "" });
        expect([gone("nvme0"), gone("nvme1")]).toEqual(went);
    });

    test.each<[string, string, string]>([
        ["the storage host refuses", "dd() { echo 'Key was rejected' ; return 1; }", "auth"],
        ["whose controller does not appear", "dd() { cat >/dev/null; }", "conflict"],
        [
            "whose controller shows no device",
            `sleep() { :; }\n${connecting({ key: K2 }).replace("echo 1 >", "echo 7 >")}`,
            "conflict",
        ],
    ])("that %s leave the former", (_, functions, code) => {
        made.controller({ key: K1 });
        const { status, stderr } = login(keyed(K2), functions);
        expect(status).not.toBe(0);
        expect(explain(stderr)?.code).toBe(code);
        expect(gone("nvme0")).toBe(false);
    });

    test("a path that is not optimized carries the device, too; one that cannot be used does not", () => {
        const ana = (state: string) =>
            `sleep() { :; }\n${connecting({ key: K2 }).replace(/\n}$/, `\necho ${state} > "$R/sys/class/nvme/nvme1/nvme0c1n1/ana_state"\n}`)}`;
        made.controller({ key: K1 });
        made.file("sys/class/nvme/nvme0/nvme0c0n1/ana_state", "optimized\n");
        expect(explain(login(keyed(K2), ana("inaccessible")).stderr)?.code).toBe("conflict");
        expect(gone("nvme0")).toBe(false);
        made.file("sys/class/nvme/nvme1/nvme0c1n1/ana_state", "non-optimized\n");
        expect(login(keyed(K2), "dd() { exit 9; }")).toMatchObject({ status: 0, stderr: "" });
        expect(gone("nvme0")).toBe(true);
    });

    test("the former stays until the other shows all that it shows", () => {
        made.controller({ key: K1 });
        made.file("sys/class/nvme/nvme0/nvme0c0n2/nsid", "2\n");
        expect(login(keyed(K2), `sleep() { :; }\n${connecting({ key: K2 })}`).status).toBe(1);
        expect(gone("nvme0")).toBe(false);
        made.file("sys/class/nvme/nvme1/nvme0c1n2/nsid", "2\n");
        expect(login(keyed(K2), "dd() { exit 9; }")).toMatchObject({ status: 0, stderr: "" });
        expect(gone("nvme0")).toBe(true);
    });

    test("a controller under another name is somebody else's, and ours is connected beside it", () => {
        made.controller({ key: K1 });
        made.file("sys/class/nvme/nvme0/hostnqn", "nqn.2024-01.com.example:other\n");
        expect(login(keyed(K2), connecting({ key: K2 }))).toMatchObject({ status: 0, stderr: "" });
        expect(read("asked")).toContain("traddr=10.0.0.5");
        expect(read("asked")).not.toContain("duplicate_connect");
        expect([gone("nvme0"), gone("nvme1")]).toEqual([false, false]);
    });

    test("a portal that cannot be reached does not keep the others from it", () => {
        made.controller({ key: K1 });
        made.controller({ key: K1 }, "live", "nvme2");
        made.file("sys/class/nvme/nvme2/address", "traddr=10.0.0.6,trsvcid=4420\n");
        made.controller({ key: K2 }, "live", "nvme3");
        made.file("sys/class/nvme/nvme3/address", "traddr=10.0.0.6,trsvcid=4420\n");
        const two = { ...NVME, portals: ["10.0.0.5:4420", "10.0.0.6:4420"], paths: "all" as const };
        const unreachable = "dd() { echo 'timed out'; return 1; }";
        const { status, stderr } = made.run(
            body(two, keyed(K2), 0, "/nonexistent").text,
            unreachable,
            "login",
        );
        expect(status).toBe(1);
        expect(explain(stderr)?.code).toBe("unreachable");
        expect([gone("nvme0"), gone("nvme2"), gone("nvme3")]).toEqual([false, true, false]);
    });

    test("are no other without native multipath: the device would be another one", () => {
        made.controller({ key: K1 }, "live", "nvme0", "N");
        expect(explain(login(keyed(K2), "dd() { exit 9; }").stderr)?.code).toBe("conflict");
        expect(gone("nvme0")).toBe(false);
    });

    test.each([{}, { key: K1 }, { key: K1, controllerKey: C1 }])("%o are observed, hashed", (keys) => {
        made.controller(keys);
        made.file("var/lib/blockhost/attachments/x");
        const { stdout } = made.run(observeClient("/var/lib/blockhost").text);
        expect(stdout).not.toContain(K1);
        expect(parseClient(stdout).paths).toMatchObject([
            { target: NQN, keys: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
        ]);
    });
});

describe("who has the device", () => {
    const users = (declared: Declared = ISCSI) => made.run(refuseUsers(declared).text);

    test.each([
        ["sdap", "sda", "dev/sdap"],
        ["sda1x", "sda", "dev/sda1x"],
        ["a partition of another disk of a like name", "sda", "dev/sdaa1"],
    ])("not whoever has %s open", (_, block, open) => {
        made.session(1, block);
        made.process(7, "postgres", open);
        expect(users()).toMatchObject({ status: 0, stderr: "" });
    });

    test("not whoever has dm-10 open, of dm-1; but who has dm-1", () => {
        made.session();
        const map = "sys/class/block/sda/holders/dm-1/dm/uuid";
        made.file(map, "mpath-360014058043fcdb66447f59000000000\n");
        made.block("dm-1", "253:1");
        made.block("dm-10", "253:10");
        made.process(7, "postgres", "dev/dm-10");
        expect(users()).toMatchObject({ status: 0, stderr: "" });
        made.process(8, "mysqld", "dev/dm-1");
        expect(users().stderr).toContain("/dev/dm-1 is open by mysqld (process 8)");
    });

    test.each([
        ["sda1", ISCSI],
        ["nvme0n1p1", NVME],
    ])("whoever has the partition %s open", (partition, declared) => {
        if (declared === NVME) made.namespace();
        else made.session();
        made.block(partition, "8:1", declared === NVME ? "nvme0n1" : "sda");
        made.process(7, "postgres", `dev/${partition}`);
        expect(users(declared).stderr).toContain(`/dev/${partition} is open by postgres (process 7)`);
    });

    test("whoever has it open under another name, as in a container", () => {
        made.session();
        made.link("dev/data", "dev/sda");
        made.process(7, "postgres", "dev/data");
        expect(users().stderr).toBe("in-use: /dev/sda is open by postgres (process 7)\n");
    });

    test("not a partition's map on a multipath device by itself", () => {
        made.partitioned();
        expect(users()).toMatchObject({ status: 0, stderr: "" });
    });

    test.each<[string, string, () => void]>([
        [
            "mounted",
            "is mounted at /srv",
            () => {
                made.file("proc/7/mountinfo", "30 1 253:2 / /srv rw - ext4 x rw\n");
            },
        ],
        [
            "open",
            "is open by postgres (process 7)",
            () => {
                made.process(7, "postgres", "dev/dm-2");
            },
        ],
        [
            "held",
            "is used by vg-lv",
            () => {
                made.file("sys/class/block/dm-2/holders/dm-3/dm/name", "vg-lv\n");
            },
        ],
    ])("but who has that %s", (_, said, use) => {
        made.partitioned();
        use();
        expect(users()).toMatchObject({ status: 1, stderr: `in-use: /dev/dm-2 ${said}\n` });
    });

    test("nor a logical partition's, which lies on another's", () => {
        made.partitioned();
        made.block("dm-5", "253:5");
        made.file(
            "sys/class/block/dm-2/holders/dm-5/dm/uuid",
            "part5-mpath-360014058043fcdb66447f59000000000\n",
        );
        expect(users()).toMatchObject({ status: 0, stderr: "" });
        made.file("proc/swaps", `Filename\n${made.root}/dev/dm-5 partition 1\n`);
        expect(users().stderr).toBe("in-use: /dev/dm-5 is swap space\n");
    });

    test.each([
        ["nvmet", "nvmet/subsystems/nqn.x/namespaces/1", "device_path", "nvmet, for nqn.x"],
        ["LIO", "target/core/iblock_0/disk", "udev_path", "LIO, as disk"],
    ])("%s, which exports it", (_, at, file, said) => {
        made.session();
        made.link("dev/disk/by-id/wwn-x", "dev/sda");
        made.file(`sys/kernel/config/${at}/${file}`, `${made.root}/dev/disk/by-id/wwn-x`);
        made.file(`sys/kernel/config/${at}/enable`, "0\n");
        expect(users()).toMatchObject({ status: 0, stderr: "" });
        made.file(`sys/kernel/config/${at}/enable`, "1\n");
        expect(users().stderr).toBe(`in-use: /dev/sda is used by ${said}\n`);
    });

    test("NVMe: of any namespace of the target", () => {
        made.controller();
        made.namespace();
        made.namespace("other", 2);
        expect(users(NVME)).toMatchObject({ status: 0, stderr: "" });
        made.file("proc/7/mountinfo", "30 1 259:2 / /srv rw - ext4 x rw\n");
        expect(users(NVME).stderr).toBe("in-use: /dev/nvme0n2 is mounted at /srv\n");
    });

    test("NVMe without native multipath: not of somebody else's controller", () => {
        made.controller({}, "live", "nvme0", "N");
        made.namespace(UUID, 1, "nvme0n1", "nvme/nvme0");
        made.controller({}, "live", "nvme1", "N");
        made.file("sys/class/nvme/nvme1/hostnqn", "nqn.2024-01.com.example:other\n");
        made.namespace(UUID, 1, "nvme1n1", "nvme/nvme1");
        made.process(7, "postgres", "dev/nvme1n1");
        made.block("nvme1n1", "259:7");
        expect(users(NVME)).toMatchObject({ status: 0, stderr: "" });
        made.process(8, "mysqld", "dev/nvme0n1");
        expect(users(NVME).stderr).toBe("in-use: /dev/nvme0n1 is open by mysqld (process 8)\n");
    });

    test("whoever has mounted it, once a place, in whatever name space; not what is mounted of a like number", () => {
        made.session();
        made.block("sda1", "8:1", "sda");
        made.file("proc/7/mountinfo", "30 1 8:1 / /srv rw - ext4 x rw\n31 1 8:1 / /a rw - ext4 x rw\n");
        made.file("proc/8/mountinfo", "90 1 8:1 / /srv rw - ext4 x rw\n91 1 8:11 / /c rw - ext4 x rw\n");
        made.file("proc/9/mountinfo", "8 1 18:1 / /d rw - ext4 x rw\n9 8:1 0:1 / /e rw - ext4 8:1 rw\n");
        made.file("proc/10/mountinfo", "9 1 8:0 / /all rw - ext4 x rw\n");
        expect(users().stderr).toBe(
            "in-use: /dev/sda is mounted at /all\n/dev/sda1 is mounted at /a\n/dev/sda1 is mounted at /srv\n",
        );
    });

    test("at once where thousands of processes see thousands of mounts", () => {
        made.session();
        made.block("sda1", "8:1", "sda");
        const line = (n: number) =>
            `${String(n)} 1 0:${String(n)} / /var/lib/pods/${String(n)} rw - tmpfs x rw\n`;
        const lines = Array.from({ length: 10_000 }, (_, n) => line(n));
        made.file("proc/1/mountinfo", `${lines.join("")}1 1 8:1 / /srv rw - ext4 x rw\n`);
        for (let pid = 2; pid <= 100; pid++) made.link(`proc/${String(pid)}/mountinfo`, "proc/1/mountinfo");
        expect(users()).toMatchObject({ status: 1, stderr: "in-use: /dev/sda1 is mounted at /srv\n" });
    });

    test("not what has been killed and waits for I/O of a dead host", () => {
        made.session();
        made.process(7, "dd", "dev/sda", "0000000000000100");
        expect(users()).toMatchObject({ status: 0, stderr: "" });
        made.process(8, "dd", "dev/sda", "0000000000004000");
        expect(users().stderr).toContain("process 8");
    });

    test.each<[string, string, () => void]>([
        [
            "mounted",
            "is mounted at /srv",
            () => {
                made.file("proc/7/mountinfo", "30 1 8:1 / /srv rw - ext4 x rw\n");
            },
        ],
        [
            "swap",
            "is swap space",
            () => {
                made.file("proc/swaps", `Filename\n${made.root}/dev/sda1 partition 1\n`);
            },
        ],
        [
            "held by device-mapper",
            "is used by vg-lv",
            () => {
                made.file("sys/class/block/sda1/holders/dm-3/dm/name", "vg-lv\n");
                made.file("sys/class/block/sda/sda1/holders/dm-3/dm/name", "vg-lv\n");
            },
        ],
        [
            "under a loop device",
            "is used by loop3",
            () => {
                made.file("sys/block/loop3/loop/backing_file", `${made.root}/dev/sda1\n`);
            },
        ],
        [
            "a mounted btrfs",
            "is used by a mounted btrfs",
            () => {
                made.file("sys/fs/btrfs/x/devices/sda1");
            },
        ],
    ])("of a partition: %s", (_, said, use) => {
        made.session();
        made.block("sda1", "8:1", "sda");
        use();
        const { status, stderr } = users();
        expect(status).toBe(1);
        expect(stderr).toContain(`/dev/sda1 ${said}`);
    });
});

describe("writing out", () => {
    // Time goes fast; what does not end is ended by the test's own limit.
    const FAST = `sleep() { case $1 in 0.*) command sleep 0.001 ;; *) command sleep "$1" ;; esac; }
blockdev() { :; }`;
    const HANGS = `${FAST}
dd() { exec sleep 15; }`;

    const NOT_FOR_WRITING = `${FAST}
blockdev() { echo "$*" >> $R/flushed; }
dd() { return 1; }`;

    test("is nothing on a read-only device, which cannot be opened for that", () => {
        made.session();
        made.file("sys/class/block/sda/ro", "1\n");
        expect(made.run(flush(ISCSI, false).text, NOT_FOR_WRITING)).toMatchObject({ status: 0, stderr: "" });
        expect(read("flushed")).toBe(`--flushbufs ${made.root}/dev/sda\n`);
        made.file("sys/class/block/sda/ro", "0\n");
        expect(made.run(flush(ISCSI, false).text, NOT_FOR_WRITING).stderr).toContain("cannot be written");
    });

    test("nor on the multipath device of such ones", () => {
        made.partitioned();
        made.file("sys/class/block/dm-1/ro", "1\n");
        expect(made.run(flush(ISCSI, false).text, NOT_FOR_WRITING)).toMatchObject({ status: 0, stderr: "" });
        expect(read("flushed")).toBe(`--flushbufs ${made.root}/dev/dm-1\n`);
    });

    test("makes no file in the place of a device that has gone, which is an error", () => {
        made.session();
        const node = join(made.root, "dev/sda");
        expect(made.run(flush(ISCSI, false).text, FAST)).toMatchObject({ status: 0, stderr: "" });
        rmSync(node);
        expect(made.run(flush(ISCSI, false).text, FAST).stderr).toBe("flush: /dev/sda cannot be written\n");
        expect(existsSync(node)).toBe(false);
    });

    test("NVMe: all namespaces of the target", () => {
        made.controller();
        made.namespace();
        made.namespace("other", 2);
        const noted = `${FAST}\nblockdev() { echo "\${2##*/}" >> $R/flushed; }\ndd() { :; }`;
        expect(made.run(flush(NVME, false).text, noted)).toMatchObject({ status: 0, stderr: "" });
        expect(read("flushed")).toBe("nvme0n1\nnvme0n2\n");
    });

    test("waits for a path that comes back", () => {
        made.session(1, "sda", { state: "FAILED" });
        const back = `n_slept=0; sleep() { n_slept=$((n_slept + 1)); [ "$n_slept" -lt 99 ] || echo LOGGED_IN > $R/sys/class/iscsi_session/session1/state; command sleep 0.001; }
blockdev() { :; }
dd() { : > $R/written; }`;
        expect(made.run(flush(ISCSI, false).text, back)).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "written"))).toBe(true);
    });

    test("waits for multipathd to take up a path that has come back", () => {
        made.partitioned();
        made.file("sys/class/block/dm-1/dm/name", "mpatha\n");
        const status = (path: string) =>
            `0 131072 multipath 2 0 0 0 2 1 E 0 1 0 8:0 F 1 A 0 1 0 8:16 ${path} 1`;
        const taken = (when: number) => `${FAST}
n_slept=0; sleep() { n_slept=$((n_slept + 1)); }
dmsetup() { [ "$*" = "status mpatha" ] && if [ "$n_slept" -lt ${String(when)} ]; then echo "${status("F")}"; else echo "${status("A")}"; fi; }
dd() { : > $R/written; }`;
        const never = made.run(flush(ISCSI, false).text, taken(10_000)).stderr;
        expect(never).toBe("flush: multipathd has taken up no path to /dev/dm-1 for 60 seconds\n");
        expect(existsSync(join(made.root, "written"))).toBe(false);
        expect(made.run(flush(ISCSI, false).text, taken(50))).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "written"))).toBe(true);
    });

    test("a path goes only where multipathd uses another", () => {
        made.partitioned();
        made.file("sys/class/block/dm-1/dm/name", "mpatha\n");
        const block = "sys/class/iscsi_session/session1/device/target0/0:0:0:0";
        made.file(`${block}/block/sda/dev`, "8:0\n");
        made.file(`${block}/delete`);
        const using = (...paths: string[]) => `sleep() { :; }
iscsiadm() { :; }
systemctl() { :; }
multipath() { :; }
dmsetup() { echo "0 131072 multipath 2 0 0 0 1 1 A 0 2 0 ${paths.map((path) => `${path} 1`).join(" ")}"; }`;
        const away = takeDown(ISCSI, { only: ["10.0.0.5:3260"], spare: true }).text;
        expect(made.run(away, using("8:0 A", "8:16 F")).stderr).toBe(
            "spare: multipathd uses no other path of /dev/dm-1\n",
        );
        expect(read(`${block}/delete`)).toBe("");
        expect(made.run(away, using("8:0 A", "8:16 A")).stderr).toBe("");
        expect(read(`${block}/delete`)).toBe("1\n");
    });

    test("of NVMe, where another controller of ours serves the device", () => {
        for (const name of ["nvme0", "nvme1"]) made.controller({}, "live", name);
        made.file("sys/class/nvme/nvme1/address", "traddr=10.0.0.6,trsvcid=4420\n");
        const went = () => read("sys/class/nvme/nvme0/delete_controller") === "1\n";
        // The kernel takes it away at once.
        const gone = `sleep() { [ "$(cat $R/sys/class/nvme/nvme0/delete_controller)" != 1 ] || rm -r $R/sys/class/nvme/nvme0; }`;
        const away = takeDown(NVME, { only: ["10.0.0.5:4420"], spare: true, ignoreErrors: true }).text;
        const refused = "spare: no other controller serves namespace 1 of the target\n";
        const other = "sys/class/nvme/nvme1";
        for (const [file, wrong, right] of [
            ["state", "connecting", "live"],
            ["nvme0c1n1/ana_state", "inaccessible", "non-optimized"],
            ["nvme0c1n1/nsid", "2", "1"],
            ["hostnqn", "nqn.2024-01.com.example:other", NVME.initiator],
        ] as const) {
            made.file(`${other}/${file}`, `${wrong}\n`);
            expect(made.run(away, gone).stderr, file).toBe(refused);
            expect(went()).toBe(false);
            made.file(`${other}/${file}`, `${right}\n`);
        }
        // Nothing is lost by the end of one that serves nothing.
        made.file(`${other}/state`, "connecting\n");
        made.file("sys/class/nvme/nvme0/state", "connecting\n");
        expect(made.run(`${away}\necho past`, "sleep() { :; }").stdout).toBe("past\n");
        expect(went()).toBe(true);
    });

    test("a session that has other units does not end for a change of ours", () => {
        made.session();
        const at = "sys/class/iscsi_session/session1/device/target0";
        made.file(`${at}/0:0:0:0/delete`);
        made.file(`${at}/0:0:0:3/block/sdb/size`, "1\n");
        const asked = "iscsiadm() { echo asked >&2; }\nsystemctl() { :; }";
        expect(made.run(takeDown(ISCSI, { only: ["10.0.0.5:3260"] }).text, asked).stderr).toBe(
            "others: session 1 with 10.0.0.5:3260 leads to unit 3 of the target, too\n",
        );
        expect(read(`${at}/0:0:0:0/delete`)).toBe("");
    });

    describe("a multipath device that has lost all its sessions", () => {
        const wwid = "360014058043fcdb66447f59000000000";
        beforeEach(() => {
            for (const [name, uuid] of [
                ["dm-1", wwid],
                ["dm-2", "3600140500000000000000000000000000"],
            ] as const) {
                made.file(`sys/block/${name}/dm/uuid`, `mpath-${uuid}\n`);
                made.file(`sys/class/block/${name}/dm/name`, `${name}-name\n`);
                made.block(name, `253:${name.slice(3)}`);
            }
        });
        const asked = `${FAST}\nmultipath() { echo "$*" >> $R/asked; }`;

        test("is observed", () => {
            made.file("var/lib/blockhost/attachments/x");
            made.file("sys/block/dm-2/slaves/sdb");
            const { stdout } = made.run(observeClient("/var/lib/blockhost").text);
            expect([...parseClient(stdout).pathless]).toEqual([wwid]);
        });

        test("does not go while somebody has it open, nor without what was written", () => {
            made.process(7, "postgres", "dev/dm-1");
            expect(made.run(refuseUsers(ISCSI, "in-use", wwid).text).stderr).toBe(
                "in-use: /dev/dm-1 is open by postgres (process 7)\n",
            );
            expect(made.run(flush(ISCSI, false, wwid).text, FAST).stderr).toBe(
                "flush: no path to the device has come up for 60 seconds\n",
            );
            expect(made.run(flush(ISCSI, true, wwid).text, FAST).status).toBe(0);
        });

        test("goes by name, and no other one", () => {
            expect(made.run(takeDown(ISCSI, { pathless: wwid }).text, asked).status).toBe(0);
            expect(read("asked")).toBe("-f dm-1-name\n");
        });
    });

    test("whoever has come to use it meanwhile is told; not what only looks at what was written", () => {
        made.session();
        made.process(7, "scsi_id", "dev/sda");
        const since = (functions: string) => made.run(refuseUsersSince(ISCSI).text, functions);
        const looked = `udevadm() { echo "$*" >> $R/asked; }
sleep() { n_slept=$((n_slept + 1)); [ "$n_slept" -lt 3 ] || rm -rf $R/proc/7; }`;
        expect(since(`n_slept=0; ${looked}`)).toMatchObject({ status: 0, stderr: "" });
        expect(read("asked")).toBe("settle -t 10\n");
        made.process(8, "postgres", "dev/sda");
        expect(since("udevadm() { return 1; }\nsleep() { :; }")).toMatchObject({
            status: 1,
            stderr: "in-use: /dev/sda is open by postgres (process 8)\n",
        });
    });

    test("who has it open cannot be told with a find that knows no links", () => {
        made.session();
        made.process(7, "postgres", "dev/sda");
        const { status, stderr } = made.run(refuseUsers(ISCSI).text, "find() { return 1; }");
        expect([status, stderr]).toEqual([1, "tools: find(1) is not that of GNU findutils\n"]);
        const since = made.run(refuseUsersSince(ISCSI).text, "find() { return 1; }\nudevadm() { :; }");
        expect([since.status, since.stderr]).toEqual([status, stderr]);
    });

    test("goes on as long as something is written", () => {
        made.session();
        const busy = `${FAST}
dd() { for i in 1 2 3 4 5 6 7 8; do command sleep 0.2; echo "1 0 8 0 $i 0 40 0" > $R/sys/class/block/sda/stat; done; : > $R/written; }`;
        expect(made.run(flush(ISCSI, false).text.replace("patience=60", "patience=7"), busy)).toMatchObject({
            status: 0,
            stderr: "",
        });
        expect(existsSync(join(made.root, "written"))).toBe(true);
    });

    test("a host that does not answer is told, with the session still logged in", () => {
        made.session();
        const { status, stderr } = made.run(flush(ISCSI, false).text, HANGS);
        expect(status).toBe(1);
        expect(stderr).toContain("flush: nothing has been written to /dev/sda for 60 seconds");
        expect(explain(stderr)?.hint).toContain("force");
        expect(read("sys/class/iscsi_session/session1/recovery_tmo")).toBe("120\n");
    });

    test("`force` goes on without it, and has the kernel give up soon", () => {
        made.session();
        const { status, stderr } = made.run(flush(ISCSI, true).text, HANGS);
        expect(status).toBe(0);
        expect(stderr).toContain("passed over: nothing has been written to /dev/sda for 30 seconds");
        expect(read("sys/class/iscsi_session/session1/recovery_tmo")).toBe("5\n");
    });

    test.each([
        ["cannot be written", "LOGGED_IN", "dd() { return 1; }"],
        ["no path to the device has come up", "FAILED", "dd() { return 1; }"],
    ])("%s: refused, but for `force`", (said, state, dd) => {
        made.session(1, "sda", { state });
        const refused = made.run(flush(ISCSI, false).text, `${FAST}\n${dd}`);
        expect(refused.status).toBe(1);
        expect(refused.stderr).toMatch(/^flush: /);
        expect(refused.stderr).toContain(said);
        const forced = made.run(flush(ISCSI, true).text, `${FAST}\n${dd}`);
        expect(forced.status).toBe(0);
        expect(forced.stderr).toContain(
            `passed over: ${forced.stderr.includes("/dev/sda") ? "/dev/sda " : ""}${said}`,
        );
    });
});

const UNIX = "Num RefCount Protocol Flags Type St Inode Path\n";
const LISTENS = `${UNIX}0: 00000002 00000000 00010000 0001 01 1 @ISCSIADM_ABSTRACT_NAMESPACE\n`;

describe("iscsid", () => {
    const RECORDED = `iscsiadm() {
    case "$*" in
        '-m session') return 21 ;;
        *'-o new'*) mkdir -p $R/etc/iscsi/nodes/${TARGET} && printf '%s\\n' 'node.name = x' 'node.startup = manual' '# END RECORD' > $R/etc/iscsi/nodes/${TARGET}/10.0.0.5,3260 ;;
        *--login*) : > $R/login; grep -q ABSTRACT $R/proc/net/unix || return 20 ;;
        *--logout*) grep -q ABSTRACT $R/proc/net/unix || return 20; : > $R/logout ;;
        *'-o delete'*) rm -r $R/etc/iscsi/nodes/${TARGET} ;;
    esac
}
sleep() { :; }`;
    const starting = (unit: string) =>
        `systemctl() { echo "$*" >> $R/started; [ "$2" != ${unit} ] || printf '%s' '${LISTENS}' > $R/proc/net/unix; }`;
    const login = (functions: string) =>
        made.run(body(ISCSI, {}, 0, "/nonexistent").text, `${RECORDED}\n${functions}`, "login");
    beforeEach(() => {
        made.file("etc/iscsi/nodes/.keep");
        made.file("proc/net/unix", UNIX);
        made.file("run/systemd/system/x");
    });

    test.each(["iscsid.socket", "iscsid.service"])("that does not run is started, by %s", (unit) => {
        expect(login(starting(unit))).toMatchObject({ status: 0, stderr: "" });
        expect(read("started")).toContain(`start ${unit}\n`);
    });

    test("that runs is left alone", () => {
        made.file("proc/net/unix", LISTENS);
        expect(login(starting("x"))).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "started"))).toBe(false);
    });

    test("where there is no systemd, it is run itself", () => {
        const own = new Made();
        own.file("etc/iscsi/nodes/.keep");
        own.file("proc/net/unix", UNIX);
        const iscsid = `iscsid() { printf '%s' '${LISTENS}' > $R/proc/net/unix; }`;
        const script = body(ISCSI, {}, 0, "/nonexistent").text;
        expect(own.run(script, `${RECORDED}\n${iscsid}`, "login")).toMatchObject({ status: 0, stderr: "" });
        own.remove();
    });

    test("that cannot be started is named, before anything is made", () => {
        const { status, stderr } = login("systemctl() { return 1; }");
        expect(status).not.toBe(0);
        expect(explain(stderr)).toMatchObject({ code: "unsupported" });
        expect(explain(stderr)?.hint).toContain("iscsid.socket");
        expect(existsSync(join(made.root, "login"))).toBe(false);
    });

    test("that goes meanwhile is told as that, not as a portal that does not answer", () => {
        made.file("proc/net/unix", LISTENS);
        const gone = RECORDED.replace("grep -q ABSTRACT $R/proc/net/unix || return 20", "return 20");
        const script = body(ISCSI, {}, 0, "/nonexistent").text;
        const { status, stderr } = made.run(script, gone, "login");
        expect(status).not.toBe(0);
        expect(explain(stderr)?.code).toBe("unsupported");
        expect(existsSync(join(made.root, `etc/iscsi/nodes/${TARGET}`))).toBe(false);
    });

    test("is started for a logout, too", () => {
        made.session();
        const { status, stderr } = made.run(
            takeDown(ISCSI).text,
            `${RECORDED}\n${starting("iscsid.socket")}`,
        );
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "logout"))).toBe(true);
    });
});

describe("taking down", () => {
    const STUCK = `iscsiadm() { return 1; }
multipath() { return 1; }
sleep() { :; }`;
    beforeEach(() => {
        made.file("proc/net/unix", LISTENS);
    });

    test("a session that does not end fails, but for `ignoreErrors`, which says what stays", () => {
        made.session();
        made.file(`etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`, "# END RECORD\n");
        const refused = made.run(takeDown(ISCSI).text, STUCK);
        expect(refused.status).toBe(1);
        expect(refused.stderr).toContain("10.0.0.5:3260: cannot be logged out from");
        const passed = made.run(takeDown(ISCSI, { ignoreErrors: true }).text, STUCK);
        expect(passed.status).toBe(0);
        expect(passed.stderr).toContain("passed over: 10.0.0.5:3260: cannot be logged out from");
        expect(passed.stderr).toContain("passed over: the node record of 10.0.0.5:3260 cannot be deleted");
    });

    /** open-iscsi: no record goes that a session uses. */
    const USED = `iscsiadm() {
    case "$*" in
        *--logout*) rm -r $R/sys/class/iscsi_session/session1 ;;
        *'-o delete'*) [ ! -d $R/sys/class/iscsi_session/session1 ] || return 15; rm -r $R/etc/iscsi/nodes/${TARGET} ;;
    esac
}`;

    test.each([
        ["a file", "10.0.0.5,3260"],
        ["in a directory", "10.0.0.5,3260,1/default"],
    ])(
        "a session that leads to other units stays, its record, %s, does not: our secrets are in it",
        (_, record) => {
            made.session();
            made.file("sys/class/iscsi_session/session1/device/target0/0:0:0:3/block/sdb/size", "1\n");
            made.file("sys/class/iscsi_session/session1/device/target0/0:0:0:3/delete");
            made.file(`etc/iscsi/nodes/${TARGET}/${record}`, "# END RECORD\n");
            made.file(`etc/iscsi/nodes/another/${record}`, "# END RECORD\n");
            expect(made.run(takeDown(ISCSI).text, USED)).toMatchObject({ status: 0, stderr: "" });
            expect(read("sys/class/iscsi_session/session1/device/target0/0:0:0:0/delete")).toBe("1\n");
            expect(read("sys/class/iscsi_session/session1/device/target0/0:0:0:3/delete")).toBe("");
            expect(existsSync(join(made.root, `etc/iscsi/nodes/${TARGET}`))).toBe(false);
            expect(existsSync(join(made.root, `etc/iscsi/nodes/another/${record}`))).toBe(true);
        },
    );

    test.each([
        ["ends", false],
        ["stays where somebody has one of them", true],
    ])("of a first attempt that is taken back, a session that leads to other units %s", (_, used) => {
        made.session();
        made.file("sys/class/iscsi_session/session1/device/target0/0:0:0:3/block/sdb/size", "1\n");
        made.block("sdb", "8:16");
        made.block("dm-1", "253:1");
        made.file("sys/class/block/sdb/holders/dm-1/dm/uuid", "mpath-3600140500000000000000000000000000\n");
        made.file(`etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`, "# END RECORD\n");
        if (used) made.process(7, "postgres", "dev/dm-1");
        expect(made.run(takeDown(ISCSI, { made: true }).text, USED)).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "sys/class/iscsi_session/session1"))).toBe(used);
        expect(existsSync(join(made.root, `etc/iscsi/nodes/${TARGET}`))).toBe(false);
    });

    test("one that leads to ours alone is logged out from, and open-iscsi deletes the record", () => {
        made.session();
        made.file(`etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`, "# END RECORD\n");
        expect(made.run(takeDown(ISCSI).text, USED)).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "sys/class/iscsi_session/session1"))).toBe(false);
        expect(existsSync(join(made.root, `etc/iscsi/nodes/${TARGET}`))).toBe(false);
    });

    test("one that ends for other credentials leaves the record, with what somebody has set there; not a torn one", () => {
        const record = `etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`;
        const kept = "node.session.timeo.replacement_timeout = 600\n# END RECORD\n";
        const portals = ["10.0.0.5:3260"];
        const away = takeDown(ISCSI, { only: portals, recorded: portals }).text;
        made.session();
        made.file(record, kept);
        expect(made.run(away, USED)).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, "sys/class/iscsi_session/session1"))).toBe(false);
        expect(read(record)).toBe(kept);
        made.file(record, "node.session.timeo");
        expect(made.run(away, USED)).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(join(made.root, record))).toBe(false);
    });

    const went = (name: string) => read(`sys/class/nvme/${name}/delete_controller`) === "1\n";

    test("somebody else's controllers stay", () => {
        for (const name of ["nvme0", "nvme1", "nvme2"]) made.controller({}, "live", name);
        made.file("sys/class/nvme/nvme1/hostnqn", "nqn.2024-01.com.example:other\n");
        made.file("sys/class/nvme/nvme2/address", "traddr=10.0.0.5,trsvcid=4420,host_traddr=10.0.0.9\n");
        made.run(takeDown(NVME, { ignoreErrors: true }).text, STUCK);
        expect(["nvme0", "nvme1", "nvme2"].map(went)).toEqual([true, false, false]);
    });

    test.each([
        ["another", "nqn.2024-01.com.example:new\n"],
        ["none", ""],
    ])("ours go, where the client has %s name by now", (_, name) => {
        made.controller();
        made.file("etc/nvme/hostnqn", name);
        made.run(takeDown(NVME, { ignoreErrors: true }).text, STUCK);
        expect(went("nvme0")).toBe(true);
    });

    test("a controller that does not go: the same", () => {
        made.controller();
        const refused = made.run(takeDown(NVME).text, STUCK);
        expect(refused.status).toBe(1);
        expect(refused.stderr).toContain("nvme0 does not go");
        const passed = made.run(takeDown(NVME, { ignoreErrors: true }).text, STUCK);
        expect(passed).toMatchObject({ status: 0, stderr: "passed over: nvme0 does not go\n" });
    });
});

test.each<[string, ...string[]]>([["dash"], ["bash", "--posix"], ["busybox", "sh"]])(
    "detaching, in %s",
    (...shell) => {
        const its = new Made(shell);
        its.file("proc/net/unix", LISTENS);
        its.partitioned();
        its.controller();
        its.namespace();
        its.process(7, "postgres", "dev/dm-2");
        its.process(8, "mysqld", "dev/nvme0n1");
        const commands = `dd() { :; }
blockdev() { :; }
multipath() { :; }
sleep() { command sleep 0.001; }
iscsiadm() { rm -r $R/sys/class/iscsi_session; }`;
        const run = (script: { text: string }) => its.run(script.text, commands);
        expect(run(refuseUsers(ISCSI)).stderr).toBe("in-use: /dev/dm-2 is open by postgres (process 7)\n");
        expect(run(refuseUsers(NVME)).stderr).toBe("in-use: /dev/nvme0n1 is open by mysqld (process 8)\n");
        for (const script of [flush(ISCSI, false), flush(NVME, false), takeDown(ISCSI)])
            expect(run(script)).toMatchObject({ status: 0, stderr: "" });
        expect(run(takeDown(NVME)).stderr).toBe("nvme0 does not go\n");
        its.remove();
    },
);

describe("what the client's kernel says to a connection", () => {
    const [FIRST, SECOND] = ["10.0.0.6:4420", "10.0.0.7:4420"];
    const EIO = "dd: error writing '/dev/nvme-fabrics': Input/output error";
    const EINVAL = "dd: error writing '/dev/nvme-fabrics': Invalid argument";
    /** Of two portals, the first is answered so. */
    const login = (words: string, paths: Declared["paths"], stage = "login") => {
        made.controller();
        rmSync(join(made.root, "sys/class/nvme/nvme0"), { recursive: true });
        const dd = `dd() { [ "$LC_ALL" = C ] || exit 9
    case $(cat) in *traddr=10.0.0.6,*) echo 6 >> "$R/asked"; echo "${words}"; return 1 ;; *) echo 7 >> "$R/asked" ;; esac
}`;
        const two = { ...NVME, portals: [FIRST, SECOND], paths };
        return made.run(body(two, {}, 0, "/nonexistent").text, dd, stage);
    };

    test.each([
        [
            "a status of the target's",
            EIO,
            "auth",
            `auth: ${FIRST} refuses nqn.2014-08.org.nvmexpress:uuid:1, or does not know ${NQN} (${EIO})\n`,
        ],
        [
            "no to its parameters",
            EINVAL,
            "invalid",
            `parameters: the client's kernel does not take those of ${FIRST} (${EINVAL})\n`,
        ],
        ["something else", "timed out", "unreachable", `unreachable: ${FIRST} (timed out)\n`],
    ])("%s is told as what it is, and the other portal is tried all the same", (_, words, code, said) => {
        const all = login(words, "all");
        expect(all).toMatchObject({ status: 1, stderr: said });
        expect(explain(all.stderr)?.code).toBe(code);
        expect(read("asked")).toBe("6\n7\n");
    });

    test.each([EIO, EINVAL])("of one path, the next portal does: %s", (words) => {
        expect(login(words, "one").status).toBe(0);
        expect(read("asked")).toBe("6\n7\n");
    });

    test.each([EIO, EINVAL])("at boot, the other path is set up, and it is tried again: %s", (words) => {
        made.namespace();
        made.controller({}, "live", "nvme1");
        made.file("sys/class/nvme/nvme1/address", "traddr=10.0.0.7,trsvcid=4420\n");
        made.file("run/boot-file", "#!/bin/sh\n# Attachment\n#bh mark\n#bh applied 0\n");
        expect(login(words, "all", "all").status).toBe(1);
        expect(read("asked")).toBe("6\n");
    });

    test("a target that is gone: what to do", () => {
        expect(explain(login(EIO, "all").stderr)?.hint).toMatch(
            /the export is gone: `pulumi refresh` of its stack; /,
        );
    });
});

describe.each([
    ["iscsi_tcp", ISCSI],
    ["nvme_tcp", NVME],
] as const)("the module %s", (module, declared) => {
    const login = (modprobe: string) => {
        made.file("proc/net/unix", LISTENS);
        const functions = `modprobe() { echo "$*" >> "$R/loaded"; ${modprobe}; }
iscsiadm() { echo "$*" >> "$R/asked"; return 8; }
timeout() { shift; "$@"; }
dd() { echo timed out; : > "$R/asked"; return 1; }`;
        return made.run(body(declared, {}, 0, "/nonexistent").text, functions, "login");
    };
    beforeEach(() => {
        made.controller();
        rmSync(join(made.root, "sys/class/nvme"), { recursive: true });
        made.file("etc/iscsi/nodes/.keep");
    });

    test("is named where it cannot be loaded, with where it comes from, and nobody is asked for anything", () => {
        rmSync(join(made.root, "sys/module", module), { recursive: true });
        const { status, stderr } = login("return 1");
        expect(status).toBe(1);
        const told = explain(stderr);
        expect(told?.code).toBe("unsupported");
        expect(told?.summary).toContain(module);
        expect(told?.hint).toContain(`modprobe ${module}`);
        expect(told?.hint).toContain(KERNEL_PACKAGES);
        expect(existsSync(join(made.root, "asked"))).toBe(false);
    });

    test("is loaded where it is not", () => {
        rmSync(join(made.root, "sys/module", module), { recursive: true });
        expect(login(":").stderr).not.toContain("module:");
        expect(existsSync(join(made.root, "asked"))).toBe(true);
        expect(read("loaded")).toBe(`${module}\n`);
    });

    test("is not asked for where it is there", () => {
        expect(login("return 1").stderr).not.toContain("module:");
        expect(existsSync(join(made.root, "asked"))).toBe(true);
        expect(existsSync(join(made.root, "loaded"))).toBe(false);
    });
});

test("a client whose name for NVMe has gone is told how to get one, and of no module", () => {
    made.controller();
    rmSync(join(made.root, "etc/nvme/hostid"));
    const { stderr } = made.run(body(NVME, {}, 0, "/nonexistent").text, "", "login");
    expect(explain(stderr)).toMatchObject({
        code: "unsupported",
        summary: "the client has no host name or host ID for NVMe",
    });
    expect(explain(stderr)?.hint).toContain("nvme gen-hostnqn > /etc/nvme/hostnqn");
});

describe("another device than the export's", () => {
    const context = () => ({
        facts: parseClient(
            "iqn iqn.2024-01.com.example:db1\nnqn nqn.2014-08.org.nvmexpress:uuid:1\nhostid 1\nnative Y\nunit installed",
        ),
        stateDirectory: "/var/lib/blockhost",
        tools: new Set(["iscsiadm", "udevadm", "blockdev"]),
        reserved: new Set<string>(),
    });
    const mark = {
        kind: "attachment" as const,
        owner: {
            installation: "default",
            organization: "acme",
            project: "shop",
            stack: "prod",
            resource: "pg",
        },
        generation: "0123456789abcdef",
        phase: "ready" as const,
        extra: {},
    };
    const COMMON = `udevadm() { :; }
sync() { :; }
systemctl() { :; }
sleep() { :; }
`;
    const steps = (connection: Parameters<typeof readConnection>[0]) =>
        attach(context(), { name: "pg", mark, connection: readConnection(connection), multipath: "none" })
            .steps;

    /** As a run does it: each in a subshell, until one fails. */
    function all(connection: Parameters<typeof readConnection>[0], functions: string) {
        const text = steps(connection)
            .map(({ script }) => `(\n${script.text}\n) </dev/null || exit`)
            .join("\n");
        // The boot file is a process of its own, which knows no functions of this shell.
        const inner = `sh() { f=$1; shift; ( . "$f" ); }\n`;
        return made.run(text, `${COMMON}${inner}${functions}`);
    }

    test("iSCSI, by its serial number: refused, and nothing stays", () => {
        made.file("proc/net/unix", LISTENS);
        made.file("etc/iscsi/nodes/.keep");
        const other = new Made();
        other.session(1, "sda", { serial: "another" });
        const iscsiadm = `iscsiadm() {
    case "$*" in
        *'-o new'*) mkdir -p $R/etc/iscsi/nodes/${TARGET} && printf '%s\\n' 'node.name = x' 'node.startup = manual' '# END RECORD' > $R/etc/iscsi/nodes/${TARGET}/10.0.0.5,3260 ;;
        *--login*) cp -r ${other.root}/. $R/ ;;
        *--logout*) rm -r $R/sys/class/iscsi_session/session1 ;;
        *'-o delete'*) rm -r $R/etc/iscsi/nodes/${TARGET} ;;
    esac
}`;
        const { status, stderr } = all(
            {
                driver_volume_type: "iscsi",
                data: { target_iqn: TARGET, target_portal: "10.0.0.5:3260", target_lun: 0, serial: SERIAL },
            },
            iscsiadm,
        );
        expect(stderr).toContain(`identity: /dev/sda has the serial number another, not ${SERIAL}`);
        expect(status).not.toBe(0);
        expect(explain(stderr)?.code).toBe("not-found");
        expect(existsSync(join(made.root, "sys/class/iscsi_session/session1"))).toBe(false);
        expect(existsSync(join(made.root, `etc/iscsi/nodes/${TARGET}`))).toBe(false);
        expect(existsSync(join(made.root, "var/lib/blockhost/attachments"))).toBe(false);
        other.remove();
    });

    test.each([
        ["nothing stays", false],
        ["what somebody has by then stays, with its boot file", true],
    ])("NVMe, by its UUID: refused, and %s", (_, used) => {
        made.controller();
        made.namespace("other");
        if (used) made.file("proc/7/mountinfo", "30 1 259:1 / /srv rw - ext4 x rw\n");
        const away = `mv $R/sys/class/nvme/nvme0 $R/nvme0; mv $R/sys/block/nvme0n1 $R/nvme0n1
dd() { mv $R/nvme0 $R/sys/class/nvme/nvme0; mv $R/nvme0n1 $R/sys/block/nvme0n1; }
sleep() { [ ! -s $R/sys/class/nvme/nvme0/delete_controller ] || rm -r $R/sys/class/nvme/nvme0 $R/sys/block/nvme0n1; }`;
        const { status, stderr } = all(
            {
                driver_volume_type: "nvmeof",
                data: { target_nqn: NQN, portals: [["10.0.0.5", "4420", "tcp"]], ns_id: 1, vol_uuid: UUID },
            },
            away,
        );
        expect(stderr).toContain(`identity: /dev/nvme0n1 is namespace other, not ${UUID}`);
        expect(status).not.toBe(0);
        expect(explain(stderr)?.code).toBe("not-found");
        expect(stderr.includes("stays for the next run, being in use: /dev/nvme0n1 is mounted at /srv")).toBe(
            used,
        );
        expect(existsSync(join(made.root, "sys/class/nvme/nvme0"))).toBe(used);
        expect(existsSync(join(made.root, "var/lib/blockhost/attachments/pg"))).toBe(used);
        if (!used) expect(existsSync(join(made.root, "var/lib/blockhost/attachments"))).toBe(false);
    });
});

describe("a path that is down", () => {
    const two = { ...NVME, portals: ["10.0.0.5:4420", "10.0.0.6:4420"], paths: "all" as const };
    const device = (size: number, functions: string, stage = "device") =>
        made.run(body(two, {}, size, "/run/boot-file").text, `udevadm() { :; }\n${functions}`, stage);
    const AT = "$R/sys/class/nvme/nvme1/state";
    beforeEach(() => {
        made.controller();
        made.controller({}, "connecting", "nvme1");
        made.file("sys/class/nvme/nvme1/address", "traddr=10.0.0.6,trsvcid=4420\n");
        made.namespace();
    });

    test("is waited for", () => {
        const after = `n_slept=0; sleep() { n_slept=$((n_slept + 1)); [ "$n_slept" -lt 200 ] || echo live > ${AT}; }`;
        expect(device(0, after)).toMatchObject({ status: 0, stderr: "" });
        expect(read("sys/class/nvme/nvme1/state")).toBe("live\n");
    });

    test("and told, when the device has grown by the other", () => {
        const functions = `sleep() { [ ! -s "$R/sys/class/nvme/nvme0/rescan_controller" ] || echo 262144 > "$R/sys/class/block/nvme0n1/size"; }`;
        const { status, stderr } = device(262144 * 512, functions);
        expect({ status, stderr }).toEqual({
            status: 1,
            stderr: "unreachable: 10.0.0.6:4420 (the client goes on trying)\n",
        });
        expect(explain(stderr)?.code).toBe("unreachable");
        expect(read("sys/class/block/nvme0n1/size")).toBe("262144\n");
    });

    test("is told, and not a device that is missing, where there is no other", () => {
        made.file("sys/class/nvme/nvme0/state", "connecting\n");
        const text = body(two, {}, 0, "/run/boot-file").text.replace("patience=900", "patience=9");
        const { status, stderr } = made.run(text, "udevadm() { :; }\nsleep() { :; }", "device");
        expect({ status, stderr }).toEqual({
            status: 1,
            stderr: "unreachable: 10.0.0.5:4420 10.0.0.6:4420 (the client goes on trying)\n",
        });
    });

    test("keeps nobody waiting at boot", () => {
        made.file("run/boot-file", "#!/bin/sh\n# Attachment\n#bh mark\n#bh applied 0\n");
        expect(device(0, "sleep() { echo waited >&2; }", "all")).toMatchObject({ status: 0, stderr: "" });
        expect(read("run/boot-file")).toContain("applied 1");
    });
});

describe("open-iscsi's name of the client", () => {
    test.each([
        ["the name", "InitiatorName=iqn.2024-01.com.example:db1\n", "iqn.2024-01.com.example:db1"],
        ["no value", "InitiatorName=\n", undefined],
        ["blanks", "InitiatorName=  \n", undefined],
        ["a comment", "# InitiatorName=iqn.2024-01.com.example:x\n", undefined],
        [
            "an empty one first",
            "InitiatorName=\nInitiatorName=iqn.2024-01.com.example:db1\n",
            "iqn.2024-01.com.example:db1",
        ],
        [
            "two: the first, as iscsid has it",
            "InitiatorName=iqn.2024-01.com.example:a\nInitiatorName=iqn.2024-01.com.example:b\n",
            "iqn.2024-01.com.example:a",
        ],
        ["blanks around", " InitiatorName = iqn.2024-01.com.example:db1 \n", "iqn.2024-01.com.example:db1"],
    ])("%s", (_, text, name) => {
        made.file("etc/iscsi/initiatorname.iscsi", text);
        expect(parseClient(made.run(observeClient("/var/lib/blockhost").text).stdout).iqn).toBe(name);
    });
});
