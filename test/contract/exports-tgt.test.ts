import { readFileSync, writeFileSync } from "node:fs";
import { tgtTarget } from "../../provider/targets/tgt";
import { startEmbeddedHost } from "../../tools/embedded-host/index.mjs";
import { CLIENT } from "../support/client";
import { describeExports } from "./exports";
import { libiscsi } from "./support/libiscsi";

/** Exports by tgt on the embedded host, and libiscsi as the initiator. */
describeExports(async () => {
    const host = await startEmbeddedHost();
    return {
        host,
        ...libiscsi((portal) => portal),
        protocol: "iscsi",
        capabilities: tgtTarget.capabilities,
        logsInAnew: true,
        growth: tgtTarget.growth,
        initiator: CLIENT,
        firstByte: (path) => Promise.resolve(readFileSync(path)[0] ?? -1),
        fill: (path, byte) => {
            writeFileSync(path, Buffer.alloc(4096, byte), { flag: "r+" });
            return Promise.resolve();
        },
        lose: async () => {
            await host.stopTgtd();
            await host.startTgtd();
        },
        stop: () => host.stop(),
    };
});
