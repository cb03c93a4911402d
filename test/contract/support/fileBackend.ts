import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    renameSync,
    rmSync,
    statSync,
    truncateSync,
    writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type EmbeddedHost, startEmbeddedHost } from "../../../tools/embedded-host/index.mjs";
import { Client, MiB, POOL } from "../../support/client";
import type { VolumeBackend } from "./volumeBackend";

/** The file driver on the embedded host. */
export function fileBackend(): VolumeBackend {
    let host: EmbeddedHost;
    let pool = "";
    const fileOf = (name: string) => join(pool, `${name}.img`);
    const done = Promise.resolve();
    return {
        async start() {
            host = await startEmbeddedHost();
            pool = host.poolDirectories[POOL] ?? "";
        },
        stop: () => host.stop(),
        client: (options) => new Client(host, options),
        grain: 512,
        thin: true,
        many: 100,
        get withoutOverSubscription() {
            return { driver: "file", directory: pool, maxOverSubscriptionRatio: 1 };
        },
        path: fileOf,
        exists: (name) =>
            Promise.resolve(existsSync(name === "legacy" ? join(pool, "legacy.raw") : fileOf(name))),
        sizeOf: (name) => Promise.resolve(statSync(fileOf(name)).size),
        fill(name, byte, length = 4096) {
            writeFileSync(fileOf(name), Buffer.alloc(length, byte), { flag: "r+" });
            return done;
        },
        firstByte: (name) => Promise.resolve(readFileSync(fileOf(name))[0]),
        async open(name) {
            const handle: FileHandle = await open(fileOf(name), "r");
            return () => handle.close();
        },
        foreign(name, byte) {
            writeFileSync(fileOf(name), Buffer.alloc(4 * MiB, byte));
            return done;
        },
        legacy(name, byte) {
            writeFileSync(join(pool, `${name}.raw`), Buffer.alloc(4 * MiB, byte));
            return Promise.resolve(`${name}.raw`);
        },
        removeBehind(name) {
            rmSync(fileOf(name));
            return done;
        },
        unmark(name) {
            rmSync(join(pool, ".blockhost/marks", name));
            return done;
        },
        growBehind(name, sizeBytes) {
            truncateSync(fileOf(name), sizeBytes);
            return done;
        },
        takeAway: {
            "moved away"() {
                const away = `${pool}.away`;
                renameSync(pool, away);
                return Promise.resolve(() => {
                    renameSync(away, pool);
                    return done;
                });
            },
            "an empty directory in its place, as before a mount"() {
                const away = `${pool}.away`;
                renameSync(pool, away);
                mkdirSync(pool);
                return Promise.resolve(() => {
                    const found = readdirSync(pool);
                    rmSync(pool, { recursive: true, force: true });
                    renameSync(away, pool);
                    if (found.length > 0) throw new Error(`something was made there: ${found.join(", ")}`);
                    return done;
                });
            },
        },
        leftovers() {
            const units = join(host.stateDirectory, "units");
            const work = readdirSync(join(pool, ".blockhost/work"));
            return Promise.resolve([...work, ...(existsSync(units) ? readdirSync(units) : [])]);
        },
    };
}
