import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { pool } from "../../provider/resources/pool";
import { volume } from "../../provider/resources/volume";
import { CLEAN, GiB, HOST, PoolClient, labOfOne } from "./poolLab";
import { poolInputs, refused } from "../support/client";

/** Pools made from disks, on a real host. */

vi.setConfig({ testTimeout: 1_200_000 });

let stop: () => Promise<void>;
let host: ReturnType<Awaited<ReturnType<typeof labOfOne>>["lab"]["host"]>;
const opened: PoolClient[] = [];

beforeAll(async () => {
    const started = await labOfOne();
    stop = started.stop;
    host = started.lab.host("a");
});
afterAll(() => stop());
beforeEach(async () => {
    await host.run(CLEAN);
});
afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
});

function another(options: ConstructorParameters<typeof PoolClient>[1] = {}): PoolClient {
    const one = new PoolClient(host, options);
    opened.push(one);
    return one;
}
const disk = (number: number) => host.diskPath(`disk${String(number)}`);
const output = async (script: string) => (await host.run(script)).stdout.trim();
const signatures = (number: number) => output(`wipefs -n -i -O TYPE ${disk(number)}`);
const lv = (fields: string, name: string) =>
    output(`lvs --noheadings --units b --nosuffix --separator , -o ${fields} ${name} | tr -d ' '`);

/** What a whole new process would do to make it so: nothing. */
async function expectNoChange(state: Awaited<ReturnType<PoolClient["make"]>>): Promise<void> {
    const fresh = another();
    expect(await fresh.read(state)).toEqual(state);
    expect(await pool.diff(fresh.context, state, poolInputs(state))).toEqual([]);
    await fresh.close();
}

describe("a pool", () => {
    test("is made of empty disks; volumes go into it in the same run; deleted, the disks are as new", async () => {
        const client = another();
        const made = await client.make({ disks: [disk(1), disk(2)] });
        expect(Object.keys(made.members).sort()).toEqual([disk(1), disk(2)].sort());
        expect(made.sizeBytes).toBeGreaterThan(7.9 * GiB);
        expect(made.drift).toBeUndefined();
        // Room for the spare of the metadata and for one extension by a fifth.
        const { sizeBytes = 0, metadataBytes = 0 } = made.thinPool ?? {};
        expect(metadataBytes).toBe(16 * 1024 ** 2);
        expect(sizeBytes * 1.2 + 2 * metadataBytes * 1.2).toBeLessThanOrEqual(made.sizeBytes);
        expect(sizeBytes).toBeGreaterThan(0.8 * made.sizeBytes);
        expect(await lv("lv_when_full,lv_profile,seg_monitor", "vgpool/pool0")).toBe(
            "queue,blockhost-extend-80-20,monitored",
        );
        const data = await client.volume("data");
        expect(data.path).toBe("/dev/vgpool/data");
        await expectNoChange(made);
        const again = another();
        expect((await pool.create(again.context, again.args({ disks: [disk(1), disk(2)] }))).state).toEqual(
            made,
        );

        const inUse = await refused(client.delete(made), "in-use");
        expect(inUse.message).toContain("data");
        await client.deleteVolume(data);
        await host.run("lvcreate -q -L 8m -n others vgpool");
        const foreign = await refused(another().delete(made), "in-use");
        expect(foreign.message).toContain("others");
        await host.run("lvremove -q -y vgpool/others");
        const last = another();
        await last.delete(made);
        await last.delete(made);
        expect(await last.read(made)).toBeUndefined();
        expect(await signatures(1)).toBe("");
        expect(await signatures(2)).toBe("");
        expect(
            await output("vgs --noheadings; pvs --noheadings; ls /etc/lvm/profile | grep blockhost || :"),
        ).toBe("");
    });

    test("is awaited by what goes into it: a preview of both says nothing against the volume", async () => {
        const client = another();
        const { failures } = await pool.check(client.context, undefined, {
            ...client.args({ disks: [disk(1)] }),
        });
        expect(failures).toEqual([]);
        const inputs = { host: HOST, pool: "fast", name: "data", size: "1GiB", owner: client.owner("data") };
        expect((await volume.check(client.context, undefined, inputs)).failures).toEqual([]);
        // Without the pool in the program, it is missing.
        const alone = another();
        expect((await volume.check(alone.context, undefined, inputs)).failures).not.toEqual([]);
    });

    test("of thick volumes is a volume group", async () => {
        const client = another();
        const made = await client.make({ name: "bulk", disks: [disk(1)] });
        expect(made.thinPool).toBeUndefined();
        await client.deleteVolume(await client.volume("data", { pool: "bulk" }));
        const { failures } = await pool.check(client.context, undefined, {
            ...client.args({ name: "bulk", disks: [disk(2)], whenFull: "error" }),
        });
        expect(failures).toMatchObject([{ property: "whenFull" }]);
        await client.delete(made);
        expect(await signatures(1)).toBe("");
    });

    test("of another stack, or nobody's, is left alone", async () => {
        const made = await another().make({ disks: [disk(1)] });
        const other = another({ stack: "other" });
        await refused(pool.create(other.context, other.args({ disks: [disk(1)] })), "not-ours");
        await refused(other.delete({ ...made, owner: other.owner("fast") }), "not-ours");
        await host.run("vgcreate -q vgbulk " + disk(2));
        const client = another();
        const error = await refused(
            pool.create(client.context, client.args({ name: "bulk", disks: [disk(2)] })),
            "not-ours",
        );
        expect(error.details.hint).toContain("adopt");
    });
});

describe("disks", () => {
    const problems = async (more: Parameters<PoolClient["args"]>[0]) => {
        const client = another();
        const { failures } = await pool.check(client.context, undefined, { ...client.args(more) });
        expect(client.warnings).toEqual([]);
        return failures;
    };

    test("that carry anything are refused, unless just that is named", async () => {
        await host.run(`set -e
            mkfs.xfs -q ${disk(1)}
            parted -s ${disk(2)} mklabel gpt mkpart p1 1MiB 100MiB
            udevadm settle
            mkfs.ext4 -q ${disk(2)}-part1
            mkswap ${disk(3)}`);
        const [xfs] = await problems({ disks: [disk(1)] });
        expect(xfs?.reason).toContain("xfs");
        const [gpt] = await problems({ disks: [disk(2)], overwrite: { [disk(2)]: ["gpt", "PMBR"] } });
        expect(gpt?.reason).toContain("ext4");
        const [swap] = await problems({ disks: [disk(3)], overwrite: { [disk(3)]: ["ext4"] } });
        expect(swap?.reason).toContain("swap");
        expect(await signatures(1)).toBe("xfs");
        const made = await another().make({
            disks: [disk(1), disk(2), disk(3)],
            overwrite: { [disk(1)]: ["xfs"], [disk(2)]: ["gpt", "PMBR", "ext4"], [disk(3)]: ["swap"] },
        });
        expect(Object.keys(made.members)).toHaveLength(3);
        expect(await signatures(2)).toBe("LVM2_member");
    });

    test("that somebody uses are refused, whatever is allowed", async () => {
        await host.run(`mkfs.ext4 -q ${disk(1)}; mkdir -p /mnt/x; mount ${disk(1)} /mnt/x
            vgcreate -q vgother ${disk(2)}`);
        const [mounted] = await problems({ disks: [disk(1)], overwrite: { [disk(1)]: ["ext4"] } });
        expect(mounted?.reason).toContain("/mnt/x");
        const [member] = await problems({ disks: [disk(2)], overwrite: { [disk(2)]: ["LVM2_member"] } });
        expect(member?.reason).toContain("vgother");
        await host.run(`umount /mnt/x; wipefs -q -a ${disk(1)}; vgremove -q vgother
            dmsetup create taken --table "0 2048 linear ${disk(1)} 0"`);
        const [held] = await problems({ disks: [disk(1)] });
        expect(held?.reason).toContain("taken");
        await host.run("dmsetup remove taken");
        // A label without a group is nobody's, and goes when it is named.
        expect(await problems({ disks: [disk(2)] })).toHaveLength(1);
        await another().make({ disks: [disk(2)], overwrite: { [disk(2)]: ["LVM2_member"] } });
    });

    test("without a name that stays are refused, with the names that do", async () => {
        const kernel = await output(`readlink -f ${disk(1)}`);
        const failures = await problems({ disks: [kernel, "/dev/nosuch", disk(2)] });
        expect(failures).toHaveLength(2);
        expect(failures[0]?.reason).toContain(disk(1));
        expect(failures[1]?.reason).toContain("there is no /dev/nosuch");
    });

    test("that are not there are refused", async () => {
        const [missing] = await problems({ disks: ["/dev/disk/by-id/nosuch"] });
        expect(missing?.reason).toContain("there is no disk");
    });
});

describe("a pool's disks", () => {
    test("are added, and taken off with their data moved", async () => {
        const client = another();
        const before = await client.make({ disks: [disk(1)], size: "512MiB" });
        const data = await client.volume("data");
        await host.run(`dd if=/dev/urandom of=${data.path} bs=1M count=32 oflag=direct status=none`);
        const sum = await output(`sha256sum < ${data.path}`);

        const full = await refused(
            client.change(before, { disks: [disk(2)], size: "3.5GiB" }),
            "no-space",
        ).catch(() => undefined);
        expect(full).toBeUndefined();
        const grown = await client.change(before, { disks: [disk(1), disk(2)] });
        expect(Object.keys(grown.members)).toHaveLength(2);
        expect(grown.sizeBytes).toBeGreaterThan(7.9 * GiB);
        await expectNoChange(grown);

        const moved = await client.change(grown, { disks: [disk(2)] });
        expect(Object.keys(moved.members)).toEqual([disk(2)]);
        expect(await signatures(1)).toBe("");
        expect(await output(`sha256sum < ${data.path}`)).toBe(sum);
        expect(client.progress.join("\n")).toMatch(/update pool "fast": \d+ %/);
        expect(await output("ls /var/lib/blockhost/units 2>/dev/null || :")).toBe("");
        await expectNoChange(moved);
    });

    test("without `size`, the thin pool grows with them", async () => {
        const client = another();
        const before = await client.make({ disks: [disk(1)] });
        const grown = await client.change(before, { disks: [disk(1), disk(2)] });
        expect(grown.thinPool?.sizeBytes).toBeGreaterThan(1.9 * (before.thinPool?.sizeBytes ?? 0));
        await expectNoChange(grown);
    });

    test("stay where the others have no room", async () => {
        const client = another();
        const made = await client.make({ disks: [disk(1), disk(2)] });
        const error = await refused(client.change(made, { disks: [disk(1)] }), "no-space");
        expect(error.message).toContain("free");
        expect(await output("pvs --noheadings -o pv_allocatable | sort -u | tr -d ' '")).toBe("allocatable");
    });
});

describe("guard rails", () => {
    test("that somebody changes are seen by a refresh and mended", async () => {
        const client = another();
        const made = await client.make({
            disks: [disk(1)],
            whenFull: "error",
            autoExtend: { threshold: 70, percent: 10 },
        });
        expect(await lv("lv_when_full,lv_profile,seg_monitor", "vgpool/pool0")).toBe(
            "error,blockhost-extend-70-10,monitored",
        );
        // Monitoring last: LVM turns it on with whatever else it changes.
        await host.run(`rm /etc/lvm/profile/blockhost-extend-70-10.profile
            lvchange -q --detachprofile vgpool/pool0; lvchange -q --errorwhenfull n vgpool/pool0
            lvchange -q --monitor n vgpool/pool0`);
        const fresh = another();
        const seen = await fresh.read(made);
        expect(seen?.drift).toHaveLength(4);
        const changes = await pool.diff(fresh.context, seen ?? made, poolInputs(made));
        expect(changes).toMatchObject([{ property: "drift", class: "none" }]);
        const mended = await pool.update(fresh.context, seen ?? made, poolInputs(made));
        expect(mended).toEqual(made);
        expect(await lv("lv_when_full,lv_profile,seg_monitor", "vgpool/pool0")).toBe(
            "error,blockhost-extend-70-10,monitored",
        );
        await expectNoChange(made);
    });

    test("extend the thin pool before it is full", async () => {
        const client = another();
        const made = await client.make({
            disks: [disk(1)],
            size: "128MiB",
            autoExtend: { threshold: 50, percent: 50 },
        });
        const data = await client.volume("data", { size: "120MiB" });
        await host.run(`dd if=/dev/urandom of=${data.path} bs=1M count=100 oflag=direct status=none
            for i in $(seq 60); do
                [ $(lvs --noheadings --units b --nosuffix -o lv_size vgpool/pool0) = 134217728 ] || break; sleep 1
            done`);
        const seen = await another().read(made);
        expect(seen?.thinPool?.sizeBytes).toBeGreaterThan(128 * 1024 ** 2);
        expect(seen?.drift).toBeUndefined();
    });
});

describe("a volume group that is there", () => {
    test("is adopted as it is, and released as it was", async () => {
        await host.run(`vgcreate -q vgpool ${disk(1)} ${disk(2)}; lvcreate -q -T -L 256m -n pool0 vgpool
            lvcreate -q -T vgpool/pool0 -V 64m -n theirs`);
        const state = "lvs -a --noheadings -o lv_name,lv_uuid,lv_size,lv_tags,lv_profile,lv_when_full vgpool";
        const before = await output(state);
        const client = another();
        const adopted = await client.make({ adopt: true });
        expect(await output(state)).toBe(before);
        expect(adopted.drift).toBeUndefined();
        await expectNoChange(adopted);
        const data = await client.volume("data");
        await refused(client.delete(adopted), "in-use");
        await client.deleteVolume(data);
        const kept = await client.change(adopted, { onDelete: "retain" });
        await client.delete(kept);
        expect(await output(state)).toBe(before);
        expect(await output("vgs --noheadings -o vg_tags vgpool")).toBe("");
    });

    test("is not adopted with other disks than it has, and keeps what is declared after", async () => {
        await host.run(`vgcreate -q vgpool ${disk(1)} ${disk(2)}; lvcreate -q -T -L 256m -n pool0 vgpool`);
        const client = another();
        await refused(pool.create(client.context, client.args({ adopt: true, disks: [disk(1)] })), "invalid");
        const adopted = await client.make({ adopt: true, disks: [disk(1), disk(2)] });
        const railed = await client.change(adopted, { whenFull: "error" });
        expect(await lv("lv_when_full,lv_profile", "vgpool/pool0")).toBe("error,");
        await expectNoChange(railed);
    });
});

describe("a pool that cannot be found", () => {
    test("is not taken for gone: renamed, taken away, or another one under its name", async () => {
        const made = await another().make({ disks: [disk(1), disk(2)] });
        await host.run("vgchange -q -an vgpool; vgrename -q vgpool vgelse");
        const renamed = await refused(another().read(made), "not-found");
        expect(renamed.message).toContain("vgelse");
        await host.run(`vgcreate -q vgpool ${disk(3)}`);
        const exchanged = await refused(another().read(made), "not-found");
        expect(exchanged.message).toContain(made.containerId);
        await refused(another().delete(made), "not-found");
        await host.run("vgremove -q vgpool; vgrename -q vgelse vgpool");
        await host.run("vgchange -q -ay vgpool");
        await expectNoChange(made);
    });

    test("nor with a disk pulled", async () => {
        const made = await another().make({ disks: [disk(3), disk(4)] });
        await host.run("vgchange -q -an vgpool");
        await host.pullDisk("disk4");
        try {
            const partial = await refused(another().read(made), "not-found");
            expect(partial.message).toContain("lacks");
            await refused(another().delete(made), "not-found");
            await host.pullDisk("disk3");
            const missing = await refused(another().read(made), "not-found");
            expect(missing.message).toContain(disk(3));
        } finally {
            for (const name of ["disk3", "disk4"]) if (!host.disks.includes(name)) await host.plugDisk(name);
        }
        await host.run("vgchange -q -ay vgpool");
        await expectNoChange(made);
    });

    test("and a thin pool that is gone is not made anew by itself", async () => {
        const client = another();
        const made = await client.make({ disks: [disk(1)] });
        await host.run("lvremove -q -y vgpool/pool0");
        const seen = await another().read(made);
        expect(seen?.drift?.join()).toContain("no thin pool");
        await refused(another().change(made, {}), "invalid");
        const anew = await another().change(made, { allow: ["data-loss"] });
        expect(anew.thinPool).toEqual(made.thinPool);
    });
});
