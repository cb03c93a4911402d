/**
 * A volume that can go back to a snapshot, and a copy of that snapshot, twice as large.
 *
 *     pulumi config set host san1                  # a host of blockhost:hosts
 *     pulumi config set pool fast
 *     pulumi config set size 10GiB
 *     pulumi up
 *
 * Something went wrong with the data? Go back, once for each token; what the volume held is kept as `safetySnapshot`:
 *
 *     pulumi config set revert after-the-accident
 *     pulumi up
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

const config = new pulumi.Config();
const host = config.require("host");
const pool = config.require("pool");
const token = config.get("revert");

const data = new blockhost.Volume("shop-data", {
    host,
    pool,
    size: config.require("size"),
    // By its id: the snapshot depends on the volume already.
    ...(token && { revertTo: { snapshot: `${host}/${pool}/shop-monday`, token } }),
});

const monday = new blockhost.Snapshot("shop-monday", { volume: data });

const copy = new blockhost.Volume("shop-staging", {
    host,
    pool,
    source: { snapshot: monday },
    size: data.sizeBytes.apply((bytes) => 2 * bytes),
});

export const copyBytes = copy.sizeBytes;
export const revertedWith = data.revertedWith;
/** What the volume held before the last revert. */
export const safetySnapshot = data.safetySnapshot;
