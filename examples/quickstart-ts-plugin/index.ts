import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost/plugin";

// The host itself is named in stack configuration, under `blockhost:hosts`.
const config = new pulumi.Config();
const host = config.get("host") ?? "embedded";
const pool = config.get("pool") ?? "fast";

const data = new blockhost.Volume("data", {
    host,
    pool,
    size: config.get("size") ?? "64MiB",
    // Here an initiator may be logged in while the volume grows.
    allow: ["session-drop", "offline"],
});
const logs = new blockhost.Volume("logs", { host, pool, size: "32MiB" });

const before = new blockhost.Snapshot("before", { volume: data });
const clone = new blockhost.Volume("clone", { host, pool, source: { snapshot: before } });

const lun = new blockhost.Export("lun", {
    source: data,
    protocol: "iscsi",
    initiators: [
        {
            iqn: "iqn.2024-01.com.example:db1",
            chap: { username: "db1", password: config.requireSecret("chap") },
        },
    ],
    allow: ["session-drop", "offline"],
});

/** Functions have the same names in both faces. */
export const driver = blockhost.getPoolOutput({ host, pool }).driver;
export const dataPath = data.path;
export const logsPath = logs.path;
export const clonePath = clone.path;
/** What os-brick, Nomad, libvirt or a script need to attach it. */
export const connection = lun.connection;
