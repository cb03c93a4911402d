/**
 * Two servers: `san1` has disks, `db1` runs a database. The data come over iSCSI with mutual CHAP, the log over NVMe/TCP
 * with keys for both directions. On db1 each is a device whose path stays the same after a restart of either server.
 *
 *     pulumi config set --path 'disks[0]' /dev/disk/by-id/wwn-0x5000c500a1b2c3d4       # empty disks of san1
 *     pulumi config set --secret chap "$(openssl rand -hex 16)"                        # what db1 proves
 *     pulumi config set --secret mutualChap "$(openssl rand -hex 16)"                  # what san1 proves
 *     pulumi config set --secret nvme "$(openssl rand -hex 32)"                        # keys follow from it
 *     pulumi up
 *     pulumi stack output
 *
 * What has to be installed on both, and which ports open: docs/getting-started.md, "Two servers". `dataSize` and `walSize`
 * (200GiB, 20GiB) are configuration, too.
 *
 * In `blockhost:hosts` (see docs/configuration.md):
 *
 *     san1:
 *       address: san1.example.com
 *       sudo: true
 *       pools:
 *         fast: { driver: lvm, volumeGroup: fast, thinPool: pool0 }
 *       targets:
 *         iscsi: { helper: lio, portals: ["192.0.2.10:3260", "198.51.100.10:3260"] }
 *         nvme-tcp: { helper: nvmet, portals: ["192.0.2.10:4420", "198.51.100.10:4420"] }
 *     db1:
 *       address: db1.example.com
 *       sudo: true
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const config = new pulumi.Config();

const fast = new blockhost.Pool("fast", { host: "san1", disks: config.requireObject<string[]>("disks") });
const data = new blockhost.Volume("pg-data", { pool: fast, size: config.get("dataSize") ?? "200GiB" });
const wal = new blockhost.Volume("pg-wal", { pool: fast, size: config.get("walSize") ?? "20GiB" });

// Who may log in is whoever db1 says that it is.
const db1 = blockhost.getHostOutput({ host: "db1" });

const dataExport = new blockhost.Export("pg-data", {
    source: data,
    protocol: "iscsi",
    initiators: [
        {
            iqn: db1.iqn,
            chap: { username: "db1", password: config.requireSecret("chap") },
            mutualChap: { username: "san1", password: config.requireSecret("mutualChap") },
        },
    ],
});

const secret = config.requireSecret("nvme");
const walExport = new blockhost.Export("pg-wal", {
    source: wal,
    protocol: "nvme-tcp",
    initiators: [
        {
            nqn: db1.nqn,
            dhchap: {
                key: blockhost.dhchapKey(secret, "db1"),
                controllerKey: blockhost.dhchapKey(secret, "san1"),
            },
        },
    ],
});

// With `sizeBytes`, db1 sees in the same run that a volume has grown.
const dataDisk = new blockhost.Attachment("pg-data", {
    host: "db1",
    connection: dataExport.connection,
    sizeBytes: data.sizeBytes,
});
const walDisk = new blockhost.Attachment("pg-wal", {
    host: "db1",
    connection: walExport.connection,
    sizeBytes: wal.sizeBytes,
});

/** Where the logical volumes are on san1. */
export const volumes = { data: data.path, wal: wal.path };
/** Where they are on db1: for mkfs, /etc/fstab (with `_netdev`), or a VM. */
export const disks = { data: dataDisk.devicePath, wal: walDisk.devicePath };
