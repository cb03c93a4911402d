import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { HostStatus } from "../../provider/cli/hostStatus";
import { callFunction } from "../../provider/resources/functions/types";
import { functions } from "../../provider/resources/functions";
import { volume } from "../../provider/resources/volume";
import { blockhost } from "../support/command";
import { Client, HOST, MiB, POOL, id, refused, volumeInputs } from "../support/client";
import { type Lab, startLab } from "./lab.mjs";
import { CLEAN } from "./poolLab";

/** LVM as hosts have it: layouts, filters, what others have made, what is missing, what crashes. */

vi.setConfig({ testTimeout: 1_200_000 });

const GROUP = "vgpool";
let lab: Lab;
let host: ReturnType<Lab["host"]>;
let folder: string;
const opened: Client[] = [];

beforeAll(async () => {
    lab = await startLab({ hosts: ["a"] });
    host = lab.host("a");
    folder = mkdtempSync(join(tmpdir(), "blockhost-lvm-"));
});
afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await lab.stop();
});
beforeEach(async () => {
    await host.run(CLEAN);
});
afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
});

const output = async (script: string) =>
    (await host.run(`export LVM_SUPPRESS_FD_WARNINGS=1\n${script}`)).stdout.trim();
const disks = (...numbers: readonly number[]) =>
    numbers.map((number) => host.diskPath(`disk${String(number)}`)).join(" ");
/** The group anew, of those disks. */
const group = (...numbers: readonly number[]) => output(`vgcreate -q ${GROUP} ${disks(...numbers)}`);
const lv = (fields: string, name: string) =>
    output(`lvs --noheadings --separator , -o ${fields} ${GROUP}/${name} | tr -d ' '`);

const configurationOf = (options: Readonly<Record<string, unknown>>) =>
    host.configuration({ pools: { [POOL]: { driver: "lvm", volumeGroup: GROUP, ...options } } });

/** A new process of the provider with a pool in the group. */
function another(options: Readonly<Record<string, unknown>> = {}): Client {
    const client = new Client({ configuration: () => configurationOf(options) });
    opened.push(client);
    return client;
}

async function expectNoChange(
    state: Awaited<ReturnType<Client["volume"]>>,
    options: Readonly<Record<string, unknown>>,
): Promise<void> {
    const fresh = another(options);
    expect(await fresh.read(state)).toEqual(state);
    expect(await volume.diff(fresh.context, state, volumeInputs(state))).toEqual([]);
}

describe("a pool's layout", () => {
    test.each([
        [{ raid: "raid1" }, "raid1,2", 2],
        [{ raid: "raid10", stripes: 2 }, "raid10,4", 4],
        [{ stripes: 2 }, "striped,2", 2],
    ] as const)("%o: created, grown, snapshot, deleted", async (options, layout, members) => {
        await group(...[1, 2, 3, 4].slice(0, members));
        const client = another(options);
        const made = await client.volume("data", { size: "32MiB" });
        expect(await lv("segtype,stripes", "data")).toBe(layout);
        await host.run(`printf before > ${made.path}`);
        await expectNoChange(made, options);
        const grown = await client.change(made, { size: "64MiB" });
        expect(grown.sizeBytes).toBe(64 * MiB);
        expect(await lv("segtype,stripes", "data")).toBe(layout);
        const kept = await client.snapshot("kept", "data");
        expect(await output(`head -c 6 /dev/${GROUP}/kept`)).toBe("before");
        await client.delete(kept);
        await client.delete(grown);
        expect(await output(`lvs -a --noheadings ${GROUP}`)).toBe("");
    });

    test("that the disks cannot have is refused for want of room, and nothing is left", async () => {
        await group(1);
        const error = await refused(another({ raid: "raid1" }).volume("data"), "no-space");
        expect(error.details.hint).toContain("several disks");
        expect(await output(`lvs -a --noheadings ${GROUP}`)).toBe("");
    });
});

describe("the device filter", () => {
    test("keeps LVM from the group, and is named then", async () => {
        await group(1);
        const error = await refused(another({ deviceFilter: ["r|.*|"] }).volume("data"), "not-found");
        expect(error.message).toContain(GROUP);
        expect(error.details.hint).toContain("deviceFilter");
        const own = another({ deviceFilter: ["a|^/dev/sd|", "r|.*|"] });
        await own.delete(await own.volume("data"));
    });

    test("by default nothing is looked for in volumes: a guest's group is not seen", async () => {
        await group(1);
        const client = another();
        const made = await client.volume("guest", { size: "64MiB" });
        const inside = `devices { scan_lvs=1 filter=["a|^${made.path}$|","r|.*|"] }`;
        await output(`pvcreate -q --config '${inside}' ${made.path}
vgcreate -q --config '${inside}' inner ${made.path}`);
        await expectNoChange(made, {});
        const error = await refused(another({ volumeGroup: "inner" }).volume("data"), "not-found");
        expect(error.details.hint).toContain(`volume groups there: ${GROUP}`);
        const lent = await client.change(made, { onDelete: "retain" });
        await client.delete(lent);
        const again = await client.volume("guest", { adopt: "guest" });
        await client.delete(again);
        expect(await output(`lvs -a --noheadings ${GROUP}`)).toBe("");
    });
});

// Volumes of the thin pool are another pool's, and not listed.
test("what can be adopted is listed, and why the rest cannot", async () => {
    await output(`vgcreate -q ${GROUP} ${disks(1, 2)}
lvcreate -q -L 16m -n plain ${GROUP}
lvcreate -q -L 16m -n used ${GROUP}; mkfs.ext4 -q /dev/${GROUP}/used; mkdir -p /mnt/used; mount /dev/${GROUP}/used /mnt/used
lvcreate -q -L 16m -n down ${GROUP}; lvchange -q -an ${GROUP}/down
lvcreate -q -L 16m -n origin ${GROUP}; lvcreate -q -s -L 8m -n photo ${GROUP}/origin
lvcreate -q --type raid1 -m 1 -L 16m -n mirror ${GROUP}
lvcreate -q -T -L 64m -n thin ${GROUP}; lvcreate -q -T ${GROUP}/thin -V 32m -n inthin`);
    const client = another();
    await client.volume("ours");
    const manageable = functions["getManageable"];
    if (manageable === undefined) throw new Error("no getManageable");
    const found = await callFunction(client.context, manageable, { host: HOST, pool: POOL });
    const { items } = found as {
        items: { reference: string; reasonNotSafe: string; kind: string; safeToManage: boolean }[];
    };
    expect(items.every((one) => one.safeToManage === (one.reasonNotSafe === ""))).toBe(true);
    const reasons = Object.fromEntries(
        items.map(({ reference, reasonNotSafe }) => [reference, reasonNotSafe]),
    );
    expect(reasons).toEqual({
        down: "",
        mirror: "",
        origin: "",
        ours: "already managed",
        photo: "",
        plain: "",
        used: "it is open on the host",
    });
    expect(items.find(({ reference }) => reference === "photo")?.kind).toBe("snapshot");
    const error = await refused(client.volume("mine", { adopt: "used" }), "in-use");
    expect(error.message).toContain("open");
    const mine = await client.volume("mine", { adopt: "down", onDelete: "retain" });
    expect(await lv("lv_active", "mine")).toBe("active");
    await client.delete(mine);
    expect(await lv("lv_tags", "mine")).toBe("");
});

describe("a volume that somebody uses", () => {
    test.each([
        [
            "mounted",
            "mkfs.ext4 -q $lv; mkdir -p /mnt/x; mount $lv /mnt/x",
            "umount /mnt/x",
            "mounted at /mnt/x",
        ],
        [
            "under multipath or anything else of device mapper",
            `dmsetup create taken --table "0 8192 linear $lv 0"`,
            "dmsetup remove taken",
            "held by dm-",
        ],
    ])(
        "%s is not deleted, nor goes back, nor is wiped, and it is said by what",
        async (_, take, leave, words) => {
            await group(1);
            const client = another();
            const made = await client.volume("data", { size: "16MiB" });
            await client.snapshot("kept", "data");
            await host.run(`lv=${made.path}; ${take}`);
            const other = another();
            const reverting = other.change(made, {
                revertTo: { snapshot: id("kept"), token: "1" },
                allow: ["data-loss"],
            });
            expect((await refused(reverting, "in-use")).message).toContain(words);
            await host.run(leave);
            const bare = another();
            await bare.delete(await bare.snapshot("kept", "data"));
            await host.run(`lv=${made.path}; ${take}`);
            expect((await refused(another().delete(made), "in-use")).message).toContain(words);
            expect(await lv("lv_active", "data")).toBe("active");
            await host.run(leave);
            await another().delete(made);
            expect(await output(`lvs -a --noheadings ${GROUP}`)).toBe("");
        },
    );
});

describe("a host that lacks", () => {
    test("a module of device mapper is told which, before anything is left", async () => {
        await group(1);
        const client = another();
        const made = await client.volume("data");
        await host.run(`rmmod dm_snapshot 2>/dev/null
echo 'install dm_snapshot /bin/false' > /etc/modprobe.d/lab.conf`);
        try {
            const error = await refused(client.snapshot("kept", "data"), "unsupported");
            expect(error.details.hint).toContain("dm_snapshot");
        } finally {
            await host.run("rm /etc/modprobe.d/lab.conf");
        }
        await client.delete(await another().snapshot("kept", "data"));
        await client.delete(made);
        expect(await output(`lvs -a --noheadings ${GROUP}`)).toBe("");
    });

    test("lvm2 is told the package", async () => {
        await host.run("mv /usr/sbin/lvm /usr/sbin/lvm.away");
        try {
            const error = await refused(another().volume("data"), "unsupported");
            expect(`${error.message} ${String(error.details.hint)}`).toContain("lvm2");
        } finally {
            await host.run("mv /usr/sbin/lvm.away /usr/sbin/lvm");
        }
    });
});

describe("LVM that crashes", () => {
    const OWN = "/usr/local/bin/lvm";
    afterEach(async () => {
        await host.run(`rm -f ${OWN} /run/lvm-crashes`);
    });
    const wrapped = (script: string) =>
        host.run(`cat > ${OWN} <<'X'\n#!/bin/sh\n${script}\nX\nchmod +x ${OWN}`);
    const names = ["v1", "v2", "v3", "v4", "v5"];

    /** Makes five at once, then deletes them: nothing of them may be left. */
    async function fiveComeAndGo(): Promise<void> {
        const client = another();
        const all = await Promise.all(names.map((name) => client.volume(name)));
        for (const made of all) await expectNoChange(made, {});
        await Promise.all(all.map((made) => client.delete(made)));
        expect(await output(`lvs -a --noheadings ${GROUP}; pgrep -x lvm || :`)).toBe("");
    }

    test("at its start (exit status 139) is started again", async () => {
        await group(1);
        await wrapped(`read -r n 2>/dev/null < /run/lvm-crashes || n=0
if [ "$n" -gt 0 ]; then echo $((n - 1)) > /run/lvm-crashes; kill -SEGV $$; fi
exec /usr/sbin/lvm "$@"`);
        await host.run("echo 3 > /run/lvm-crashes");
        await fiveComeAndGo();
        expect(await output("cat /run/lvm-crashes")).toBe("0");
        await host.run("echo 2 > /run/lvm-crashes");
        const made = await another().pool({ adopt: true, onDelete: "retain" });
        expect(await output("cat /run/lvm-crashes")).toBe("0");
        await another().delete(made);
    });

    test("with commands still to come is done without", async () => {
        await group(1);
        await wrapped(`[ $# = 0 ] || exec /usr/sbin/lvm "$@"\nsed -u 3q | /usr/sbin/lvm`);
        await fiveComeAndGo();
    });

    test("in the midst of anything leaves what the next update finishes", async () => {
        await group(1);
        const killing = host.run("for i in 1 2 3 4 5 6 7 8 9; do sleep 0.7; pkill -KILL -x lvm; done; :");
        const client = another();
        await Promise.allSettled(names.map((name) => client.volume(name)));
        await killing;
        await fiveComeAndGo();
    });
});

describe("the command", () => {
    test("tells how a pool made here is, takes off the host what is ours, and leaves the data", async () => {
        const thin = { thinPool: "pool0" };
        const client = another(thin);
        const fast = await client.pool({ disks: [host.diskPath("disk1")] });
        const data = await client.volume("data");
        await host.run(`printf kept > ${data.path}; sync`);
        const hosts = { [HOST]: configurationOf(thin) };
        const { status, stdout } = await blockhost(folder, hosts, ["status", "--json"]);
        const { level, hosts: seen } = JSON.parse(stdout) as { level: string; hosts: HostStatus[] };
        expect({ status, level }).toEqual({ status: 0, level: "ok" });
        expect(seen[0]?.pools).toMatchObject([{ level: "ok" }]);
        await host.run(`lvchange -q -an ${GROUP}/data`);
        const down = await blockhost(folder, hosts, ["status"]);
        expect(down.status).not.toBe(0);
        expect(down.stdout).toContain("data");
        await host.run(`lvchange -q -ay -K ${GROUP}/data`);

        const asked = await blockhost(folder, hosts, ["uninstall", HOST]);
        expect(asked.status).toBe(1);
        expect(asked.stdout).toContain("/var/lib/blockhost");
        const gone = await blockhost(folder, hosts, ["uninstall", HOST, "--marks", "--force", "--yes"]);
        expect(gone.stderr).toBe("");
        expect(gone.status).toBe(0);
        expect(
            await output("ls -d /var/lib/blockhost /etc/systemd/system/blockhost-* 2>/dev/null || :"),
        ).toBe("");
        expect(await lv("lv_tags", "data")).toBe("");
        // The thin pool goes by its profile still, so that stays.
        expect(await output("ls /etc/lvm/profile | grep -c blockhost-")).toBe("1");
        expect(await output(`head -c 4 ${data.path}`)).toBe("kept");
        expect(fast.thinPool).toBeDefined();
    });
});
