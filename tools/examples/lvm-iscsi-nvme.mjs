// @ts-check
export const lab = ["a", "c"];

export const secrets = {
    chap: "0c4e6b8a1d3f5a7c9e2b4d6f8a0c1e3b",
    mutualChap: "f1e2d3c4b5a697887766554433221100",
    nvme: "6d7f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7",
};

/** @param {Pick<import("../example.mjs").LabScene, "lab">} scene */
export function config({ lab }) {
    const [san1, db1] = [lab.host("a"), lab.host("c")];
    // As the README says: a user without rights of its own, but for `sudo` without a password.
    const user = { user: "storage", sudo: true };
    return {
        "blockhost:hosts": {
            san1: san1.configuration({
                ...user,
                pools: { fast: { driver: "lvm", volumeGroup: "fast", thinPool: "pool0" } },
                targets: {
                    iscsi: { helper: "lio", portals: san1.portals(3260) },
                    "nvme-tcp": { helper: "nvmet", portals: san1.portals(4420) },
                },
            }),
            db1: db1.configuration(user),
        },
        disks: ["disk1", "disk2"].map((disk) => san1.diskPath(disk)),
        dataSize: "1GiB",
        walSize: "64MiB",
    };
}

/** @param {import("../example.mjs").LabScene} scene */
export async function check({ lab, stack, heading, check }) {
    const [san1, db1] = [lab.host("a"), lab.host("c")];
    const { volumes, disks } = await stack.outputs();

    heading("what is written on db1 is on san1");
    for (const name of ["data", "wal"]) {
        const text = `written on db1 to ${name}`;
        await db1.run(
            `printf '%s' '${text}' | dd of=${disks[name]} bs=4096 conv=sync,fsync,notrunc status=none`,
        );
        const read = `dd if=${volumes[name]} bs=4096 count=1 iflag=direct status=none | tr -d '\\000'`;
        const { stdout } = await san1.run(read);
        check(`${name}: ${disks[name]} is ${volumes[name]}`, stdout === text, stdout);
    }

    heading("a file system on db1, whose volume grows while it is mounted");
    await db1.run(
        `mkfs.ext4 -q ${disks.data} && mkdir -p /srv/pg && mount ${disks.data} /srv/pg && echo here > /srv/pg/file`,
    );
    await stack.setConfig("dataSize", "2GiB");
    const { changes } = await stack.up();
    check("volume and attachment are updated in one run", changes["update"] === 2, changes);
    const { stdout } = await db1.run(
        `resize2fs ${disks.data} >/dev/null 2>&1; df -BM --output=size /srv/pg | tail -n 1`,
    );
    check("the file system takes the room, mounted", Number.parseInt(stdout) > 1900, stdout);

    heading("what is mounted is not taken away");
    const refused = await stack.destroy({ args: ["--target", "**Attachment::pg-data"], tolerate: true });
    check(
        "destroy is refused, and says where it is mounted",
        refused.status !== 0 && refused.output.includes("/srv/pg"),
    );
    const kept = await db1.run("cat /srv/pg/file");
    check("the data are still there", kept.stdout === "here\n", kept.stdout);

    heading("san1 loses its power, and comes back");
    await san1.powerOff();
    await san1.powerOn();
    await db1.run("sync -f /srv/pg && echo 3 > /proc/sys/vm/drop_caches");
    const back = await db1.run("cat /srv/pg/file && umount /srv/pg");
    check("db1 has its file system, as if nothing had been", back.stdout === "here\n", back.stdout);
    await db1.run(`dd if=${disks.wal} bs=4096 count=1 iflag=direct of=/dev/null status=none`);
    // One path is enough for that; each tries again every ten seconds by itself.
    await db1.run(
        `for s in /sys/class/nvme/nvme*/state; do until [ "$(cat "$s")" = live ]; do sleep 0.2; done; done`,
    );
}

/** @param {import("../example.mjs").LabScene} scene */
export async function checkDestroyed({ lab, check }) {
    const left = await lab.host("c").run(`ls -d /sys/class/iscsi_session/session* /sys/class/nvme/nvme* \
        /etc/iscsi/nodes/* /var/lib/blockhost/attachments /etc/systemd/system/blockhost-* 2>/dev/null; :`);
    check("no session, device, record or unit is left on db1", left.stdout === "", left.stdout);
    const { stdout } = await lab.host("a").run(`pvs --noheadings
        ls -d /sys/kernel/config/target/iscsi/iqn* /sys/kernel/config/nvmet/subsystems/* /etc/systemd/system/blockhost-* 2>/dev/null; :`);
    check("no volume group, target or unit is left on san1", stdout.trim() === "", stdout);
}
