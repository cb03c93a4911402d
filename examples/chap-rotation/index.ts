/**
 * Changes an initiator's CHAP password. A session that is logged in stays; the next login needs the new password.
 *
 *     pulumi config set host san1                  # a host of blockhost:hosts
 *     pulumi config set pool fast
 *     pulumi config set size 10GiB
 *     pulumi config set --secret chap correct-horse-battery
 *     pulumi up
 *
 *     pulumi config set --secret chap another-fine-password
 *     pulumi up                                    # one update, of the export
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const config = new pulumi.Config();

const mail = new blockhost.Volume("mail", {
    host: config.require("host"),
    pool: config.require("pool"),
    size: config.require("size"),
});

const lun = new blockhost.Export("mail-lun", {
    source: mail,
    protocol: "iscsi",
    initiators: [
        {
            iqn: "iqn.2024-01.com.example:mail1",
            chap: { username: "mail1", password: config.requireSecret("chap") },
        },
    ],
});

export const target = lun.targetName;
export const connection = lun.connection;
