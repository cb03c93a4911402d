/**
 * A volume, a snapshot of it, and an iSCSI export that one initiator may log in to.
 *
 *     pulumi config set host san1                  # a host of blockhost:hosts
 *     pulumi config set pool fast
 *     pulumi config set size 10GiB
 *     pulumi config set --secret chap correct-horse-battery
 *     pulumi up
 *     pulumi stack output connection --show-secrets
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const config = new pulumi.Config();

const data = new blockhost.Volume("pg-data", {
    host: config.require("host"),
    pool: config.require("pool"),
    size: config.require("size"),
});

const before = new blockhost.Snapshot("pg-before-upgrade", { volume: data });

const lun = new blockhost.Export("pg-lun", {
    source: data,
    protocol: "iscsi",
    initiators: [
        {
            iqn: "iqn.2024-01.com.example:db1",
            chap: { username: "db1", password: config.requireSecret("chap") },
        },
    ],
});

export const volume = data.id;
export const snapshot = before.id;
/** What a client needs to attach it; secret, as it holds the password. */
export const connection = lun.connection;
