import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { endNow, endOnSignals } from "../../tools/lifetime.mjs";
import { startLab } from "../lab/lab.mjs";
import { accelerator } from "../lab/accelerator.mjs";
import { type Guest, makePool } from "./lab/guest";
import { Results } from "./lab/results";
import { countRuns, limit, ours } from "./lab/volumes";

/**
 * `npm run bench:lab [-- --json FILE] [--counts 10,100] [--rounds 3]`: what operations cost on a storage host with a
 * real kernel, ours over SSH from outside beside the bare limit on the same host in the same run. Ratios mean
 * something, times do not.
 */

const { values } = parseArgs({
    options: {
        json: { type: "string" },
        counts: { type: "string", default: "10,100" },
        rounds: { type: "string", default: "3" },
    },
});
const counts = values.counts.split(",").map(Number);
const rounds = Number(values.rounds);

async function versionsOf(guest: Guest) {
    const { stdout } = await guest.run("uname -r; lvm version | sed -n 's/.*LVM version: *//p'");
    const [kernel, lvm] = stdout.trim().split("\n");
    return { kernel, lvm };
}

async function main(): Promise<void> {
    const lab = await startLab({ hosts: ["a"], say: (message) => console.error(message) });
    try {
        const guest = lab.host("a");
        await makePool(guest);
        const results = new Results();
        await countRuns(guest, results, Math.max(...counts));
        for (const n of counts)
            for (let round = 0; round < rounds; round++) {
                await ours(guest, results, n);
                await limit(guest, results, n);
            }
        const machine = {
            processors: cpus().length,
            processor: cpus()[0]?.model,
            memoryGiB: Math.round(totalmem() / 2 ** 30),
            accelerator: accelerator(),
        };
        const { remoteRuns, ...numbers } = results.json();
        const report = { machine, versions: await versionsOf(guest), rounds, ...numbers, remoteRuns };
        console.log(`\nseconds for all n, medians of ${String(rounds)}\n\n${results.table()}\n`);
        console.log(
            `remote runs: ${Object.entries(remoteRuns)
                .map(([operation, runs]) => `${operation} ${String(runs)}`)
                .join(", ")}`,
        );
        if (values.json !== undefined)
            writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
    } finally {
        await lab.stop();
    }
}

endOnSignals();
void main()
    .catch((error: unknown) => {
        console.error(error);
        process.exitCode = 1;
    })
    .finally(() => endNow());
