import { readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { targetsOf } from "../../tools/embedded-host/tgtd.mjs";
import { type Place, steadySuite } from "./support/steadySuite";

/** The embedded storage host: files, exported by tgt. On LVM, LIO and nvmet: `test/lab/steady.test.ts`. */
async function embedded(): Promise<Place> {
    const host = await startEmbeddedHost({ name: "san1" });
    const pool = host.poolDirectories["fast"] ?? "";
    const file = (name: string) => join(pool, `${name}.img`);
    return {
        configuration: host.configuration(),
        protocol: "iscsi",
        sizeOf: async (name) => statSync(file(name)).size,
        resize: async (name, bytes) => {
            truncateSync(file(name), bytes);
        },
        remove: async (name) => {
            rmSync(file(name));
        },
        identity: async (name) => String(statSync(file(name)).ino),
        left: async () => [
            ...readdirSync(pool).filter((name) => name !== ".blockhost"),
            ...["marks", "work"].flatMap((name) => readdirSync(join(pool, ".blockhost", name))),
            ...readdirSync(join(host.stateDirectory, "exports", "iscsi")),
            ...(await targetsOf(host.tgt?.controlPort ?? 0)).map(String),
        ],
        stop: () => host.stop(),
    };
}

steadySuite(embedded);
