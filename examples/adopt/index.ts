/**
 * Takes over a volume that exists already: its data stays, its size is read from the host.
 *
 *     pulumi config set host san1                  # a host of blockhost:hosts
 *     pulumi config set pool fast
 *     pulumi config set existing legacy.img        # its name in the pool
 *     pulumi up
 *
 * `pulumi destroy` only takes our mark off again. To let it grow, `pulumi config set size 20GiB`.
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const config = new pulumi.Config();
const size = config.get("size");

const legacy = new blockhost.Volume("legacy", {
    host: config.require("host"),
    pool: config.require("pool"),
    adopt: config.require("existing"),
    onDelete: "retain",
    ...(size && { size }),
});

export const volume = legacy.id;
export const sizeBytes = legacy.sizeBytes;
